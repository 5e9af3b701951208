// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("Global errors")
struct GlobalErrorTests {
  @Test("an error toggles its bit and is active until GERRORN follows (R-122, R-124)")
  func toggles() {
    let guest = Guest.started()
    for round in 0..<UInt64(4) {
      guest.smmu.raise(GlobalError.eventqAbort)
      #expect(guest["GERROR"] == (round % 2 == 0 ? 4 : 0))
      #expect(guest.smmu.isActive(GlobalError.eventqAbort))
      let before = guest["GERROR"]
      guest.acknowledgeErrors()
      #expect(guest["GERROR"] == before)
      #expect(!guest.smmu.isActive(GlobalError.eventqAbort))
    }
  }

  @Test("an active error does not toggle again (R-123)")
  func once() {
    let guest = Guest.started()
    guest.smmu.raise(GlobalError.msiCmdqAbort)
    guest.smmu.raise(GlobalError.msiCmdqAbort)
    #expect(guest["GERROR"] == 1 << 4)
    #expect(guest.machine.pulses == [.globalError])
  }

  @Test("acknowledging one bit leaves the others active (R-125)")
  func independent() {
    let guest = Guest.started()
    guest.command(Guest.illegal, numbered(1))
    guest.smmu.raise(GlobalError.eventqAbort)
    guest["GERRORN"] = 4
    #expect(guest.activeErrors == 1)
    #expect(guest.machine.takeNumbers() == [])
    #expect(guest["CMDQ_CONS"] == 1 << 24)
    guest.smmu.raise(GlobalError.eventqAbort)
    guest["CMDQ_PROD"] = 0
    guest["GERRORN"] = 4 | 1
    #expect(guest.activeErrors == 4)
  }

  @Test("GERRORN reads as written, the SMMU never changes it (R-126)")
  func acknowledgement() {
    let guest = Guest.started()
    for value: UInt64 in [0, 4, 0x10, 0x1b4 & 0x1b5, 0] {
      guest["GERRORN"] = value
      #expect(guest["GERRORN"] == value)
      guest.smmu.raise(GlobalError.msiEventqAbort)
      #expect(guest["GERRORN"] == value)
    }
  }

  @Test("bits of absent features exist in neither register (R-127)")
  func reserved() {
    let guest = Guest.started()
    guest["GERRORN"] = 0xffff_ffff
    // CMDQ_ERR, EVENTQ_ABT_ERR, the MSI aborts but PRIQ's, SFM_ERR.
    #expect(guest["GERRORN"] == 0x1b5)
    #expect(guest["GERROR"] == 0)
    var features = Features.full
    features[.idr0, IDR0.msi] = 0
    let wired = Guest.started(features)
    wired["GERRORN"] = 0xffff_ffff
    #expect(wired["GERRORN"] == 0x105)
  }

  @Test("toggling GERRORN of an inactive error makes it active, quietly (R-128)")
  func inverted() {
    let guest = Guest.started()
    guest["GERRORN"] = 1
    #expect(guest.activeErrors == 1)
    #expect(guest.machine.pulses == [])
    #expect(guest["CMDQ_CONS"] == 0)
    guest.command(numbered(1))
    #expect(guest.machine.takeNumbers() == [])
    guest["GERRORN"] = 0
    #expect(guest.machine.takeNumbers() == [1])
    // Nor is a real error told while the bit counts as active.
    guest["GERRORN"] = 4
    guest.smmu.raise(GlobalError.eventqAbort)
    #expect(guest["GERROR"] == 0)
  }

  @Test("every failed write of the SMMU is reported (R-132)")
  func reported() {
    let guest = Guest.started()
    guest["CR0"] = 0x9
    guest["EVENTQ_BASE"] = 0x7000_0000
    guest["CR0"] = 0xd
    guest.machine.messagesAccepted = false
    guest.fault()
    guest.command((0x46 | 1 << 12, 0x7000_0000))
    #expect(guest.activeErrors == 1 << 2 | 1 << 4)
    #expect(guest.smmu.counters[.externalAborts] == 2)
  }
}
