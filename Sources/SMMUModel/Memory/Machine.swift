// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The wired interrupts of an SMMU (§3.18).
public enum InterruptLine: UInt8, Sendable {
  case eventQueue, pageRequestQueue, sync, globalError
}

/// What became stale in caches that others keep of this SMMU's answers.
public enum Staleness: Equatable, Sendable {
  case translations(TLBInvalidation)
  case configuration(first: StreamID, last: StreamID)
}

/// Something that the host's operator may want to read about.
public enum Report: Equatable, Sendable {
  /// The command queue stopped at a command, for this reason.
  case illegalCommand(Violation, opcode: UInt8, slot: UInt32)
  /// It stopped, as a command could not be read.
  case commandAbort(slot: UInt32)
  /// An STE of a stream that hardware translates is valid, and breaks a rule.
  case illegalSTE(Violation, StreamID)
  case eventsDropped
  case eventQueueAbort
  case messageAbort(address: UInt64)
  /// An access that a wait is for stays open. `slot` and `count` say where it is counted, `thread`
  /// who began it, 0 if that is not known.
  case accessOverdue(slot: Int, count: UInt64, milliseconds: UInt64, thread: UInt32)
  /// An access was ended that was not open; `thread` began it once, if that is known.
  case accessNotOpen(thread: UInt32)
}

/// What surrounds an SMMU: the memory that is no registered RAM, and the interrupts. To adapt the
/// model to a new machine, conform to this and hand it to `SMMU.init`.
///
/// Calls come on the thread that caused them; memory and interrupt calls may come on several at
/// once. None may call the same SMMU.
public protocol Machine: AnyObject {
  /// Copies `count` bytes; false is an external abort.
  func read(_ address: UInt64, into data: UnsafeMutableRawPointer, count: Int) -> Bool
  func write(_ address: UInt64, from data: UnsafeRawPointer, count: Int) -> Bool
  /// Registered RAM was written.
  func wrote(_ address: UInt64, count: UInt64)
  func pulse(_ line: InterruptLine)
  /// Delivers an MSI whose target is no registered RAM; false is an external abort.
  func signal(_ address: UInt64, _ data: UInt32) -> Bool
  /// Whether `notify` is listened to; asked once.
  var keepsCopies: Bool { get }
  /// A notice to those who keep copies. `generation` is the last one whose answers may be meant
  /// (`Translation.generation`).
  func notify(stale what: Staleness, generation: UInt64)
  /// Whether `commandsLeft` is listened to; asked once. If not, nothing is ever left: who waits for
  /// a CMD_SYNC's MSI makes no access that would go on (§4.1.2).
  var resumesCommands: Bool { get }
  /// The command budget ended before the commands did.
  func commandsLeft()
  func report(_ what: Report)
  /// Whether this thread is in one of these calls: nothing is translated then that is not known.
  var isEntered: Bool { get }
  /// Looks at a condition that other threads make true, before it sleeps.
  var spins: Int { get }
  /// Sleeps until the bell rings or the time is up, unless `isDone`.
  func sleep(_ bell: Bell, milliseconds: UInt32, unless isDone: () -> Bool)
}

extension Machine {
  public var keepsCopies: Bool { true }
  public var resumesCommands: Bool { true }
  public var isEntered: Bool { false }

  public var spins: Int {
    #if EXPLORE
      0
    #else
      256
    #endif
  }

  public func sleep(_ bell: Bell, milliseconds: UInt32, unless isDone: () -> Bool) {
    bell.wait(milliseconds: milliseconds, unless: isDone)
  }
}
