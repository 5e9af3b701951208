// SPDX-License-Identifier: MIT
import SMMUSpec

/// How one SMMU differs from another beside its ID registers.
public struct Options: Sendable {
  /// What one call may cost, in commands. Not looked at where the machine does not listen.
  public var commandBudget = 4096
  public var tlbEntries = 4096
  public var configurationEntries = 256
  public var strictPages = false
  public var commandRules = CommandRules()
  /// GBPA.ABORT after reset.
  public var resetAborts = false
  public var hasWiredInterrupts = true
  /// Whether walks may begin at tables that earlier ones found.
  public var cachesTables = true

  public init() {}
}

/// One SMMUv3: the non-secure programming interface of IHI 0070 G.b, as state and rules.
///
/// Registers, commands, reset, save, restore and memory regions are serialised by the caller.
/// Translations and accesses run on any number of threads beside them; a translation that hits its
/// caches takes no lock.
public final class SMMU: @unchecked Sendable {
  /// Changes only before a guest has seen them (`renegotiate`).
  public private(set) var features: Features
  public let options: Options
  public let counters: Counters
  let machine: any Machine
  let keepsCopies: Bool
  /// What works beside the model; set while nothing else runs.
  public var hardware: (any Hardware)?
  let registers: RegisterFile
  let memory: GuestMemory
  let configurations: ConfigurationCache
  let tlb: TranslationCache
  let walks: WalkCache
  public let micro: MicroTLB
  let accesses: AccessGuard
  /// Guards the event queue's indices and GERROR, which faulting threads change too.
  let eventLock: SpinLock
  /// Something was invalidated that accesses in progress may still use.
  var isUnsettled = false
  /// The command in progress failed in hardware.
  var isHardwareToBlame = false
  /// What the command in progress costs of the budget.
  var commandCost = 0

  public init(_ features: Features, _ options: Options = Options(), machine: any Machine) {
    self.features = features
    var options = options
    if !machine.resumesCommands { options.commandBudget = .max }
    self.options = options
    self.machine = machine
    keepsCopies = machine.keepsCopies
    counters = Counters()
    registers = RegisterFile(features, resetAborts: options.resetAborts)
    memory = GuestMemory()
    configurations = ConfigurationCache(entries: options.configurationEntries)
    tlb = TranslationCache(entries: options.tlbEntries)
    walks = WalkCache()
    micro = MicroTLB()
    accesses = AccessGuard()
    eventLock = SpinLock()
  }

  deinit {
    counters.deallocate()
    registers.deallocate()
    memory.deallocate()
    configurations.deallocate()
    tlb.deallocate()
    walks.table.deallocate()
    micro.table.deallocate()
    accesses.deallocate()
    eventLock.deallocate()
  }

  /// Back to the reset state, caches included. Returns when no access uses the old one.
  public func reset() {
    // Off first: an access in progress could else leave an event or an error in the new state.
    eventLock.lock(machine)
    for register in [.cr0, .cr0ack, .irqCtrl, .irqCtrlAck] as [Register] { registers[register] = 0 }
    eventLock.unlock()
    accesses.drain(machine)
    registers.reset()
    forgetEverything()
    hardware?.everythingChanged()
  }

  /// Takes other features, in the reset state. Alone: no other call may be running.
  public func renegotiate(_ features: Features) {
    self.features = features
    registers.adopt(features, resetAborts: options.resetAborts)
    forgetEverything()
  }

  /// Makes RAM known (`GuestMemory`).
  public func addMemory(
    _ address: UInt64, length: UInt64, host: UnsafeMutableRawPointer
  ) throws(MemoryError) {
    let old = try memory.add(address, length: length, host: host)
    accesses.drain(machine)
    old.deallocate()
  }

  /// Bytes of the region that begins at `address`.
  public func memoryLength(at address: UInt64) -> UInt64? { memory.length(at: address) }

  /// Returns when no access uses it any more.
  public func removeMemory(_ address: UInt64) throws(MemoryError) {
    let old = try memory.remove(address)
    accesses.drain(machine)
    old.deallocate()
  }

  /// Counts this thread as accessing until `endAccess` (`AccessGuard`).
  @inline(__always)
  public func beginAccess() -> UInt64 { accesses.begin() }

  @inline(__always)
  public func endAccess(_ token: UInt64) { accesses.end(token) }

  /// Forgets what is cached of a stream that goes away.
  public func forget(stream: StreamID) {
    renewCaches()
    forgetConfigurations(stream, stream)
    accesses.drain(machine)
  }
}
