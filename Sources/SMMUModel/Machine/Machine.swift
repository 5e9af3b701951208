// SPDX-License-Identifier: MIT
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
  case commandError(CommandError, opcode: UInt8, slot: UInt32)
  case eventsDropped
  case eventQueueAbort
  case messageAbort(address: UInt64)
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
  /// Whether `forget` is listened to; asked once.
  var keepsCopies: Bool { get }
  func forget(_ what: Staleness)
  /// Whether `commandsLeft` is listened to; asked once. If not, nothing is ever left: who waits for
  /// a CMD_SYNC's MSI makes no access that would go on (§4.1.2).
  var resumesCommands: Bool { get }
  /// The command budget ended before the commands did.
  func commandsLeft()
  func report(_ what: Report)
  /// Another thread is waited for: give it the processor.
  func relax()
}

extension Machine {
  public var keepsCopies: Bool { true }
  public var resumesCommands: Bool { true }
}
