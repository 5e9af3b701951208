// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// A direct-mapped table of rows that are found only in the epoch in which their making began: an
/// invalidation is never searched for in it but begins a new epoch.
///
/// Any thread reads, and any thread fills. A row that another thread is filling is left alone, so
/// nobody waits. The time of a `SequencedRow` is the epoch here.
///
/// A generation is the epoch [31:0] with the count of renewals [63:32] above: it never comes again.
///
/// Both sizes are powers of two.
struct EpochTable<let rows: Int, let rowWords: Int> {
  typealias Row = SequencedRow.Pointer

  static var count: Int { rows }

  /// A line with the epoch, then the rows.
  private let words: Row
  private static var line: Int { 8 }
  /// In which nothing is found and nothing is kept.
  private static var closed: UInt32 { .max }

  init() {
    let count = Self.line + rows * rowWords
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
    words = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for i in 0..<count { (words + i).initialize(to: Atomic(0)) }
    reopen()
  }

  func deallocate() { words.deallocate() }

  // MARK: Epochs

  /// To be taken before anything is looked up of what is to be kept.
  @inline(__always)
  var generation: UInt64 { words[0].load(ordering: .acquiring) }

  @inline(__always)
  var now: UInt32 { UInt32(truncatingIfNeeded: generation) }

  /// Nothing is found any more whose making began before. To be called when what an invalidation
  /// names is gone from all that rows are made of. Serialised by the caller.
  @inline(__always)
  func advance() { words[0].store(generation &+ 1, ordering: .releasing) }

  /// The epochs are about to wrap: they must be renewed first (`SMMU.renewCaches`).
  @inline(__always)
  var isExhausted: Bool { now > Self.closed &- InvalidationClock.margin }

  /// First half of a renewal: empties all rows. Whoever fills one is waited for, or finds the epoch
  /// ended.
  func close() {
    words[0].store(generation | UInt64(Self.closed), ordering: .sequentiallyConsistent)
    for number in 0..<rows {
      let row = row(number)
      var patience = Patience()
      while !SequencedRow.claim(row) { patience.take() }
      SequencedRow.release(row, time: 0)
    }
  }

  func reopen() {
    words[0].store((generation &>> 32 &+ 1) &<< 32 | 1, ordering: .sequentiallyConsistent)
  }

  /// For tests of the wrap.
  func set(_ epoch: UInt32) {
    words[0].store(
      generation & ~UInt64(UInt32.max) | UInt64(epoch), ordering: .sequentiallyConsistent)
  }

  // MARK: Rows

  @inline(__always)
  func row(_ number: Int) -> Row { words + (Self.line &+ (number & (rows &- 1)) &* rowWords) }

  /// The same for a number that was multiplied by the words of a row already; bits below do not
  /// count.
  @inline(__always)
  func row(scaled number: Int) -> Row {
    words + (Self.line &+ number & ((rows &- 1) &* rowWords))
  }

  /// Begins to read a row: the value to give to `isWhole`, nil if it is of another epoch.
  @inline(__always)
  func begin(_ row: Row) -> UInt64? { begin(row, generation) }

  /// The same where the generation is known already.
  @inline(__always)
  func begin(_ row: Row, _ generation: UInt64) -> UInt64? {
    let word = row[0].load(ordering: .acquiring)
    return (word ^ generation) & UInt64(UInt32.max) == 0 ? word : nil
  }

  /// Whether all that was read of the row since `begin` belongs together.
  @inline(__always)
  func isWhole(_ row: Row, _ word: UInt64) -> Bool { SequencedRow.isWhole(row, word) }

  /// Fills a row with what was looked up from `epoch` on, if nobody else does and it goes on.
  @inline(__always)
  func fill(_ row: Row, epoch: UInt32, _ write: (Row) -> Void) {
    guard SequencedRow.claim(row) else { return }
    // After the claim: a renewal that does not wait for it is seen here.
    let now = UInt32(truncatingIfNeeded: words[0].load(ordering: .sequentiallyConsistent))
    guard now == epoch, epoch != Self.closed else { return SequencedRow.release(row, time: 0) }
    write(row)
    SequencedRow.release(row, time: epoch)
  }
}
