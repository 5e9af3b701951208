// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// A fixed, set-associative table of `SequencedRow`s that live until a stamp of a clock kills them.
/// Word 1 is zero in an empty row.
///
/// Any thread reads, and any thread fills; a row that another thread changes is left alone. Who
/// removes waits for whoever fills.
struct SequencedTable<let rowWords: Int> {
  static var ways: Int { 4 }
  /// Words of a row, and of a set.
  static var row: Int { rowWords }
  static var words: Int { ways &* rowWords }
  typealias Row = SequencedRow.Pointer
  let rows: Int
  /// Sets, less one.
  private let mask: UInt64
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// `entries` is a power of two; a set is the least that there is.
  init(entries: Int) {
    rows = max(entries, Self.ways)
    mask = UInt64(rows / Self.ways - 1)
    // Rows of 32 and 128 bytes must not share a cache line more than needed.
    let raw = UnsafeMutableRawPointer.allocate(byteCount: rows * rowWords * 8, alignment: 64)
    words = raw.bindMemory(to: Atomic<UInt64>.self, capacity: rows * rowWords)
    for i in 0..<rows * rowWords { (words + i).initialize(to: Atomic(0)) }
  }

  func deallocate() { words.deallocate() }

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
    _ first: Row, word1 identity: UInt64, since oldest: UInt32, isSame: (Row) -> Bool
  ) -> Row? {
    let end = first + Self.words
    var free: Row?
    var row = first
    while row != end {
      let found = row[1].load(ordering: .relaxed)
      if found == identity && isSame(row) { return row }
      if free == nil && (found == 0 || SequencedRow.time(row[0].load(ordering: .relaxed)) < oldest)
      {
        free = row
      }
      row += rowWords
    }
    return free
  }

  /// Else a dead one, else any: DMA goes round and round, and then what is replaced in turn is
  /// never there when it is wanted again. Chance comes from how often the set was filled, so that
  /// threads share no word for it.
  @inline(__always)
  func victim(_ first: Row, isDead: (Row) -> Bool) -> Row {
    for way in 0..<Self.ways where isDead(first + way &* rowWords) {
      return first + way &* rowWords
    }
    var sequences: UInt64 = 0
    for way in 0..<Self.ways {
      sequences &+= first[way &* rowWords].load(ordering: .relaxed) &>> 32
    }
    let mixed = sequences &* 0x9e37_79b9_7f4a_7c15
    let chance = ((mixed ^ mixed &>> 29) &* 0xbf58_476d_1ce4_e5b9) &>> 62
    return first + (Int(truncatingIfNeeded: chance) & (Self.ways &- 1)) &* rowWords
  }

  @inline(__always)
  func row(_ number: Int) -> Row {
    words + number &* rowWords
  }

  /// A word for comparison; the row may be changing.
  @inline(__always)
  func peek(_ number: Int, _ word: Int) -> UInt64 { row(number)[word].load(ordering: .relaxed) }

  @inline(__always)
  func time(_ number: Int) -> UInt32 { SequencedRow.time(peek(number, 0)) }

  /// Fills a row with what was looked up from `time` on, if nobody else does and no time has passed
  /// on the clock.
  @inline(__always)
  func fill(_ row: Row, time: UInt32, clock: InvalidationClock, _ write: (Row) -> Void) {
    guard time != InvalidationClock.closed, SequencedRow.claim(row) else { return }
    // After the claim: who advances the clock and does not wait for this row is seen here.
    guard clock.isNow(time) else { return SequencedRow.release(row, time: 0) }
    write(row)
    SequencedRow.release(row, time: time)
  }

  /// Empties a row if it is meant, or if somebody is at it: to forget more than asked is always
  /// right. To be called when time has passed and a fence has made that known: whoever claims the
  /// row later fills it with nothing of before.
  @inline(__always)
  func clear(_ number: Int, if isMeant: (Row) -> Bool) {
    let row = row(number)
    while true {
      // Mostly it is not.
      let isBusy = row[0].load(ordering: .acquiring)[32]
      if !isBusy && !isMeant(row) { return }
      if tryToEmpty(row) { return }
    }
  }

  /// False if somebody fills the row, after a while.
  @inline(never)
  private func tryToEmpty(_ row: Row) -> Bool {
    var patience = Patience()
    while row[0].load(ordering: .acquiring)[32] { patience.take() }
    guard SequencedRow.claim(row) else { return false }
    for word in 1..<rowWords { row[word].store(0, ordering: .relaxed) }
    SequencedRow.release(row, time: 0)
    return true
  }

  /// Empties all rows.
  func clearAll() {
    for row in 0..<rows { clear(row) { _ in true } }
  }
}
