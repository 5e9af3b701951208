// SPDX-License-Identifier: MIT
// The one command table: §4.1.1 (opcodes), §4.2 to §4.7 (layouts and conditions). Opcodes that are
// not here are reserved on the non-secure queue and raise CERROR_ILL.

public enum Opcode: UInt8, CaseIterable, Sendable {
  case prefetchConfig = 0x01
  case prefetchAddr = 0x02
  case cfgiSTE = 0x03
  case cfgiSTERange = 0x04
  case cfgiCD = 0x05
  case cfgiCDAll = 0x06
  case cfgiVMSPIDM = 0x07
  case tlbiNHAll = 0x10
  case tlbiNHASID = 0x11
  case tlbiNHVA = 0x12
  case tlbiNHVAA = 0x13
  case tlbiEL2All = 0x20
  case tlbiEL2ASID = 0x21
  case tlbiEL2VA = 0x22
  case tlbiEL2VAA = 0x23
  case tlbiS12VMAll = 0x28
  case tlbiS2IPA = 0x2a
  case tlbiNSNHAll = 0x30
  case atcInv = 0x40
  case priResp = 0x41
  case resume = 0x44
  case stallTerm = 0x45
  case sync = 0x46
  case dptiAll = 0x70
  case dptiPA = 0x73

  public var name: StaticString {
    switch self {
    case .prefetchConfig: "CMD_PREFETCH_CONFIG"
    case .prefetchAddr: "CMD_PREFETCH_ADDR"
    case .cfgiSTE: "CMD_CFGI_STE"
    case .cfgiSTERange: "CMD_CFGI_STE_RANGE"
    case .cfgiCD: "CMD_CFGI_CD"
    case .cfgiCDAll: "CMD_CFGI_CD_ALL"
    case .cfgiVMSPIDM: "CMD_CFGI_VMS_PIDM"
    case .tlbiNHAll: "CMD_TLBI_NH_ALL"
    case .tlbiNHASID: "CMD_TLBI_NH_ASID"
    case .tlbiNHVA: "CMD_TLBI_NH_VA"
    case .tlbiNHVAA: "CMD_TLBI_NH_VAA"
    case .tlbiEL2All: "CMD_TLBI_EL2_ALL"
    case .tlbiEL2ASID: "CMD_TLBI_EL2_ASID"
    case .tlbiEL2VA: "CMD_TLBI_EL2_VA"
    case .tlbiEL2VAA: "CMD_TLBI_EL2_VAA"
    case .tlbiS12VMAll: "CMD_TLBI_S12_VMALL"
    case .tlbiS2IPA: "CMD_TLBI_S2_IPA"
    case .tlbiNSNHAll: "CMD_TLBI_NSNH_ALL"
    case .atcInv: "CMD_ATC_INV"
    case .priResp: "CMD_PRI_RESP"
    case .resume: "CMD_RESUME"
    case .stallTerm: "CMD_STALL_TERM"
    case .sync: "CMD_SYNC"
    case .dptiAll: "CMD_DPTI_ALL"
    case .dptiPA: "CMD_DPTI_PA"
    }
  }

  /// Where IHI 0070 has the command.
  public var clause: StaticString {
    switch self {
    case .prefetchConfig: "§4.2.1"
    case .prefetchAddr: "§4.2.2"
    case .cfgiSTE: "§4.3.1"
    case .cfgiSTERange: "§4.3.2"
    case .cfgiCD: "§4.3.3"
    case .cfgiCDAll: "§4.3.4"
    case .cfgiVMSPIDM: "§4.3.5"
    case .tlbiNHAll: "§4.4.2.1"
    case .tlbiNHASID: "§4.4.2.2"
    case .tlbiNHVA: "§4.4.2.4"
    case .tlbiNHVAA: "§4.4.2.3"
    case .tlbiEL2All: "§4.4.2.7"
    case .tlbiEL2ASID: "§4.4.2.10"
    case .tlbiEL2VA: "§4.4.2.8"
    case .tlbiEL2VAA: "§4.4.2.9"
    case .tlbiS12VMAll: "§4.4.3.2"
    case .tlbiS2IPA: "§4.4.3.1"
    case .tlbiNSNHAll: "§4.4.4.1"
    case .atcInv: "§4.5.1"
    case .priResp: "§4.5.2"
    case .resume: "§4.7.1"
    case .stallTerm: "§4.7.2"
    case .sync: "§4.7.3"
    case .dptiAll: "§4.6.1"
    case .dptiPA: "§4.6.2"
    }
  }

  /// The condition without which the command is illegal.
  @inline(__always)
  public var gate: Gate {
    switch self {
    case .prefetchConfig, .prefetchAddr, .cfgiSTE, .cfgiSTERange, .tlbiNSNHAll, .sync: .always
    case .cfgiCD, .cfgiCDAll, .tlbiNHAll, .tlbiNHASID, .tlbiNHVA, .tlbiNHVAA: .stage1
    case .tlbiEL2All, .tlbiEL2ASID, .tlbiEL2VA, .tlbiEL2VAA: .stage1AndHyp
    case .tlbiS12VMAll, .tlbiS2IPA: .stage2
    case .cfgiVMSPIDM: .mpam
    case .atcInv: .ats
    case .priResp: .pri
    case .resume, .stallTerm: .stalls
    case .dptiAll, .dptiPA: .devicePermissionTable
    }
  }

