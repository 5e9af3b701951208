// SPDX-License-Identifier: MIT
import SMMUSpec

/// ID fields that are asked to be "auto": the hosts of assigned devices decide them, until the
/// guest may have seen the registers.
public struct AutomaticFields: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static var ats: AutomaticFields { AutomaticFields(rawValue: 1) }
  public static var ssidsize: AutomaticFields { AutomaticFields(rawValue: 2) }
  public static var ril: AutomaticFields { AutomaticFields(rawValue: 4) }
  public static var oas: AutomaticFields { AutomaticFields(rawValue: 8) }

  /// The field as a set of one; empty where no host could decide.
  public init(_ register: IdentificationRegister, _ field: Field) {
    switch register {
    case .idr0 where field == IDR0.ats: self = .ats
    case .idr1 where field == IDR1.ssidsize: self = .ssidsize
    case .idr3 where field == IDR3.ril: self = .ril
    case .idr5 where field == IDR5.oas: self = .oas
    default: self = []
    }
  }

  public func contains(_ register: IdentificationRegister, _ field: Field) -> Bool {
    !isDisjoint(with: AutomaticFields(register, field))
  }
}

extension Features {
  /// With the automatic fields as they are before the first host, 44 bits of addresses and else
  /// nothing; or as much as this library implements, which hosts then limit. RIL came with SMMUv3.1
  /// (§2.9): a revision that is asked to be older has none.
  public func settingAutomatic(_ automatic: AutomaticFields, toMost: Bool) -> Features {
    var features = self
    for register in IdentificationRegister.allCases {
      for field in register.fields where automatic.contains(register, field) {
        let least: UInt32 = register == .idr5 ? 4 : 0
        let isTooOld = register == .idr3 && self[.aidr, AIDR.minor] == 0
        features[register, field] = toMost && !isTooOld ? Self.most(register, field) : least
      }
    }
    return features
  }
}
