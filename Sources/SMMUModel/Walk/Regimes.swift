// SPDX-License-Identifier: MIT
import SMMUSpec

/// What becomes of a transaction that a stage faults (§3.12): CD.{R, A}, STE.S2R. Stalls would be a
/// third answer.
struct FaultModel: Equatable, Sendable {
  var records: Bool
  /// Else a fault of stage 1 is RAZ/WI. Stage 2 always aborts where it does not stall.
  var aborts: Bool
}

/// Stage 1 of a stream, of a valid CD (§5.4): both halves of its address space.
struct Stage1Regime: Equatable, Sendable {
  var lower: TranslationTable
  var upper: TranslationTable
  /// MAIR0 and MAIR1: an attribute byte for each index.
  var mair: UInt64
  var flags: Stage1Flags
}

struct Stage1Flags: OptionSet, Sendable {
  let rawValue: UInt16
  @inline(__always) init(rawValue: UInt16) { self.rawValue = rawValue }

  /// AFFD: the Access flag does not fault.
  static var ignoresAccessFlag: Stage1Flags { Stage1Flags(rawValue: 1) }
  /// WXN: what may be written may not be executed.
  static var writableIsNotExecutable: Stage1Flags { Stage1Flags(rawValue: 2) }
  /// PAN: no privileged access to data that unprivileged accesses reach.
  static var hasPAN: Stage1Flags { Stage1Flags(rawValue: 4) }
  /// HAD0 and HAD1: permissions of table descriptors do not count.
  static var lowerIgnoresTables: Stage1Flags { Stage1Flags(rawValue: 8) }
  static var upperIgnoresTables: Stage1Flags { Stage1Flags(rawValue: 16) }
  static var records: Stage1Flags { Stage1Flags(rawValue: 32) }
  static var aborts: Stage1Flags { Stage1Flags(rawValue: 64) }

  var faultModel: FaultModel {
    FaultModel(records: contains(.records), aborts: contains(.aborts))
  }
}

/// The half of stage 1 that an address is in.
struct Stage1Half {
  let table: TranslationTable
  let mair: UInt64
  let flags: Stage1Flags

  @inline(__always)
  init(_ table: TranslationTable, mair: UInt64, flags: Stage1Flags) {
    (self.table, self.mair, self.flags) = (table, mair, flags)
  }

  @inline(__always)
  static var none: Stage1Half { Stage1Half(.none, mair: 0, flags: []) }

  @inline(__always)
  init(_ regime: Stage1Regime, upper: Bool) {
    self.init(upper ? regime.upper : regime.lower, mair: regime.mair, flags: regime.flags)
  }

  /// A MAIR byte by attribute index (§5.4 MAIR0).
  @inline(__always)
  func attributes(_ index: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: mair &>> (index &* 8))
  }

  @inline(__always)
  func ignoresTables(upper: Bool) -> Bool {
    flags.contains(upper ? .upperIgnoresTables : .lowerIgnoresTables)
  }
}

/// Stage 2 of a stream, of a valid STE (§5.2).
struct Stage2Regime: Equatable, Sendable {
  var table: TranslationTable
  var vmid: VMID
  var flags: Stage2Flags

  @inline(__always)
  static var none: Stage2Regime { Stage2Regime(table: .none, vmid: 0, flags: []) }
}

struct Stage2Flags: OptionSet, Sendable {
  let rawValue: UInt16
  @inline(__always) init(rawValue: UInt16) { self.rawValue = rawValue }

  /// S2AFFD: the Access flag does not fault.
  static var ignoresAccessFlag: Stage2Flags { Stage2Flags(rawValue: 1) }
  /// S2PTW: tables of stage 1 may not be in Device memory.
  static var refusesDeviceWalks: Stage2Flags { Stage2Flags(rawValue: 2) }
  /// IDR3.XNX: execution by privilege.
  static var hasXNX: Stage2Flags { Stage2Flags(rawValue: 4) }
  /// S2FWB.
  static var forcesAttributes: Stage2Flags { Stage2Flags(rawValue: 8) }
  static var records: Stage2Flags { Stage2Flags(rawValue: 16) }

  var faultModel: FaultModel { FaultModel(records: contains(.records), aborts: true) }
}
