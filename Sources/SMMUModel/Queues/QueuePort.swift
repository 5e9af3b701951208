// SPDX-License-Identifier: MIT
import SMMUSpec

/// The registers of a command queue: where it is, how far it got, what stopped it. CMDQ and each
/// ECMDQ have some of their own.
protocol CommandQueuePort {
  /// As in CMDQ_BASE.
  var base: UInt64 { get }
  /// log2 of the entries that it may have at most.
  var log2Most: Int { get }
  var isEnabled: Bool { get }
  /// By an error that software has not acknowledged.
  var isStopped: Bool { get }
  /// What software has written up to; bits above the index are not looked at.
  var producer: UInt64 { get }
  /// What is consumed up to; likewise.
  var consumer: UInt64 { get }
  /// Software may see that everything before this index is done.
  func pass(to consumer: UInt64)
  /// Tells why the command at this index is not (§7.1).
  func stop(at consumer: UInt64, _ error: CommandError)
}

/// The registers of a queue that the SMMU writes: EVENTQ, PRIQ. Read and changed by whoever holds
/// the lock that guards them.
protocol OutputQueuePort {
  /// As in EVENTQ_BASE.
  var base: UInt64 { get }
  var log2Most: Int { get }
  var isEnabled: Bool { get }
  /// By an abort that software has not acknowledged.
  var isStopped: Bool { get }
  /// {OVFLG [31], index}.
  var producer: UInt64 { get nonmutating set }
  /// {OVACKFLG [31], index}.
  var consumer: UInt64 { get }
}

/// The memory that queues are in.
protocol QueueMemory {
  /// Where the bytes are, if all of them are in one region of RAM.
  func host(_ address: UInt64, _ length: UInt64) -> UnsafeMutableRawPointer?
  /// One aligned little-endian 64-bit load.
  func load64(_ address: UInt64) throws(BusAbort) -> UInt64
  /// An entry, wholly or not at all.
  func store(_ address: UInt64, _ entry: some Layout) throws(BusAbort)
}
