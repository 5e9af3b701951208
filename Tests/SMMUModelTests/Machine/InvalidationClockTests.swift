// SPDX-License-Identifier: MIT
import Testing

@testable import SMMUModel

@Suite("The invalidation clock")
struct InvalidationClockTests {
  @Test("a stamp is the moment at which it expired last")
  func stamps() {
    let clock = InvalidationClock(stamps: 4)
    defer { clock.deallocate() }
    #expect(clock.now == 0)
    for stamp in [2, 0, 2, 3] {
      let before = clock.now
      #expect(clock.advance())
      clock.expire(stamp)
      #expect(clock.now == before + 1)
      #expect(clock[stamp] == clock.now)
    }
    #expect((0..<4).map { clock[$0] } == [2, 0, 3, 4])
  }

  @Test("when the time wraps it says so, and nothing is younger than what comes now")
  func wraps() {
    let clock = InvalidationClock(stamps: 3)
    defer { clock.deallocate() }
    clock.set(.max - 1)
    #expect(clock.advance())
    clock.expire(1)
    #expect(clock[1] == .max)
    #expect(!clock.advance())
    for stamp in 0..<3 { #expect(clock[stamp] < clock.now) }
    #expect(clock.now != 0)
    #expect(clock.advance())
  }
}
