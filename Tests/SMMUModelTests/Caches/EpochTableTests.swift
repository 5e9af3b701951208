// SPDX-License-Identifier: MIT
import Synchronization
import TestSupport
import Testing

@testable import SMMUModel

@Suite("A table whose rows answer within their epoch")
struct EpochTableTests {
  typealias Table = EpochTable<4, 4>

  private func fill(_ table: Table, _ number: Int, _ value: UInt64, epoch: UInt32) {
    table.fill(table.row(number), epoch: epoch) { $0[1].store(value, ordering: .relaxed) }
  }

  private func value(_ table: Table, _ number: Int) -> UInt64? {
    let row = table.row(number)
    guard let word = table.begin(row) else { return nil }
    let value = row[1].load(ordering: .relaxed)
    return table.isWhole(row, word) ? value : nil
  }

  @Test("a row is found in its epoch, and never in a later one")
  func epochs() {
    let table = Table()
    defer { table.deallocate() }
    #expect((0..<4).allSatisfy { value(table, $0) == nil }, "empty at first")
    let before = table.now
    fill(table, 1, 11, epoch: before)
    #expect(value(table, 1) == 11)
    #expect(value(table, 5) == 11, "numbers go round")
    table.advance()
    #expect(value(table, 1) == nil)
    // What was looked up before the invalidation comes late.
    fill(table, 1, 12, epoch: before)
    #expect(value(table, 1) == nil)
    fill(table, 1, 13, epoch: table.now)
    #expect(value(table, 1) == 13)
  }

  @Test("a row that is being filled is neither read nor filled by others")
  func claims() {
    let table = Table()
    defer { table.deallocate() }
    let row = table.row(2)
    fill(table, 2, 1, epoch: table.now)
    table.fill(row, epoch: table.now) { row in
      #expect(table.begin(row) == nil)
      fill(table, 2, 3, epoch: table.now)
      row[1].store(2, ordering: .relaxed)
    }
    #expect(value(table, 2) == 2)
  }

  @Test("between the halves of a renewal nothing is kept")
  func closed() {
    let table = Table()
    defer { table.deallocate() }
    fill(table, 2, 1, epoch: table.now)
    table.close()
    fill(table, 2, 2, epoch: table.now)
    table.reopen()
    #expect(value(table, 2) == nil)
  }

  @Test("a row that changes while it is read is not whole")
  func torn() {
    let table = Table()
    defer { table.deallocate() }
    fill(table, 0, 1, epoch: table.now)
    let row = table.row(0)
    let word = table.begin(row)
    #expect(word != nil)
    fill(table, 0, 1, epoch: table.now)
    #expect(!table.isWhole(row, word ?? 0))
  }

  @Test("before the epochs wrap they are renewed, and nothing of before is found")
  func renewal() {
    let table = Table()
    defer { table.deallocate() }
    table.set(.max - InvalidationClock.margin)
    #expect(!table.isExhausted)
    table.advance()
    #expect(table.isExhausted)
    let late = table.now
    fill(table, 3, 1, epoch: late)
    table.close()
    #expect(value(table, 3) == nil)
    fill(table, 3, 2, epoch: late)
    fill(table, 3, 2, epoch: table.now)
    #expect(value(table, 3) == nil, "closed")
    table.reopen()
    #expect(value(table, 3) == nil)
    table.set(late)
    #expect(value(table, 3) == nil, "even if the epoch of before came again")
  }
}
