// SPDX-License-Identifier: MIT

/// Stream Table Entry, 64 bytes (§5.2).
public struct StreamTableEntry: Layout, Sendable {
  public static var width: Int { 512 }
  public static var bytes: UInt64 { 64 }
  public var words: InlineArray<8, UInt64>

  public init() { words = InlineArray(repeating: 0) }
  public init(words: InlineArray<8, UInt64>) { self.words = words }

  public subscript(word index: Int) -> UInt64 {
    @inline(__always) get { words[index] }
    @inline(__always) set { words[index] = newValue }
  }

  public static var v: Field { Field("V", 0) }
  public static var config: Field { Field("Config", 3, 1) }
  public static var s1fmt: Field { Field("S1Fmt", 5, 4) }
  public static var s1ContextPtr: Field { Field("S1ContextPtr", 55, 6) }
  public static var s1cdMax: Field { Field("S1CDMax", 63, 59) }
  public static var s1dss: Field { Field("S1DSS", 65, 64) }
  public static var s1cir: Field { Field("S1CIR", 67, 66) }
  public static var s1cor: Field { Field("S1COR", 69, 68) }
  public static var s1csh: Field { Field("S1CSH", 71, 70) }
  public static var s2hwu: Field { Field("S2HWU59..62", 75, 72) }
  public static var dre: Field { Field("DRE", 76) }
  public static var cont: Field { Field("CONT", 80, 77) }
  public static var dcp: Field { Field("DCP", 81) }
  public static var ppar: Field { Field("PPAR", 82) }
  public static var mev: Field { Field("MEV", 83) }
  public static var s1pie: Field { Field("S1PIE", 88) }
  public static var s2fwb: Field { Field("S2FWB", 89) }
  public static var s1mpam: Field { Field("S1MPAM", 90) }
  public static var s1stalld: Field { Field("S1STALLD", 91) }
  public static var eats: Field { Field("EATS", 93, 92) }
  public static var strw: Field { Field("STRW", 95, 94) }
  public static var memAttr: Field { Field("MemAttr", 99, 96) }
  public static var mtcfg: Field { Field("MTCFG", 100) }
  public static var alloccfg: Field { Field("ALLOCCFG", 104, 101) }
  public static var shcfg: Field { Field("SHCFG", 109, 108) }
  public static var nscfg: Field { Field("NSCFG", 111, 110) }
  public static var privcfg: Field { Field("PRIVCFG", 113, 112) }
  public static var instcfg: Field { Field("INSTCFG", 115, 114) }
  public static var s2vmid: Field { Field("S2VMID", 143, 128) }
  public static var s2t0sz: Field { Field("S2T0SZ", 165, 160) }
  public static var s2sl0: Field { Field("S2SL0", 167, 166) }
  public static var s2ir0: Field { Field("S2IR0", 169, 168) }
  public static var s2or0: Field { Field("S2OR0", 171, 170) }
  public static var s2sh0: Field { Field("S2SH0", 173, 172) }
  public static var s2tg: Field { Field("S2TG", 175, 174) }
  public static var s2ps: Field { Field("S2PS", 178, 176) }
  public static var s2aa64: Field { Field("S2AA64", 179) }
  public static var s2endi: Field { Field("S2ENDI", 180) }
  public static var s2affd: Field { Field("S2AFFD", 181) }
  public static var s2ptw: Field { Field("S2PTW", 182) }
  public static var s2hd: Field { Field("S2HD", 183) }
  public static var s2ha: Field { Field("S2HA", 184) }
  public static var s2s: Field { Field("S2S", 185) }
  public static var s2r: Field { Field("S2R", 186) }
  public static var s2haft: Field { Field("S2HAFT", 187) }
  public static var s2pie: Field { Field("S2PIE", 188) }
  public static var s2poe: Field { Field("S2POE", 189) }
  public static var dptVMatch: Field { Field("DPT_VMATCH", 191, 190) }
  public static var s2sl0Bit2: Field { Field("S2SL0_2", 194) }
  public static var s2ds: Field { Field("S2DS", 195) }
  public static var s2ttb: Field { Field("S2TTB", 247, 196) }
  public static var s2skl: Field { Field("S2SKL", 254, 253) }
  public static var partid: Field { Field("PARTID", 287, 272) }
  public static var mecid: Field { Field("MECID", 319, 304) }
  public static var pmg: Field { Field("PMG", 327, 320) }
  public static var mpamNS: Field { Field("MPAM_NS", 328) }
  public static var assuredOnly: Field { Field("AssuredOnly", 329) }
  public static var tl0: Field { Field("TL0", 330) }
  public static var tl1: Field { Field("TL1", 331) }
  public static var vmsPtr: Field { Field("VMSPtr", 375, 332) }
  public static var s2poi: Field { Field("S2POI0..15", 511, 448) }

  public static var fields: [Field] {
    [
      v, config, s1fmt, s1ContextPtr, Field("RES0", 58, 56), s1cdMax,
      s1dss, s1cir, s1cor, s1csh, s2hwu, dre, cont, dcp, ppar, mev, Field("SW_RESERVED", 87, 84),
      s1pie, s2fwb, s1mpam, s1stalld, eats, strw, memAttr, mtcfg, alloccfg, Field("RES0", 107, 105),
      shcfg, nscfg, privcfg, instcfg, Field("IMPDEF", 127, 116),
      s2vmid, Field("IMPDEF", 159, 144), s2t0sz, s2sl0, s2ir0, s2or0, s2sh0, s2tg, s2ps, s2aa64,
      s2endi, s2affd, s2ptw, s2hd, s2ha, s2s, s2r, s2haft, s2pie, s2poe, dptVMatch,
      Field("S2NSW_S2NSA", 193, 192), s2sl0Bit2, s2ds, s2ttb, Field("RES0", 252, 248), s2skl,
      Field("RES0", 255), Field("IMPDEF", 271, 256), partid, Field("SECURE", 303, 288), mecid,
      pmg, mpamNS, assuredOnly, tl0, tl1, vmsPtr, Field("RES0", 383, 376),
      Field("SECURE", 447, 384), s2poi,
    ]
  }

  /// The table's address in place: the low bits are zero, the field's bit 196 is address bit 4.
  @inline(__always)
  public var stage2Table: UInt64 { self[Self.s2ttb] &<< 4 }
  @inline(__always)
  public var contextTable: UInt64 { self[Self.s1ContextPtr] &<< 6 }
}

/// Level 1 Stream Table Descriptor, 8 bytes (§5.1).
public struct Level1StreamTableDescriptor: Layout, Sendable {
  public static var width: Int { 64 }
  public var raw: UInt64

  public init() { raw = 0 }
  public init(_ raw: UInt64) { self.raw = raw }

  public subscript(word index: Int) -> UInt64 {
    get { raw }
    set { raw = newValue }
  }

  public static var span: Field { Field("Span", 4, 0) }
  public static var l2ptr: Field { Field("L2Ptr", 55, 6) }

  public static var fields: [Field] { [span, Field("RES0", 5), l2ptr, Field("RES0", 63, 56)] }
}
