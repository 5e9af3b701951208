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
        + "the host has no more; features \"GRAN16K=0\" or VSMMU_PROFILE_ASSIGN would have "
        + "avoided it"
    )
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
        + "stage 2 is the host's; VSMMU_PROFILE_ASSIGN would have avoided it")
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

  /// What a sentence says to ask for: "NAME=value,NAME=value".
  func remedy(_ sentence: String) -> String? {
    let parts = sentence.split(separator: "\"")
    return parts.count < 2 ? nil : String(parts[1])
  }

  @Test("What would have avoided a refusal is named, and does avoid it")
  func avoided() throws {
    let small = DeviceFacts.rich {
      $0[.idr1, IDR1.ssidsize] = 4
      $0[.idr0, IDR0.asid16] = 0
      $0[.idr5, IDR5.gran64K] = 0
    }
    let text = try #require(sentence(.linux, small))
    #expect(remedy(text) == "ASID16=0,SSIDSIZE=4,GRAN64K=0")
    #expect(text.hasSuffix("\" or VSMMU_PROFILE_ASSIGN would have avoided it"))
    var asked = Features.linux
    asked[.idr0, IDR0.asid16] = 0
    asked[.idr1, IDR1.ssidsize] = 4
    asked[.idr5, IDR5.gran64K] = 0
    #expect(sentence(asked, small) == nil)
    #expect(sentence(.assign, small) == nil)
  }

  @Test("Where no setting helps none is named")
  func unavoidable() throws {
    let stalling = try #require(sentence(.linux, .rich { $0[.idr0, IDR0.stallModel] = 2 }))
    #expect(!stalling.contains("avoided"))
    // Too little for the profile too; a number would have done.
    let narrow = try #require(sentence(.linux, .rich, bits: 40))
    #expect(remedy(narrow) == "OAS=2")
    #expect(!narrow.contains("VSMMU_PROFILE_ASSIGN"))
    #expect(try #require(sentence(.linux, .rich, bits: 30)).contains("avoided") == false)
  }

  @Test("Many fields are not listed: the profile is named alone")
  func many() throws {
    let text = try #require(sentence(.full, .rich))
    #expect(remedy(text) == nil)
    #expect(text.hasSuffix("; VSMMU_PROFILE_ASSIGN would have avoided it"))
  }
}
