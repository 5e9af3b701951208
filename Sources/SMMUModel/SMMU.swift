// SPDX-License-Identifier: MIT
import SMMUAtomics
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
  /// Milliseconds after which an access that a wait is for is told of.
  public var accessPatience: UInt32 = 1000
  /// Whether tokens of accesses tell who began them.
  public var checksAccesses = false

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
  let control: TranslationControl
  let memory: GuestMemory
  let configurations: ConfigurationCache
  let tlb: TranslationCache
  let walks: WalkCache
  public let micro: MicroTLB
  let accesses: AccessGuard
  /// Guards the event queue's indices and GERROR, which faulting threads change too.
  let eventLock: Lock
  /// CMDQ and EVENTQ.
  var commands: CommandQueue<CommandQueueRegisters>
  let events: OutputQueue<EventQueueRegisters>

  public init(_ features: Features, _ options: Options = Options(), machine: any Machine) {
    self.features = features
    var options = options
    if !machine.resumesCommands { options.commandBudget = .max }
    self.options = options
    self.machine = machine
    keepsCopies = machine.keepsCopies
    counters = Counters()
    registers = RegisterFile(features, resetAborts: options.resetAborts)
    commands = CommandQueue(
      CommandQueueRegisters(registers: registers), CommandDecoder(features, options.commandRules))
    events = OutputQueue(
      EventQueueRegisters(registers: registers), entryBytes: EventRecord.bytes)
    control = TranslationControl()
    control.publish(registers, changesQueue: false)
    memory = GuestMemory()
    configurations = ConfigurationCache(entries: options.configurationEntries)
    tlb = TranslationCache(entries: options.tlbEntries)
    walks = WalkCache()
    micro = MicroTLB()
    accesses = AccessGuard(patience: options.accessPatience, checks: options.checksAccesses)
    eventLock = Lock()
  }

  deinit {
    counters.deallocate()
    registers.deallocate()
    control.deallocate()
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
    replaceState { registers.reset() }
    hardware?.everythingChanged()
  }

  /// Takes other features, in the reset state. Alone: no other call may be running.
  public func renegotiate(_ features: Features) {
    self.features = features
    commands = CommandQueue(commands.port, CommandDecoder(features, options.commandRules))
    replaceState { registers.adopt(features, resetAborts: options.resetAborts) }
  }

  /// Makes all registers others, in one step to translations: each sees the old state or the new
  /// one, and what it records goes to the queue of its own state. Returns when no access uses the
  /// old one.
  func replaceState(_ change: () -> Void) {
    eventLock.lock()
    change()
    control.publish(registers, changesQueue: true)
    eventLock.unlock()
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
  public func beginAccess() -> UInt64 { accesses.beginChecked() }

  @inline(__always)
  public func endAccess(_ token: UInt64) { accesses.endChecked(token, machine) }

  /// Forgets a stream that goes away, and whose accesses the caller refuses from now on. Those in
  /// progress end with an abort. When this returns, nothing is cached of it and no access uses it.
  public func remove(stream: StreamID) {
    renewCaches()
    configurations.bar(stream)
    forgetConfigurations(stream, stream)
    notify(.configuration(first: stream, last: stream))
    accesses.drain(machine)
    configurations.unbar()
  }
}
