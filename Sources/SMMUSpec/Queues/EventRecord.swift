// SPDX-License-Identifier: MIT

/// The events that this interface can record, by number (§7.3).
public enum EventKind: UInt8, CaseIterable, Sendable {
  case unsupportedTransaction = 0x01  // F_UUT
  case badStreamID = 0x02  // C_BAD_STREAMID
  case steFetch = 0x03  // F_STE_FETCH
  case badSTE = 0x04  // C_BAD_STE
  case badATSRequest = 0x05  // F_BAD_ATS_TREQ
  case streamDisabled = 0x06  // F_STREAM_DISABLED
  case translationForbidden = 0x07  // F_TRANSL_FORBIDDEN
  case badSubstreamID = 0x08  // C_BAD_SUBSTREAMID
  case cdFetch = 0x09  // F_CD_FETCH
  case badCD = 0x0a  // C_BAD_CD
  case walkAbort = 0x0b  // F_WALK_EABT
  case translation = 0x10  // F_TRANSLATION
  case addressSize = 0x11  // F_ADDR_SIZE
  case access = 0x12  // F_ACCESS
  case permission = 0x13  // F_PERMISSION
  case tlbConflict = 0x20  // F_TLB_CONFLICT
  case configurationConflict = 0x21  // F_CFG_CONFLICT
  case pageRequest = 0x24  // E_PAGE_REQUEST
  case vmsFetch = 0x25  // F_VMS_FETCH
}

/// What the SMMU was reading when stage 2 faulted, the CLASS of a record (§7.3).
public enum AccessClass: UInt8, Sendable {
  case contextDescriptor = 0  // CD
  case translationTable = 1  // TT
  case input = 2  // IN
}

/// An event queue entry, 32 bytes (§7.3).
public struct EventRecord: Layout, Sendable {
  public static var width: Int { 256 }
  public static var bytes: UInt64 { 32 }
  public var words: InlineArray<4, UInt64>

  public init() { words = InlineArray(repeating: 0) }

  public subscript(word index: Int) -> UInt64 {
    @inline(__always) get { words[index] }
    @inline(__always) set { words[index] = newValue }
  }

  public static var number: Field { Field("Event number", 7, 0) }
  public static var ssv: Field { Field("SSV", 11) }
  public static var substreamID: Field { Field("SubstreamID", 31, 12) }
  public static var streamID: Field { Field("StreamID", 63, 32) }
  public static var stag: Field { Field("STAG", 79, 64) }
  public static var stall: Field { Field("Stall", 95) }
  public static var pnu: Field { Field("PnU", 97) }
  public static var ind: Field { Field("InD", 98) }
  public static var rnw: Field { Field("RnW", 99) }
  public static var nsipa: Field { Field("NSIPA", 102) }
  public static var s2: Field { Field("S2", 103) }
  public static var accessClass: Field { Field("CLASS", 105, 104) }
  public static var ttrnw: Field { Field("TTRnW", 108) }
  public static var inputAddr: Field { Field("InputAddr", 191, 128) }
  /// IPA[55:12] of a stage 2 fault.
  public static var ipa: Field { Field("IPA", 247, 204) }
  /// FetchAddr[55:3] of an external abort; shares its place with IPA.
  public static var fetchAddr: Field { Field("FetchAddr", 247, 195) }

  /// The layout of the translation faults, which has the most fields.
  public static var fields: [Field] {
    [
      number, Field("RES0", 10, 8), ssv, substreamID, streamID, stag, Field("RES0", 94, 80), stall,
      Field("RES0", 96), pnu, ind, rnw, Field("RES0", 101, 100), nsipa, s2, accessClass,
      Field("RES0", 107, 106), ttrnw, Field("RES0", 127, 109), inputAddr, Field("RES0", 203, 192),
      ipa, Field("RES0", 255, 248),
    ]
  }
}
