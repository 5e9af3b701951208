// SPDX-License-Identifier: MIT
import Dispatch
import Foundation
import SMMUAtomics
import Testing

@testable import SMMUModel

@Suite("A table whose rows live until a stamp kills them")
struct SequencedTableTests {
  typealias Table = SequencedTable<4>
  private let table = Table(entries: 8)
  private let clock = InvalidationClock(stamps: 1)

  private func fill(_ number: Int, _ value: UInt64, time: UInt32) {
    table.fill(table.row(number), time: time, clock: clock) {
      $0[1].store(value, ordering: .relaxed)
    }
  }

  @Test("a row is filled at the time that it was looked up, or not at all")
  func times() {
    let before = clock.now
    fill(1, 11, time: before)
    #expect(table.peek(1, 1) == 11)
    #expect(table.time(1) == before)
    clock.advance()
    fill(1, 12, time: before)
    #expect(table.time(1) == 0, "what was there is gone: it says nothing of now")
    fill(1, 13, time: clock.now)
    #expect(table.peek(1, 1) == 13)
    fill(1, 14, time: InvalidationClock.closed)
    #expect(table.peek(1, 1) == 13)
  }

  @Test("a row that is being filled is neither whole nor filled by others")
  func claims() {
    fill(2, 1, time: clock.now)
    let row = table.row(2)
    let begun = row[0].load(ordering: .relaxed)
    table.fill(row, time: clock.now, clock: clock) { row in
      #expect(!SequencedRow.isWhole(row, begun))
      #expect(table.time(2) == 0)
      fill(2, 3, time: clock.now)
      row[1].store(2, ordering: .relaxed)
    }
    #expect(table.peek(2, 1) == 2)
  }

  @Test("who removes waits for who fills, and leaves what is not meant")
  func removal() {
    fill(3, 5, time: clock.now)
    clock.advanceAndFence()
    table.clear(3) { $0[1].load(ordering: .relaxed) == 6 }
    #expect(table.peek(3, 1) == 5)
    #expect(SequencedRow.claim(table.row(3)))
    let done = DispatchSemaphore(value: 0)
    let shared = Shared(table: table)
    Thread.detachNewThread {
      shared.table.clear(3) { _ in false }
      done.signal()
    }
    #expect(done.wait(timeout: .now() + .milliseconds(20)) == .timedOut)
    SequencedRow.release(table.row(3), time: 1)
    done.wait()
    #expect(table.peek(3, 1) == 0, "it was busy: to forget more than asked is right")
  }

  private struct Shared: @unchecked Sendable { let table: Table }
}
