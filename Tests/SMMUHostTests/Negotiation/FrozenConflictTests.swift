// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUHost

@Suite struct FrozenConflictTests {
  func sentence(_ frozen: Features, _ device: DeviceFacts, bits: Int = 48) -> String? {
    Negotiation.conflict(of: frozen, by: device, stage2Bits: bits)?.sentence.text
  }

  @Test("A device with the same abilities honours frozen registers, and one with more")
  func honoured() {
    let less = DeviceFacts.rich { $0[.idr1, IDR1.ssidsize] = 4 }
    let frozen = Negotiation.decide(asked: .linux, devices: [less], stage2Bits: 48).chosen
    #expect(sentence(frozen, less) == nil)
    #expect(sentence(frozen, .rich) == nil)
  }

  @Test("The field that cannot be honoured is named with both values")
  func named() {
    #expect(
      sentence(.linux, .rich { $0[.idr5, IDR5.gran16K] = 0 })
        == "the guest has seen IDR5.GRAN16K = 1, and the SMMU of this device has 0: "
        + "the host has no more")
    #expect(
      sentence(.linux, .rich { $0[.idr1, IDR1.ssidsize] = 4 })?.contains("SSIDSIZE = 16") == true)
    #expect(
      sentence(.linux, .rich { $0[.idr0, IDR0.stallModel] = 2 })
        == "the guest has seen IDR0.STALL_MODEL = 1, and the SMMU of this device has 2: "
        + "the host cannot but stall faults, which this library does not offer")
    #expect(sentence(.linux, .rich, bits: 44)?.hasPrefix("the guest has seen IDR5.OAS = 5") == true)
    #expect(sentence(.linux, .rich, bits: 30)?.hasPrefix("the guest has seen IDR5.OAS = 5") == true)
  }

  @Test("A host value says more than a row that was not read")
  func preference() {
    let early = DeviceFacts.rich {
      $0[.idr3, IDR3.ril] = 0
      $0[.idr3, IDR3.bbml] = 0
    }
    #expect(sentence(.linux, early)?.hasPrefix("the guest has seen IDR3.RIL = 1") == true)
  }

  @Test("A guest that has seen stage 2 gets no assigned device")
  func stage2() {
    #expect(
      sentence(.full, .rich { $0[.idr0, IDR0.ttendian] = 0 })
        == "the guest has seen IDR0.S2P = 1, and with this device it would be 0: "
        + "stage 2 is the host's")
  }

  @Test("A device without ATS disturbs no guest that has seen ATS")
  func ats() {
    var frozen = Features.linux
    frozen[.idr0, IDR0.ats] = 1
    var without = DeviceFacts.rich
    without.capabilities = 8
    #expect(sentence(frozen, without) == nil)
  }

  @Test("A device whose SMMU does not listen is refused once the guest has seen BTM")
  func broadcast() {
    let deaf = DeviceFacts.rich { $0[.idr0, IDR0.btm] = 0 }
    let conflict = Negotiation.conflict(of: .broadcasting, by: deaf, broadcast: .complete)
    #expect(conflict?.missing == .hardware)
    #expect(
      conflict?.sentence.text == "the guest has seen IDR0.BTM = 1, and with this device it would "
        + "be 0: the host's SMMU has no broadcast TLB maintenance (IDR0.BTM = 0)")
    #expect(Negotiation.conflict(of: .broadcasting, by: .rich, broadcast: .complete) == nil)
  }

  @Test("Legal registers of a frozen guest are never reported for what only the other side has")
  func more() {
    var small = Features.linux
    small[.idr1, IDR1.ssidsize] = 0
    small[.idr5, IDR5.gran64K] = 0
    small[.idr0, IDR0.cd2l] = 0
    #expect(sentence(small, .rich) == nil)
  }
}
