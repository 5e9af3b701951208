// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// A row of 64-bit words that any thread reads and any thread fills, one at a time. Rows are never
/// freed, so a reader can at worst read a torn row, and notices.
///
/// Word 0 is {sequence [63:32], time [31:0]}. The sequence is odd, and the time 0, while the row
/// changes.
enum SequencedRow {
  typealias Pointer = UnsafeMutablePointer<Atomic<UInt64>>

  @inline(__always)
  static func time(_ begun: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: begun) }

  /// Whether all that was read of the row since its word 0 was `begun` belongs together.
  @inline(__always)
  static func isWhole(_ row: Pointer, _ begun: UInt64) -> Bool {
    atomicMemoryFence(ordering: .acquiring)
    return row[0].load(ordering: .relaxed) == begun
  }

  /// Begins a change, if nobody else is at one. What the change depends on is to be looked at
  /// afterwards, sequentially consistent: who ends it has done so before, or finds the row claimed
  /// and waits.
  @inline(__always)
  static func claim(_ row: Pointer) -> Bool {
    let old = row[0].load(ordering: .relaxed)
    guard !old[32] else { return false }
    let (isMine, _) = row[0].compareExchange(
      expected: old, desired: (old &>> 32 &+ 1) &<< 32, ordering: .sequentiallyConsistent)
    atomicMemoryFence(ordering: .releasing)
    return isMine
  }

  @inline(__always)
  static func release(_ row: Pointer, time: UInt32) {
    let sequence = row[0].load(ordering: .relaxed) &>> 32 &+ 1
    row[0].store(sequence &<< 32 | UInt64(time), ordering: .releasing)
  }
}
