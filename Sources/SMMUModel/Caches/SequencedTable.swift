// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// A fixed, set-associative table of rows of 64-bit words that any thread may read while one
/// writes: a row's word 0 holds a sequence number, odd while the row changes. No row is ever freed,
/// so a reader without a lock can at worst read a torn row, and notices.
///
/// Word 0 is {sequence, time}: bits 63:32 and 31:0. Word 1 is zero in an empty row.
struct SequencedTable<let rowWords: Int> {
  static var ways: Int { 4 }
  /// Words of a row, and of a set.
  static var row: Int { rowWords }
  static var words: Int { ways &* rowWords }
  typealias Row = UnsafeMutablePointer<Atomic<UInt64>>
  let rows: Int
  /// Sets, less one.
  private let mask: UInt64
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  /// Which way of a set is replaced next; shared by all sets.
  private let victim: UnsafeMutablePointer<UInt32>

  /// `entries` is a power of two; a set is the least that there is.
  init(entries: Int) {
    rows = max(entries, Self.ways)
    mask = UInt64(rows / Self.ways - 1)
    victim = .allocate(capacity: 1)
    victim.initialize(to: 0)
    // Rows of 32 and 128 bytes must not share a cache line more than needed.
    let raw = UnsafeMutableRawPointer.allocate(byteCount: rows * rowWords * 8, alignment: 64)
    words = raw.bindMemory(to: Atomic<UInt64>.self, capacity: rows * rowWords)
    for i in 0..<rows * rowWords { (words + i).initialize(to: Atomic(0)) }
  }

  func deallocate() {
    words.deallocate()
    victim.deallocate()
  }

  /// The rows of the set that a hash falls into.
  @inline(__always)
  func set(_ hash: UInt64) -> Range<Int> {
    let first = Int(truncatingIfNeeded: (hash &>> 32) & mask) &* Self.ways
    return Range(uncheckedBounds: (first, first &+ Self.ways))
  }

  /// The first of these rows; the others follow it, `rowWords` apart.
  @inline(__always)
  func firstRow(_ hash: UInt64) -> Row {
    words + Int(truncatingIfNeeded: (hash &>> 32) & mask) &* Self.words
  }

  /// The row to fill in a set: the one with the same word 1 of which `isSame` is true, else one
  /// that is empty or older than `oldest`; nil if there is none.
  @inline(__always)
  func replaceable(
    _ first: Row, _ identity: UInt64, since oldest: UInt32, isSame: (Row) -> Bool
  ) -> Row? {
    let end = first + Self.words
    var free: Row?
    var row = first
    while row != end {
      let found = row[1].load(ordering: .relaxed)
      if found == identity && isSame(row) { return row }
      if free == nil && (found == 0 || Self.time(row[0].load(ordering: .relaxed)) < oldest) {
        free = row
      }
      row += rowWords
    }
    return free
  }

  /// Else a dead one, else the next victim.
  @inline(__always)
  func victim(_ first: Row, isDead: (Row) -> Bool) -> Row {
    for way in 0..<Self.ways where isDead(first + way &* rowWords) {
      return first + way &* rowWords
    }
    victim.pointee &+= 1
    return first + (Int(victim.pointee) & (Self.ways &- 1)) &* rowWords
  }

  @inline(__always)
  func row(_ number: Int) -> Row {
    words + number &* rowWords
  }

  /// A word for comparison; the row may be changing.
  @inline(__always)
  func peek(_ number: Int, _ word: Int) -> UInt64 { row(number)[word].load(ordering: .relaxed) }

  @inline(__always)
  static func time(_ begun: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: begun) }

  /// Whether the row has not changed since `begun`: what was read of it belongs together, and so do
  /// the stamps that it was judged by, as a renewal empties the rows before it resets them. A row
  /// that changes has time 0, which no stamp lets live.
  @inline(__always)
  static func isWhole(_ row: Row, _ begun: UInt64) -> Bool {
    atomicMemoryFence(ordering: .acquiring)
    return row[0].load(ordering: .relaxed) == begun
  }

  @inline(__always)
  func time(_ number: Int) -> UInt32 { UInt32(truncatingIfNeeded: peek(number, 0)) }

  /// Under the cache's lock.
  @inline(__always)
  func write(_ row: Row, time: UInt32, _ count: Int, _ value: (Int) -> UInt64) {
    let sequence = row[0].load(ordering: .relaxed) >> 32
    let changing = (sequence &+ 1) | 1
    row[0].store(changing &<< 32, ordering: .relaxed)
    atomicMemoryFence(ordering: .releasing)
    for i in 0..<count { row[1 &+ i].store(value(i), ordering: .relaxed) }
    row[0].store((changing &+ 1) &<< 32 | UInt64(time), ordering: .releasing)
  }

  /// Empties a row. Under the cache's lock.
  func clear(_ number: Int) { write(row(number), time: 0, rowWords - 1) { _ in 0 } }

  /// Empties all rows, with pauses for those who wait for the cache's lock.
  func clearAll(_ lock: Lock) {
    for row in 0..<rows {
      if row & 1023 == 1023 { lock.giveWay() }
      clear(row)
    }
  }
}