  /// Commands with an SSec bit: set on the non-secure queue it is illegal (§4.1.6).
  @inline(__always)
  public var hasSSec: Bool {
    switch self {
    case .prefetchConfig, .prefetchAddr, .cfgiSTE, .cfgiSTERange, .cfgiCD, .cfgiCDAll,
      .cfgiVMSPIDM, .resume, .stallTerm, .atcInv, .priResp:
      true
    default: false
    }
  }
}

/// A command queue entry, 16 bytes, not yet judged.
public struct CommandWords: Layout, Equatable, Sendable {
  public static var width: Int { 128 }
  public static var bytes: UInt64 { 16 }
  public var low: UInt64
  public var high: UInt64

  public init() { (low, high) = (0, 0) }
  @inline(__always)
  public init(_ low: UInt64, _ high: UInt64) { (self.low, self.high) = (low, high) }

  public subscript(word index: Int) -> UInt64 {
    @inline(__always) get { index == 0 ? low : high }
    @inline(__always) set { if index == 0 { low = newValue } else { high = newValue } }
  }

  public static var opcode: Field { Field("Opcode", 7, 0) }
  public static var global: Field { Field("Global", 9) }
  public static var ssec: Field { Field("SSec", 10) }
  public static var ssv: Field { Field("SSV", 11) }
  public static var substreamID: Field { Field("SubstreamID", 31, 12) }
  public static var streamID: Field { Field("StreamID", 63, 32) }
  public static var leaf: Field { Field("Leaf", 64) }
  public static var range: Field { Field("Range", 68, 64) }
  public static var prefetchSize: Field { Field("Size", 68, 64) }
  public static var prefetchStride: Field { Field("Stride", 73, 69) }
  public static var prefetchNS: Field { Field("NS", 75) }
  public static var vmid: Field { Field("VMID", 47, 32) }
  public static var asid: Field { Field("ASID", 63, 48) }
  public static var num: Field { Field("NUM", 16, 12) }
  public static var scale: Field { Field("SCALE", 25, 20) }
  public static var ttl128: Field { Field("TTL128", 71) }
  public static var ttl: Field { Field("TTL", 73, 72) }
  public static var tg: Field { Field("TG", 75, 74) }
  public static var address: Field { Field("Address", 127, 76) }
  public static var ipa: Field { Field("IPA", 119, 76) }
  public static var atcSize: Field { Field("Size", 69, 64) }
  public static var prgIndex: Field { Field("PRGIndex", 72, 64) }
  public static var response: Field { Field("Resp", 77, 76) }
  public static var ac: Field { Field("Ac", 12) }
  public static var ab: Field { Field("Ab", 13) }
  public static var stag: Field { Field("STAG", 79, 64) }
  public static var cs: Field { Field("CS", 13, 12) }
  public static var msh: Field { Field("MSH", 23, 22) }
  public static var msiAttr: Field { Field("MSIAttr", 27, 24) }
  public static var msiData: Field { Field("MSIData", 63, 32) }
  public static var msiAddress: Field { Field("MSIAddress", 119, 66) }

  /// The layout without any command's own fields.
  public static var fields: [Field] {
    [opcode, Field("RES0", 63, 8), Field("RES0", 127, 64)]
  }

  /// The fields that `opcode` defines, its own number excepted.
  @export(interface)
  public static func fields(of opcode: Opcode) -> [Field] {
    switch opcode {
    case .prefetchConfig: [ssec, ssv, substreamID, streamID]
    case .prefetchAddr:
      [ssec, ssv, substreamID, streamID, prefetchSize, prefetchStride, prefetchNS, address]
    case .cfgiSTE: [ssec, streamID, leaf]
    case .cfgiSTERange: [ssec, streamID, range]
    case .cfgiCD: [ssec, substreamID, streamID, leaf]
    case .cfgiCDAll: [ssec, streamID]
    case .cfgiVMSPIDM: [ssec, vmid]
    case .tlbiNHAll, .tlbiS12VMAll: [vmid]
    case .tlbiNHASID: [vmid, asid]
    case .tlbiNHVA: [vmid, asid, num, scale, leaf, ttl128, ttl, tg, address]
    case .tlbiNHVAA: [vmid, num, scale, leaf, ttl128, ttl, tg, address]
    case .tlbiEL2All, .tlbiNSNHAll, .dptiAll: []
    case .tlbiEL2ASID: [asid]
    case .tlbiEL2VA: [asid, num, scale, leaf, ttl128, ttl, tg, address]
    case .tlbiEL2VAA: [num, scale, leaf, ttl128, ttl, tg, address]
    case .tlbiS2IPA: [vmid, num, scale, leaf, ttl128, ttl, tg, ipa]
    case .atcInv: [global, ssec, ssv, substreamID, streamID, atcSize, address]
    case .priResp: [ssec, ssv, substreamID, streamID, prgIndex, response]
    case .resume: [ssec, ac, ab, streamID, stag]
    case .stallTerm: [ssec, streamID]
    case .sync: [cs, msh, msiAttr, msiData, msiAddress]
    case .dptiPA: []
    }
  }
}
