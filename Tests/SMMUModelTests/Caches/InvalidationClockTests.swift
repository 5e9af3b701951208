// SPDX-License-Identifier: MIT
import Testing

@testable import SMMUModel

@Suite("The invalidation clock")
struct InvalidationClockTests {
  @Test("a stamp is the moment at which it expired last")
  func stamps() {
    let clock = InvalidationClock(stamps: 4)
    defer { clock.deallocate() }
    let start = clock.now
    for (step, stamp) in [2, 0, 2, 3].enumerated() {
      clock.advance()
      clock.expire(stamp)
      #expect(clock.now == start + UInt32(step) + 1)
      #expect(clock[stamp] == clock.now)
    }
    #expect((0..<4).map { clock[$0] } == [start + 2, 0, start + 3, start + 4])
  }

  @Test("that the wrap is near is told in time, and not before")
  func exhausted() {
    let clock = InvalidationClock(stamps: 1)
    defer { clock.deallocate() }
    #expect(!clock.isExhausted)
    clock.set(.max - InvalidationClock.margin)
    #expect(!clock.isExhausted)
    clock.advance()
    #expect(clock.isExhausted)
  }

  @Test("closed, nothing is alive and nothing may be kept; reopened, all stamps are old")
  func renewal() {
    let clock = InvalidationClock(stamps: 3)
    defer { clock.deallocate() }
    clock.set(.max)
    clock.expire(1)
    clock.close()
    // Entries are alive while they are no older than their stamps.
    #expect(clock[0] == .max)
    #expect(clock.now == InvalidationClock.closed)
    clock.reopen()
    #expect(clock.now != InvalidationClock.closed)
    for stamp in 0..<3 { #expect(clock[stamp] <= clock.now) }
    #expect(clock[InvalidationClock.everything] > 0, "a row that changes has time 0")
    #expect(!clock.isExhausted)
  }
}
