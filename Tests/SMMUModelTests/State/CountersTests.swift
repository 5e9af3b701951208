// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("Counters")
struct CountersTests {
  @Test("each counter counts its own")
  func separate() {
    let guest = Guest()
    for counter in Counter.allCases {
      for _ in 0...counter.rawValue { guest.smmu.counters.add(counter) }
    }
    for counter in Counter.allCases {
      #expect(guest.smmu.counters[counter] == UInt64(counter.rawValue + 1), "\(counter)")
    }
  }

  @Test("they count what the SMMU does")
  func work() {
    let guest = Guest.started(eventBits: 0)
    guest.command(numbered(1), (0x03, 1), Guest.sync, Guest.illegal)
    guest.fault()
    guest.fault()
    let counters = guest.smmu.counters
    #expect(counters[.commands] == 3)
    #expect(counters[.commandErrors] == 1)
    #expect(counters[.syncs] == 1)
    #expect(counters[.invalidations] == 1)
    #expect(counters[.eventsRecorded] == 1)
    #expect(counters[.eventsDropped] == 1)
    #expect(counters[.configurationMisses] == 2)
    #expect(counters[.tlbMisses] == 0)
    #expect(counters[.externalAborts] == 0)
  }

  @Test("a hit counts nothing")
  func hits() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    for _ in 0..<5 { _ = streams.reads(1) }
    #expect(guest.smmu.counters[.configurationMisses] == 1)
    #expect(guest.smmu.counters[.tlbMisses] == 1)
  }
}
