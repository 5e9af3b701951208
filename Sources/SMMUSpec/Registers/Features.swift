// SPDX-License-Identifier: MIT

/// What an SMMU offers: its ID registers, which say it all (§6.3.1 to §6.3.8, §6.3.45).
public struct Features: Equatable, Sendable {
  public var idr0: UInt32 = 0
  public var idr1: UInt32 = 0
  public var idr2: UInt32 = 0
  public var idr3: UInt32 = 0
  public var idr4: UInt32 = 0
  public var idr5: UInt32 = 0
  public var idr6: UInt32 = 0
  public var iidr: UInt32 = 0
  public var aidr: UInt32 = 0

  public init() {}

  @inline(__always)
  private static func value(_ register: UInt32, _ field: Field) -> Int {
    Int(truncatingIfNeeded: UInt64(register)[field.high, field.low])
  }
  @inline(__always)
  private static func isSet(_ register: UInt32, _ field: Field) -> Bool {
    UInt64(register)[field.low]
  }

  public var stage1: Bool { Self.isSet(idr0, IDR0.s1p) }
  public var stage2: Bool { Self.isSet(idr0, IDR0.s2p) }
  public var translationTableFormats: Int { Self.value(idr0, IDR0.ttf) }
  public var hyp: Bool { Self.isSet(idr0, IDR0.hyp) }
  public var ats: Bool { Self.isSet(idr0, IDR0.ats) }
  public var broadcast: Bool { Self.isSet(idr0, IDR0.btm) }
  public var asid16: Bool { Self.isSet(idr0, IDR0.asid16) }
  public var vmid16: Bool { Self.isSet(idr0, IDR0.vmid16) }
  public var msi: Bool { Self.isSet(idr0, IDR0.msi) }
  public var pri: Bool { Self.isSet(idr0, IDR0.pri) }
  public var vmidWildcards: Bool { Self.isSet(idr0, IDR0.vmw) }
  public var twoLevelCDs: Bool { Self.isSet(idr0, IDR0.cd2l) }
  public var twoLevelStreamTable: Bool { Self.value(idr0, IDR0.stLevel) == 1 }
  public var endianness: Int { Self.value(idr0, IDR0.ttendian) }
  public var stallModel: Int { Self.value(idr0, IDR0.stallModel) }
  public var terminateIsAbort: Bool { Self.isSet(idr0, IDR0.termModel) }

  public var streamIDBits: Int { Self.value(idr1, IDR1.sidsize) }
  public var substreamIDBits: Int { Self.value(idr1, IDR1.ssidsize) }
  public var commandQueueBits: Int { Self.value(idr1, IDR1.cmdqs) }
  public var eventQueueBits: Int { Self.value(idr1, IDR1.eventqs) }
  public var attributeTypesOverride: Bool { Self.isSet(idr1, IDR1.attrTypesOvr) }
  public var attributePermissionsOverride: Bool { Self.isSet(idr1, IDR1.attrPermsOvr) }

  public var hierarchicalAttributeDisable: Bool { Self.isSet(idr3, IDR3.had) }
  public var stage2ExecuteNeverExtended: Bool { Self.isSet(idr3, IDR3.xnx) }
  public var forcedWriteBack: Bool { Self.isSet(idr3, IDR3.fwb) }
  public var smallTables: Bool { Self.isSet(idr3, IDR3.stt) }
  public var rangeInvalidation: Bool { Self.isSet(idr3, IDR3.ril) }

  /// Output address size, as IDR5.OAS has it and in bits.
  @inline(__always)
  public var outputSize: UInt64 { UInt64(Self.value(idr5, IDR5.oas)) }
  @inline(__always)
  public var outputBits: Int { addressBits(outputSize) }

  @inline(__always)
  public func supports(_ granule: Granule) -> Bool {
    switch granule {
    case .size4K: Self.isSet(idr5, IDR5.gran4K)
    case .size16K: Self.isSet(idr5, IDR5.gran16K)
    case .size64K: Self.isSet(idr5, IDR5.gran64K)
    }
  }

