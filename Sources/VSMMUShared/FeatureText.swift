// SPDX-License-Identifier: MIT
import CSupport
import SMMUBase
import SMMUModel
import SMMUSpec

extension Features {
  /// Applies "NAME=value" pairs to a profile, and judges the result. Returns the fields whose value
  /// is "auto", which are as they are before a host decides them.
  public mutating func apply(_ text: UnsafePointer<CChar>?) throws(Refusal) -> AutomaticFields {
    var automatic: AutomaticFields = []
    if let text {
      var rest = text
      while let pair = FeaturePair(&rest) { try apply(pair, &automatic) }
    }
    self = settingAutomatic(automatic, toMost: false)
    if let (register, field) = unimplemented {
      var sentence = Sentence("this library does not implement ")
      sentence.append(place: register, field)
      sentence.append(" = ")
      sentence.append(UInt64(self[register, field]))
      throw Refusal(vsmmu_support_einval, sentence)
    }
    if let broken = illegality {
      var sentence = Sentence()
      sentence.append(broken, of: self)
      throw Refusal(vsmmu_support_einval, sentence)
    }
    return automatic
  }

  private mutating func apply(
    _ pair: FeaturePair, _ automatic: inout AutomaticFields
  ) throws(Refusal) {
    if pair.isAutomatic { return automatic.formUnion(try pair.automaticField) }
    guard let value = pair.value else {
      throw pair.refusal("features: a pair is NAME=number, not ")
    }
    for register in IdentificationRegister.allCases {
      if pair.isNamed(register.name) {
        for field in register.fields { automatic.subtract(AutomaticFields(register, field)) }
        let defined = register.fields.reduce(0) { $0 | $1.mask }
        guard UInt64(value) & ~defined == 0 else {
          throw pair.refusal("features: a reserved bit is set in ")
        }
        self[register] = value
        return
      }
      for field in register.fields where pair.isNamed(field.name) {
        guard UInt64(value) <= UInt64.ones(field.width) else {
          throw pair.refusal("features: the value is wider than the field in ")
        }
        automatic.subtract(AutomaticFields(register, field))
        self[register, field] = value
        return
      }
    }
    throw pair.refusal("features: there is no ID field named in ")
  }
}

/// One word of a features text.
private struct FeaturePair {
  let start: UnsafePointer<CChar>
  let nameLength: Int
  let length: Int

  /// The next word; nil at the end.
  init?(_ rest: inout UnsafePointer<CChar>) {
    while Self.separates(rest.pointee) { rest += 1 }
    guard rest.pointee != 0 else { return nil }
    start = rest
    var name: Int?
    var length = 0
    while rest.pointee != 0 && !Self.separates(rest.pointee) {
      if rest.pointee == 0x3d && name == nil { name = length }
      rest += 1
      length += 1
    }
    nameLength = name ?? length
    self.length = length
  }

  private static func separates(_ character: CChar) -> Bool {
    character == 0x20 || character == 0x2c || character == 0x09 || character == 0x0a
  }

  func isNamed(_ name: StaticString) -> Bool { isSame(name, from: 0, to: nameLength) }

  /// The value is "auto".
  var isAutomatic: Bool { isSame("auto", from: min(nameLength + 1, length), to: length) }

  private func isSame(_ text: StaticString, from first: Int, to end: Int) -> Bool {
    guard text.utf8CodeUnitCount == end - first else { return false }
    return text.withUTF8Buffer { buffer in
      for i in 0..<(end - first) where UInt8(bitPattern: start[first + i]) != buffer[i] {
        return false
      }
      return true
    }
  }

  /// The field that is named, if it can be automatic.
  var automaticField: AutomaticFields {
    get throws(Refusal) {
      for register in IdentificationRegister.allCases {
        for field in register.fields where isNamed(field.name) {
          let automatic = AutomaticFields(register, field)
          if !automatic.isEmpty { return automatic }
        }
      }
      throw refusal("features: auto is a value of SSIDSIZE, OAS, ATS and RIL alone, not in ")
    }
  }

  /// Decimal, or hexadecimal after 0x; nil if it is neither, or wider than 32 bits.
  var value: UInt32? {
    var place = nameLength + 1
    guard place < length else { return nil }
    let isHex = length - place > 2 && start[place] == 0x30 && start[place + 1] | 0x20 == 0x78
    let radix: UInt64 = isHex ? 16 : 10
    if isHex { place += 2 }
    var value: UInt64 = 0
    while place < length {
      guard let digit = Self.digit(start[place]), digit < radix else { return nil }
      value = value * radix + digit
      guard value <= UInt64(UInt32.max) else { return nil }
      place += 1
    }
    return UInt32(value)
  }

  private static func digit(_ character: CChar) -> UInt64? {
    let c = UInt8(bitPattern: character)
    switch c {
    case 0x30...0x39: return UInt64(c - 0x30)
    case 0x41...0x46: return UInt64(c - 0x41 + 10)
    case 0x61...0x66: return UInt64(c - 0x61 + 10)
    default: return nil
    }
  }

  func refusal(_ text: StaticString) -> Refusal {
    var sentence = Sentence(text)
    sentence.append(start, length)
    return Refusal(vsmmu_support_einval, sentence)
  }
}
