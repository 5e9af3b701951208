// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("Features that are not there")
struct AbsentFeaturesTests {
  /// Offset ranges of registers whose gates are 0 (§6.2.1), read and written as 32 bits.
  @Test(
    "their registers read zero and ignore writes (R-018)",
    arguments: [
      (UInt64(0x30), UInt64(0x38), "S2PII"), (0x40, 0x44, "STATUSR"), (0xc0, 0xe0, "PRIQ"),
      (0x100, 0x120, "GATOS"), (0x130, 0x140, "MPAM"), (0x180, 0x184, "VATOS_SEL"),
      (0x190, 0x194, "IDR6"), (0x200, 0x218, "DPT"), (0x4000, 0x4040, "CMDQ_CONTROL_PAGE"),
      (0x8000, 0x8200, "Secure"), (0x100c8, 0x100d0, "PRIQ indices"),
    ])
  func registers(range: (UInt64, UInt64, String)) {
    for features in [Features.full, .linux] {
      let guest = Guest(features)
      for offset in stride(from: range.0, to: range.1, by: 4) { guest.write32(offset, 0xffff_ffff) }
      for offset in stride(from: range.0, to: range.1, by: 4) {
        #expect(guest.read32(offset) == 0, "\(range.2) \(offset)")
      }
      for offset in stride(from: range.0, to: range.1 & ~7, by: 8) {
        guest.write64(offset, .max)
        #expect(guest.read64(offset) == 0)
      }
    }
  }

  @Test("a device that caches never claims to be dormant (R-086)")
  func dormant() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    _ = streams.reads(1)
    #expect(guest["STATUSR"] == 0)
  }

  @Test("AGBPA has no bits (R-018)")
  func implementationDefinedBypass() {
    let guest = Guest()
    guest["AGBPA"] = .max
    #expect(guest["AGBPA"] == 0)
  }

  @Test("MSI registers are there with MSIs only (R-106)")
  func messages() {
    var features = Features.full
    features[.idr0, IDR0.msi] = 0
    let guest = Guest(features)
    for offset in [UInt64(0x68), 0x6c, 0x70, 0x74, 0xb0, 0xb4, 0xb8, 0xbc] {
      guest.write32(offset, 0xffff_ffff)
      #expect(guest.read32(offset) == 0)
    }
  }

  @Test("MSI addresses end at the output size (R-105)")
  func messageAddresses() {
    var features = Features.full
    features[.idr5, IDR5.oas] = 2
    let guest = Guest(features)
    guest["EVENTQ_IRQ_CFG0"] = .max
    #expect(guest["EVENTQ_IRQ_CFG0"] == 0xff_ffff_fffc)
    guest["GERROR_IRQ_CFG0"] = .max
    #expect(guest["GERROR_IRQ_CFG0"] == 0xff_ffff_fffc)
  }

  @Test("queue addresses end at the output size (R-150)")
  func queueAddresses() {
    var features = Features.full
    features[.idr5, IDR5.oas] = 0
    let guest = Guest.started(features)
    guest["CR0"] = 0
    guest["CMDQ_BASE"] = 0x00ff_ff00_0000_0000 | Guest.commandQueue | 3
    guest["EVENTQ_BASE"] = 0x00ff_ff00_0000_0000 | Guest.eventQueue | 3
    #expect(guest["CMDQ_BASE"] == Guest.commandQueue | 3)
    guest["CR0"] = 0xd
    guest.command(numbered(5))
    #expect(guest.machine.takeNumbers() == [5])
    guest.fault(5)
    #expect(guest.takeFaults() == [5])
  }
}
