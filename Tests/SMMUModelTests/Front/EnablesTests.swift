// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("CR0 and its acknowledgement")
struct EnablesTests {
  @Test("every Update completes within its write (R-052, R-053, R-055)")
  func updates() {
    let guest = Guest()
    guest.start()
    guest["CMDQ_PROD"] = 0
    var random = SeededRandom("updates", default: 11)
    for _ in 0..<64 {
      let value = random.next() & 0xfff
      guest["CR0"] = value
      #expect(guest["CR0"] == value & 0x1cd)
      #expect(guest["CR0ACK"] == value & 0x1cd)
    }
  }

  @Test("fields of absent features are neither kept nor acknowledged (R-051)")
  func absent() {
    let guest = Guest(.linux)
    guest["CR0"] = 0xffff_ffff
    #expect(guest["CR0"] == 0xd)
    #expect(guest["CR0ACK"] == 0xd)
    guest["IRQ_CTRL"] = 0xffff_ffff
    #expect(guest["IRQ_CTRL"] == 5)
    #expect(guest["IRQ_CTRLACK"] == 5)
  }

  @Test("IRQ_CTRLACK mirrors IRQ_CTRL (R-102)")
  func interruptEnables() {
    let guest = Guest()
    for value: UInt64 in [0, 1, 4, 5, 7, 2, 0xffff_ffff, 0] {
      guest["IRQ_CTRL"] = value
      #expect(guest["IRQ_CTRL"] == value & 5)
      #expect(guest["IRQ_CTRLACK"] == value & 5)
    }
  }

  @Test("rewriting the same value does nothing (R-054)")
  func rewrite() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    #expect(streams.reads(1) == streams.first)
    _ = guest.machine.takeStale()
    let before = savedState(of: guest.smmu)
    guest["CR0"] = 0xd
    guest["IRQ_CTRL"] = 5
    #expect(savedState(of: guest.smmu) == before)
    #expect(guest.machine.stale == [])
    #expect(guest.machine.pulses == [])
    streams.remap()
    #expect(streams.reads(1) == streams.first)
  }

  @Test("changing one enable leaves the others at work (R-053)")
  func independent() {
    let guest = Guest.started()
    guest.fault(1)
    guest["CR0"] = 0x5
    guest.fault(2)
    guest["CR0"] = 0xd
    guest.command(numbered(1))
    guest["CR0"] = 0x9
    guest.command(numbered(2))
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [1, 2])
    #expect(guest.takeFaults() == [1, 2])
  }

  // MARK: SMMUEN

  @Test("with SMMUEN = 0 no table is read and nothing cached (R-066, R-370)")
  func disabledReadsNothing() {
    let guest = Guest()
    let outside = guest.machine.outside.lowerBound
    guest["STRTAB_BASE"] = outside
    guest["STRTAB_BASE_CFG"] = 8
    guest.machine.onRead = { address in Issue.record("read of \(address)") }
    let result = guest.translate(1, 0x1234)
    #expect(result.kind == .ok)
    #expect(result.address == 0x1234)
    // Prefetches and invalidations read no tables either.
    guest["CMDQ_BASE"] = Guest.commandQueue | 8
    guest["CR0"] = 8
    guest.command((0x01 | 1 << 32, 0), (0x02 | 1 << 32, 0), (0x03 | 1 << 32, 0), Guest.sync)
    #expect(guest["CMDQ_CONS"] == 4)
    // Enabled, it is looked up for the first time.
    guest.machine.onRead = { _ in }
    guest.machine.outsideBytes[64] = 1 | 4 << 1
    guest.machine.outsideBytes[64 + 13] = 1 << 4
    guest["CR0"] = 9
    #expect(guest.translate(1, 0x1234).kind == .ok)
    #expect(guest.smmu.counters[.configurationMisses] == 1)
  }

  @Test("with SMMUEN = 0 transactions make no events (R-068, R-092)")
  func disabledRecordsNothing() {
    let guest = Guest.started()
    guest["CR0"] = 0xc
    _ = guest.translate(0x8000_0000, 0)
    _ = guest.translate(1, 1 << 60)
    _ = guest.translate(1, 0, [], substream: 5)
    #expect(guest["EVENTQ_PROD"] == 0)
  }

  @Test("enabling ends the bypass, with CR2 in effect (R-071, R-082, R-099)")
  func enabling() {
    let guest = Guest.started()
    guest["CR0"] = 0xc
    guest["CR2"] = 0
    #expect(guest.translate(0x8000_0000, 0x1000).kind == .ok)
    guest["CR0"] = 0xd
    #expect(guest.translate(0x8000_0000, 0x1000).kind == .abort)
    #expect(guest["EVENTQ_PROD"] == 0)
    // GBPA.ABORT does not touch streams now.
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    guest["GBPA"] = 1 << 31 | 1 << 20
    #expect(streams.reads(1) == streams.first)
  }

  @Test("disabling SMMUEN waits for accesses that use translations (R-073)")
  func disabling() {
    let guest = Guest.started()
    let token = guest.smmu.beginAccess()
    var waited = 0
    guest.machine.onRelax = {
      waited += 1
      guest.smmu.endAccess(token)
    }
    guest["CR0"] = 0xc
    #expect(waited == 1)
    #expect(guest["CR0ACK"] == 0xc)
  }

  @Test("VMW exists with its feature only (R-051, R-057)")
  func wildcards() {
    let guest = Guest()
    guest["CR0"] = 7 << 6
    #expect(guest["CR0"] == 7 << 6)
    var features = Features.full
    features[.idr0, IDR0.vmw] = 0
    let without = Guest(features)
    without["CR0"] = 7 << 6
    #expect(without["CR0"] == 0)
  }
}
