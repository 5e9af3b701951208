// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUSpec
import Testing

/// vsmmu_config.features over all that it can name.
@Suite("Features by name")
struct FeatureTextTests {
  struct Named: CustomTestStringConvertible {
    let register: IdentificationRegister
    let field: Field
    var testDescription: String { "\(register.name).\(field.name)" }
  }

  static let fields = IdentificationRegister.allCases.flatMap { register in
    register.fields.map { Named(register: register, field: $0) }
  }

  @Test("a name means one field")
  func namesAreUnique() {
    var seen = Set(IdentificationRegister.allCases.map { "\($0.name)" })
    for named in Self.fields {
      #expect(seen.insert("\(named.field.name)").inserted, "\(named.field.name) is twofold")
    }
  }

  /// Every value is either what the guest then reads, all other fields untouched, or refused with
  /// the name of the field.
  @Test("each value of each field is shown or refused by name (R-007)", arguments: fields)
  func valuesAreShownOrRefused(named: Named) throws {
    let plain = try TestDevice()
    let width = named.field.width
    var values = Set((0...8).map { UInt64($0) }.filter { $0 <= UInt64.ones(width) })
    values.insert(UInt64.ones(width))
    for value in values {
      do {
        let device = try TestDevice("\(named.field.name)=\(value)")
        for register in IdentificationRegister.allCases {
          var expected = plain.read(offset(of: register))
          if register == named.register { expected[named.field.high, named.field.low] = value }
          // Only an assigned device brings ATS.
          if named.register == .idr0 && named.field == IDR0.ats {
            expected = plain.read(offset(of: register))
          }
          // IDR6 exists with ECMDQ alone.
          if register == .idr6 { expected = 0 }
          #expect(device.read(offset(of: register)) == expected)
        }
      } catch let refused as TestDevice.Refused {
        #expect(refused.code == vsmmuEINVAL)
        #expect(refused.message.contains("\(named.field.name)"), "\(refused.message)")
      }
    }
    #expect(throws: TestDevice.Refused.self) {
      _ = try TestDevice("\(named.field.name)=\(UInt64.ones(width) + 1)")
    }
  }

  @Test("a register's whole value is the sum of its fields")
  func registersAsAWhole() throws {
    for register in IdentificationRegister.allCases where register != .idr6 {
      let value = try TestDevice().read(offset(of: register))
      let device = try TestDevice("\(register.name)=0x\(String(value, radix: 16))")
      #expect(device.read(offset(of: register)) == value)
    }
  }

  @Test("what the Linux profile leaves out can be asked for")
  func profilesAreAStart() throws {
    let device = try TestDevice("S2P=1,VMID16=1,XNX=1", profile: VSMMU_PROFILE_LINUX)
    #expect(device.read(0)[0])
    #expect(device.read(0)[18])
  }
}

/// Linux numbers; the tests link no other libc header for one constant.
let vsmmuEINVAL: Int32 = -22
let vsmmuE2BIG: Int32 = -7
