// SPDX-License-Identifier: MIT
import SMMUSpec

extension Sentence {
  /// "IDR0.HYP"; the fields of IIDR and AIDR say in their names where they are.
  public mutating func append(place register: IdentificationRegister, _ field: Field) {
    if register != .iidr && register != .aidr {
      append(register.name)
      append(".")
    }
    append(field.name)
  }

  /// "IDR0.VMW = 1 needs IDR0.S2P, which is 0", "IDR0.TTENDIAN = 1: 1 is reserved",
  /// "IDR1.SIDSIZE = 8 with IDR0.ST_LEVEL = 0: 7 or more needs 2-level stream tables".
  @inline(never)
  public mutating func append(_ broken: Illegality, of features: Features) {
    let value = features[broken.register, broken.field]
    let other = features[broken.otherRegister, broken.other]
    append(place: broken.register, broken.field)
    append(" = ")
    append(UInt64(value))
    switch broken.demand {
    case .companion:
      append(" needs ")
      append(place: broken.otherRegister, broken.other)
      append(", which is ")
      append(UInt64(other))
    case .rule(let words):
      if broken.field != broken.other || broken.register != broken.otherRegister {
        append(" with ")
        append(place: broken.otherRegister, broken.other)
        append(" = ")
        append(UInt64(other))
      }
      append(": ")
      append(words)
    }
  }
}
