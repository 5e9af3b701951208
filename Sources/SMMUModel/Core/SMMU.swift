// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// One SMMUv3: the non-secure programming interface of IHI 0070 G.b, as state and rules.
///
/// Registers, commands, reset, save, restore and memory regions are serialised by the caller.
/// Translations and accesses run on any number of threads beside them, without a lock but for the
/// events that they record.
public final class SMMU: @unchecked Sendable {
  /// What answers accesses.
  public let translator: Translator
  public let options: Options
  /// What works beside the model; set while nothing else runs.
  public var hardware: (any Hardware)?
  let machine: any Machine
  /// Guards the event queue's indices and GERROR, which faulting threads change too.
  let eventLock: Lock
  /// CMDQ and EVENTQ.
  var commands: CommandQueue<QueueRegisters>
  let events: OutputQueue<QueueRegisters>

  public init(_ features: Features, options: Options = Options(), machine: any Machine) {
    var options = options
    if !machine.resumesCommands { options.commandBudget = .max }
    self.options = options
    self.machine = machine
    translator = Translator(features, options: options, machine: machine)
    eventLock = Lock()
    let registers = translator.registers
    commands = CommandQueue(
      QueueRegisters(.command, of: registers), CommandDecoder(features, options.commandRules))
    events = OutputQueue(
      QueueRegisters(.event, of: registers), entryBytes: EventRecord.bytes)
    translator.events = self
  }

  deinit { eventLock.deallocate() }

  /// Back to the reset state, caches included. Returns when no access uses the old one.
  public func reset() {
    replaceState { registers.reset() }
    hardware?.everythingChanged()
  }

  /// Takes other features, in the reset state. Alone: no other call may be running.
  public func renegotiate(_ features: Features) {
    translator.features = features
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
    translator.forgetEverything()
  }

  /// Makes RAM known (`GuestMemory`).
  public func addMemory(
    _ address: UInt64, length: UInt64, host: UnsafeMutableRawPointer
  ) throws(MemoryError) {
    let old = try bus.memory.add(address, length: length, host: host)
    accesses.drain(machine)
    old.deallocate()
  }

  /// Bytes of the region that begins at `address`.
  public func memoryLength(at address: UInt64) -> UInt64? { bus.memory.length(at: address) }

  /// Returns when no access uses it any more.
  public func removeMemory(_ address: UInt64) throws(MemoryError) {
    let old = try bus.memory.remove(address)
    accesses.drain(machine)
    old.deallocate()
  }

  /// Forgets a stream that goes away, and whose accesses the caller refuses from now on. Those in
  /// progress end with an abort. When this returns, nothing is cached of it and no access uses it.
  public func remove(stream: StreamID) { translator.remove(stream: stream) }
}

/// The parts of the translator that registers and commands change.
extension SMMU {
  public var features: Features { translator.features }
  public var counters: Counters { translator.counters }
  public var micro: MicroTLB { translator.micro }
  var bus: Bus { translator.bus }
  var registers: RegisterFile { translator.registers }
  var control: TranslationControl { translator.control }
  var accesses: AccessGuard { translator.accesses }
  var keepsCopies: Bool { translator.keepsCopies }
}

/// What C and other embedders call.
extension SMMU {
  @inline(__always)
  public func translate(_ access: Access) -> Translation { translator.translate(access) }

  public func translateKnown(_ access: Access) -> Translation {
    translator.translateKnown(access)
  }

  public func translateFully(_ access: Access) -> Translation {
    translator.translateFully(access)
  }

  public func knows(_ access: Access) -> Bool { translator.knows(access) }

  /// `Translator.transfer` in an access of its own.
  public func transfer(
    _ access: Access, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Translation {
    let token = beginAccess()
    defer { endAccess(token) }
    return translator.transfer(access, data: data, length: length)
  }

  @inline(__always)
  public func beginAccess() -> UInt64 { translator.beginAccess() }

  @inline(__always)
  public func endAccess(_ token: UInt64) { translator.endAccess(token) }
}
