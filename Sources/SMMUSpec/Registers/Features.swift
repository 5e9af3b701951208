// SPDX-License-Identifier: MIT

/// What an SMMU offers: its ID registers, which say it all (§6.3.1 to §6.3.8, §6.3.45).
public struct Features: Equatable, Sendable {
  private var words = InlineArray<9, UInt32>(repeating: 0)

  public init() {}

  public static func == (a: Features, b: Features) -> Bool {
    for i in a.words.indices where a.words[i] != b.words[i] { return false }
    return true
  }

  @inline(__always)
  private func value(_ register: IdentificationRegister, _ field: Field) -> Int {
    Int(truncatingIfNeeded: self[register, field])
  }
  @inline(__always)
  private func isSet(_ register: IdentificationRegister, _ field: Field) -> Bool {
    UInt64(self[register])[field.low]
  }

  public var stage1: Bool { isSet(.idr0, IDR0.s1p) }
  public var stage2: Bool { isSet(.idr0, IDR0.s2p) }
  public var translationTableFormats: Int { value(.idr0, IDR0.ttf) }
  public var hyp: Bool { isSet(.idr0, IDR0.hyp) }
  public var ats: Bool { isSet(.idr0, IDR0.ats) }
  public var broadcast: Bool { isSet(.idr0, IDR0.btm) }
  public var asid16: Bool { isSet(.idr0, IDR0.asid16) }
  public var vmid16: Bool { isSet(.idr0, IDR0.vmid16) }
  public var msi: Bool { isSet(.idr0, IDR0.msi) }
  public var pri: Bool { isSet(.idr0, IDR0.pri) }
  public var vmidWildcards: Bool { isSet(.idr0, IDR0.vmw) }
  public var twoLevelCDs: Bool { isSet(.idr0, IDR0.cd2l) }
  public var twoLevelStreamTable: Bool { value(.idr0, IDR0.stLevel) == 1 }
  public var endianness: Int { value(.idr0, IDR0.ttendian) }
  public var stallModel: Int { value(.idr0, IDR0.stallModel) }
  public var terminateIsAbort: Bool { isSet(.idr0, IDR0.termModel) }

  public var streamIDBits: Int { value(.idr1, IDR1.sidsize) }
  public var substreamIDBits: Int { value(.idr1, IDR1.ssidsize) }
  public var commandQueueBits: Int { value(.idr1, IDR1.cmdqs) }
  public var eventQueueBits: Int { value(.idr1, IDR1.eventqs) }
  public var attributeTypesOverride: Bool { isSet(.idr1, IDR1.attrTypesOvr) }
  public var attributePermissionsOverride: Bool { isSet(.idr1, IDR1.attrPermsOvr) }

  public var hierarchicalAttributeDisable: Bool { isSet(.idr3, IDR3.had) }
  public var stage2ExecuteNeverExtended: Bool { isSet(.idr3, IDR3.xnx) }
  public var forcedWriteBack: Bool { isSet(.idr3, IDR3.fwb) }
  public var smallTables: Bool { isSet(.idr3, IDR3.stt) }
  public var rangeInvalidation: Bool { isSet(.idr3, IDR3.ril) }

  /// Output address size, as IDR5.OAS has it and in bits.
  @inline(__always)
  public var outputSize: UInt64 { UInt64(value(.idr5, IDR5.oas)) }
  @inline(__always)
  public var outputBits: Int { addressBits(outputSize) }

  @inline(__always)
  public func supports(_ granule: Granule) -> Bool {
    switch granule {
    case .size4K: isSet(.idr5, IDR5.gran4K)
    case .size16K: isSet(.idr5, IDR5.gran16K)
    case .size64K: isSet(.idr5, IDR5.gran64K)
    }
  }

  public subscript(_ register: IdentificationRegister) -> UInt32 {
    @inline(__always) get { words[Int(register.rawValue)] }
    @inline(__always) set { words[Int(register.rawValue)] = newValue }
  }

  /// One field of one ID register.
  public subscript(_ register: IdentificationRegister, _ field: Field) -> UInt32 {
    @inline(__always) get {
      UInt32(truncatingIfNeeded: UInt64(self[register])[field.high, field.low])
    }
    @inline(__always) set {
      var word = UInt64(self[register])
      word[field.high, field.low] = UInt64(newValue)
      self[register] = UInt32(truncatingIfNeeded: word)
    }
  }
}

/// The condition under which a register, a field or a command exists.
public enum Gate: UInt8, CaseIterable, Sendable {
  case always, never
  case stage1, stage2, bothStages, stage1AndHyp
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
    case .bothStages: f.stage1 && f.stage2
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
