// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Widths of identifiers, and the absence of what is not offered.
@Suite struct FeatureTests {
  typealias S = StreamTableEntry

  @Test("StreamIDs have SIDSIZE bits, SubstreamIDs SSIDSIZE (T-001)")
  func widths() {
    for bits in [0, 1, 6] as [UInt32] {
      let guest = Guest(StreamTableEntryTests.features { $0[.idr1, IDR1.sidsize] = bits })
      guest.start(streamBits: 20)
      var ste = StreamTableEntry()
      ste[S.v] = 1
      ste[S.config] = 4
      for stream in [0, 1 << bits - 1, 1 << bits] as [StreamID] { guest.setSTE(stream, ste) }
      #expect(guest.translate(1 << bits - 1, 0).kind == .ok)
      #expect(guest.translate(1 << bits, 0).event == .badStreamID)
    }
    for bits in [1, 5, 20] as [UInt32] {
      let scene = Scene(
        .stage1, StreamTableEntryTests.features { $0[.idr1, IDR1.ssidsize] = bits })
      scene.change {
        $0.ste[S.s1cdMax] = UInt64(bits)
        $0.ste[S.s1dss] = 1
      }
      #expect(scene.event(substream: 1 << bits) == .badSubstreamID)
      #expect(scene.event(substream: 1 << bits - 1) != .badSubstreamID)
      scene.change { $0.ste[S.s1cdMax] = UInt64(bits) + 1 }
      #expect(scene.event() == .badSTE)
    }
  }

  @Test("A SIDSIZE of 7 or more needs two-level stream tables (T-002)")
  func streamLevels() {
    for bits in 0...32 as ClosedRange<UInt32> {
      for level in [0, 1] as [UInt32] {
        let f = StreamTableEntryTests.features {
          $0[.idr1, IDR1.sidsize] = bits
          $0[.idr0, IDR0.stLevel] = level
        }
        #expect((f.illegality == nil) == (level == 1 || bits < 7), "SIDSIZE \(bits)")
      }
    }
  }

  @Test("Commands of ATS, PRI and stalls are CERROR_ILL (T-212, T-265, T-277, R-070)")
  func absentCommands() {
    for enable in [0xc, 0xd] as [UInt64] {
      for opcode in [0x40, 0x41, 0x44, 0x45] as [UInt64] {
        let guest = Guest()
        guest.start()
        guest["CR0"] = enable
        guest.command((opcode, 0))
        #expect(guest["GERROR"] & 1 == 1)
        #expect(guest["CMDQ_CONS"] >> 24 & 0x7f == 1)
      }
    }
  }

  @Test("There is no broadcast invalidation to switch off: CR2.PTM is RES0 (T-367)")
  func broadcast() {
    let guest = Guest()
    guest["CR2"] = 1 << 2
    #expect(guest["CR2"] & 1 << 2 == 0)
  }

  @Test("Queue bases and MSI addresses lose the bits beyond OAS (T-041)")
  func truncation() {
    let guest = Guest(StreamTableEntryTests.features { $0[.idr5, IDR5.oas] = 2 })
    let high: UInt64 = 0x7f << 40
    guest["EVENTQ_BASE"] = Guest.eventQueue | high | 7
    #expect(guest["EVENTQ_BASE"] & ~0x1f == Guest.eventQueue)
    guest.start()
    let target = guest.allocate(64)
    guest.command((0x46 | 1 << 12 | 0x1234_5678 << 32, target | high))
    #expect(guest.machine[target] == 0x1234_5678)
  }
}
