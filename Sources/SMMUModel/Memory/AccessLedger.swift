// SPDX-License-Identifier: MIT
import SMMUAtomics

/// Which accesses are open, and who opened them: for callers who want to find the one that they
/// left open, or ended twice.
///
/// A row: {use [31:0], thread [63:32]} · {place of its count plus 1 [15:0], use [47:16]}, 0 while
/// it is free; its uses are counted. A token's bits [31:16] are the number of its row plus 1, and
/// [63:32] the use.
struct AccessLedger {
  private static var rows: Int { 4096 }
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  private let next: UnsafeMutablePointer<Atomic<UInt64>>

  init() {
    words = .allocate(capacity: 2 * Self.rows + 1)
    for i in 0...2 * Self.rows { (words + i).initialize(to: Atomic(0)) }
    next = words + 2 * Self.rows
  }

  func deallocate() { words.deallocate() }

  /// The token's part of an access that is counted at `place`; 0, which is not checked, if there
  /// are too many.
  func enter(_ place: UInt64) -> UInt64 {
    for _ in 0..<Self.rows {
      let number = Int(next.pointee.wrappingAdd(1, ordering: .relaxed).oldValue) & (Self.rows - 1)
      let row = words + 2 * number
      let use = (row[0].load(ordering: .relaxed) &+ 1) & UInt64(UInt32.max)
      guard row[1].load(ordering: .relaxed) == 0 else { continue }
      let (isMine, _) = row[1].compareExchange(
        expected: 0, desired: use << 16 | place &+ 1, ordering: .acquiringAndReleasing)
      guard isMine else { continue }
      row[0].store(use | UInt64(Thread.number) << 32, ordering: .relaxed)
      return use << 32 | UInt64(number + 1) << 16
    }
    return 0
  }

  /// False if the access of this token is not open.
  func leave(_ token: UInt64) -> Bool {
    let number = Int(token >> 16 & 0xffff)
    guard number != 0 else { return true }
    guard number <= Self.rows else { return false }
    let open = (token >> 32) << 16 | (token & 0xffff) &+ 1
    let (isDone, _) = words[2 * number - 1].compareExchange(
      expected: open, desired: 0, ordering: .acquiringAndReleasing)
    return isDone
  }

  /// Who began the access that last used a token's row.
  func thread(of token: UInt64) -> UInt32 {
    let number = Int(token >> 16 & 0xffff)
    guard number != 0, number <= Self.rows else { return 0 }
    return UInt32(truncatingIfNeeded: words[2 * (number - 1)].load(ordering: .relaxed) >> 32)
  }

  /// Who began an access that is counted at a place; 0 if none is known.
  func thread(at place: UInt64) -> UInt32 {
    for number in 0..<Self.rows
    where words[2 * number + 1].load(ordering: .acquiring) & 0xffff == place + 1 {
      return UInt32(truncatingIfNeeded: words[2 * number].load(ordering: .relaxed) >> 32)
    }
    return 0
  }
}
