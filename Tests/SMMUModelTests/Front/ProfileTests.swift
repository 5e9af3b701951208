// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@testable import SMMUModel

@Suite("Profiles")
struct ProfileTests {
  @Test("the profiles are legal and implemented")
  func profiles() {
    for features in [Features.full, .linux] {
      #expect(features.illegality == nil)
      #expect(features.unimplemented == nil)
    }
  }

  @Test("StreamIDs have 16 bits; up to 32 are implemented for who asks (R-031)")
  func streamIDs() {
    for profile in [Features.full, .linux] {
      #expect(profile.streamIDBits == 16)
      var wide = profile
      wide[.idr1, IDR1.sidsize] = 32
      #expect(wide.illegality == nil && wide.unimplemented == nil)
      wide[.idr1, IDR1.sidsize] = 33
      #expect(wide.unimplemented?.field == IDR1.sidsize)
    }
  }

  @Test("a feature that is not built is named (R-029)")
  func unimplemented() {
    let absent: [(IdentificationRegister, Field)] = [
      (.idr0, IDR0.rmeImpl), (.idr0, IDR0.httu), (.idr0, IDR0.dormhint),
      (.idr0, IDR0.hyp), (.idr0, IDR0.ns1ats), (.idr0, IDR0.sev),
      (.idr0, IDR0.atos), (.idr0, IDR0.pri), (.idr0, IDR0.vatos), (.idr0, IDR0.atsrecerr),
      (.idr1, IDR1.priqs), (.idr1, IDR1.rel), (.idr1, IDR1.queuesPreset),
      (.idr1, IDR1.tablesPreset), (.idr1, IDR1.ecmdq), (.idr2, IDR2.baVATOS), (.idr3, IDR3.pbha),
      (.idr3, IDR3.pps), (.idr3, IDR3.mpam), (.idr3, IDR3.e0pd), (.idr3, IDR3.ptwnnc),
      (.idr3, IDR3.dpt), (.idr3, IDR3.pasidtt), (.idr3, IDR3.epan), (.idr3, IDR3.s1pi),
      (.idr3, IDR3.s2pi), (.idr3, IDR3.s2po), (.idr3, IDR3.the), (.idr3, IDR3.mteperm),
      (.idr3, IDR3.aie), (.idr5, IDR5.ds), (.idr5, IDR5.d128), (.idr5, IDR5.vax),
      (.idr5, IDR5.stallMax), (.idr6, IDR6.log2NumQ), (.idr6, IDR6.log2NumP), (.aidr, AIDR.major),
    ]
    for (register, field) in absent {
      var features = Features.full
      features[register, field] = 1
      let found = features.unimplemented
      #expect(found?.register == register && found?.field == field, "\(field.name)")
    }
  }

  @Test("stalls and AArch32 tables can be offered by no value")
  func fixed() {
    for (field, value): (Field, UInt32) in [
      (IDR0.stallModel, 0), (IDR0.stallModel, 2), (IDR0.ttf, 1), (IDR0.ttf, 3),
    ] {
      var features = Features.full
      features[.idr0, field] = value
      #expect(features.unimplemented?.field == field, "\(field.name) \(value)")
    }
  }

  @Test("less than everything is implemented too, and BTM and ATS where they are promised")
  func less() {
    let smaller: [(IdentificationRegister, Field, UInt32)] = [
      (.idr0, IDR0.s2p, 0), (.idr0, IDR0.msi, 0), (.idr0, IDR0.asid16, 0), (.idr0, IDR0.vmid16, 0),
      (.idr0, IDR0.cd2l, 0), (.idr0, IDR0.ttendian, 2), (.idr0, IDR0.ttendian, 3),
      (.idr0, IDR0.termModel, 1), (.idr0, IDR0.btm, 1), (.idr0, IDR0.ats, 1),
      (.idr1, IDR1.sidsize, 6), (.idr1, IDR1.cmdqs, 0),
      (.idr3, IDR3.ril, 0), (.idr5, IDR5.oas, 0), (.idr5, IDR5.gran16K, 0),
      (.iidr, IIDR.implementer, 0x43b), (.iidr, IIDR.productID, 0xfff),
    ]
    for (register, field, value) in smaller {
      var features = Features.full
      features[register, field] = value
      #expect(features.unimplemented == nil, "\(field.name) \(value)")
    }
  }
}