  /// The ID register that a row of the register map shows.
  public subscript(_ register: IdentificationRegister) -> UInt32 {
    get {
      switch register {
      case .idr0: idr0
      case .idr1: idr1
      case .idr2: idr2
      case .idr3: idr3
      case .idr4: idr4
      case .idr5: idr5
      case .idr6: idr6
      case .iidr: iidr
      case .aidr: aidr
      }
    }
    set {
      switch register {
      case .idr0: idr0 = newValue
      case .idr1: idr1 = newValue
      case .idr2: idr2 = newValue
      case .idr3: idr3 = newValue
      case .idr4: idr4 = newValue
      case .idr5: idr5 = newValue
      case .idr6: idr6 = newValue
      case .iidr: iidr = newValue
      case .aidr: aidr = newValue
      }
    }
  }

  /// One field of one ID register.
  public subscript(_ register: IdentificationRegister, _ field: Field) -> UInt32 {
    get { UInt32(truncatingIfNeeded: UInt64(self[register])[field.high, field.low]) }
    set {
      var word = UInt64(self[register])
      word[field.high, field.low] = UInt64(newValue)
      self[register] = UInt32(truncatingIfNeeded: word)
    }
  }
}

/// The registers that `Features` holds.
public enum IdentificationRegister: UInt8, CaseIterable, Sendable {
  case idr0, idr1, idr2, idr3, idr4, idr5, idr6, iidr, aidr

  public var name: StaticString {
    switch self {
    case .idr0: "IDR0"
    case .idr1: "IDR1"
    case .idr2: "IDR2"
    case .idr3: "IDR3"
    case .idr4: "IDR4"
    case .idr5: "IDR5"
    case .idr6: "IDR6"
    case .iidr: "IIDR"
    case .aidr: "AIDR"
    }
  }

  public var fields: [Field] {
    switch self {
    case .idr0: IDR0.fields
    case .idr1: IDR1.fields
    case .idr2: IDR2.fields
    case .idr3: IDR3.fields
    case .idr4: []
    case .idr5: IDR5.fields
    case .idr6: IDR6.fields
    case .iidr: IIDR.fields
    case .aidr: AIDR.fields
    }
  }
}

/// The condition under which a register, a field or a command exists.
public enum Gate: UInt8, CaseIterable, Sendable {
  case always, never
  case stage1, stage2, stage1AndHyp
  case msi, pri, msiAndPRI, ats, atsRecordErrors
  case vmidWildcards, broadcast, hyp, dormantHint
  case twoLevelStreamTable, enhancedQueues, mpam, stalls, devicePermissionTable
  case attributeTypes, attributePermissions

  @inline(__always)
  public func holds(_ f: Features) -> Bool {
    switch self {
    case .always: true
    case .never: false
    case .stage1: f.stage1
    case .stage2: f.stage2
    case .stage1AndHyp: f.stage1 && f.hyp
    case .msi: f.msi
    case .pri: f.pri
    case .msiAndPRI: f.msi && f.pri
    case .ats: f.ats
    case .atsRecordErrors: f[.idr0, IDR0.atsrecerr] != 0
    case .vmidWildcards: f.vmidWildcards
    case .broadcast: f.broadcast
    case .hyp: f.hyp
    case .dormantHint: f[.idr0, IDR0.dormhint] != 0
    case .twoLevelStreamTable: f[.idr0, IDR0.stLevel] != 0
    case .enhancedQueues: f[.idr1, IDR1.ecmdq] != 0
    case .mpam: f[.idr3, IDR3.mpam] != 0
    case .stalls: f.stallModel != 1
    case .devicePermissionTable: f[.idr3, IDR3.dpt] != 0
    case .attributeTypes: f.attributeTypesOverride
    case .attributePermissions: f.attributePermissionsOverride
    }
  }
}
