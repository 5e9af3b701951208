// SPDX-License-Identifier: MIT

/// Context Descriptor, 64 bytes (§5.4).
public struct ContextDescriptor: Layout, Sendable {
  public static var width: Int { 512 }
  public static var bytes: UInt64 { 64 }
  public var words: InlineArray<8, UInt64>

  public init() { words = InlineArray(repeating: 0) }
  public init(words: InlineArray<8, UInt64>) { self.words = words }

  public subscript(word index: Int) -> UInt64 {
    @inline(__always) get { words[index] }
    @inline(__always) set { words[index] = newValue }
  }

  public static var t0sz: Field { Field("T0SZ", 5, 0) }
  public static var tg0: Field { Field("TG0", 7, 6) }
  public static var ir0: Field { Field("IR0", 9, 8) }
  public static var or0: Field { Field("OR0", 11, 10) }
  public static var sh0: Field { Field("SH0", 13, 12) }
  public static var epd0: Field { Field("EPD0", 14) }
  public static var endi: Field { Field("ENDI", 15) }
  public static var t1sz: Field { Field("T1SZ", 21, 16) }
  public static var tg1: Field { Field("TG1", 23, 22) }
  public static var ir1: Field { Field("IR1", 25, 24) }
  public static var or1: Field { Field("OR1", 27, 26) }
  public static var sh1: Field { Field("SH1", 29, 28) }
  public static var epd1: Field { Field("EPD1", 30) }
  public static var v: Field { Field("V", 31) }
  public static var ips: Field { Field("IPS", 34, 32) }
  public static var affd: Field { Field("AFFD", 35) }
  public static var wxn: Field { Field("WXN", 36) }
  public static var uwxn: Field { Field("UWXN", 37) }
  public static var tbi0: Field { Field("TBI0", 38) }
  public static var tbi1: Field { Field("TBI1", 39) }
  public static var pan: Field { Field("PAN", 40) }
  public static var aa64: Field { Field("AA64", 41) }
  public static var hd: Field { Field("HD", 42) }
  public static var ha: Field { Field("HA", 43) }
  public static var s: Field { Field("S", 44) }
  public static var r: Field { Field("R", 45) }
  public static var a: Field { Field("A", 46) }
  public static var aset: Field { Field("ASET", 47) }
  public static var asid: Field { Field("ASID", 63, 48) }
  public static var had0: Field { Field("HAD0", 65) }
  public static var e0pd0: Field { Field("E0PD0", 66) }
  public static var haft: Field { Field("HAFT", 67) }
  public static var ttb0: Field { Field("TTB0", 119, 68) }
  public static var pnch: Field { Field("PnCH", 122) }
  public static var epan: Field { Field("EPAN", 123) }
  public static var had1: Field { Field("HAD1", 129) }
  public static var e0pd1: Field { Field("E0PD1", 130) }
  public static var aie: Field { Field("AIE", 131) }
  public static var ttb1: Field { Field("TTB1", 183, 132) }
  public static var ds: Field { Field("DS", 186) }
  public static var pie: Field { Field("PIE", 187) }
  public static var mair0: Field { Field("MAIR0", 223, 192) }
  public static var mair1: Field { Field("MAIR1", 255, 224) }

  public static var fields: [Field] {
    [
      t0sz, tg0, ir0, or0, sh0, epd0, endi, t1sz, tg1, ir1, or1, sh1, epd1, v, ips, affd, wxn,
      uwxn, tbi0, tbi1, pan, aa64, hd, ha, s, r, a, aset, asid,
      Field("NSCFG0", 64), had0, e0pd0, haft, ttb0, Field("RES0", 121, 120), pnch, epan,
      Field("HWU059..062", 127, 124), Field("NSCFG1", 128), had1, e0pd1, aie, ttb1,
      Field("RES0", 185, 184), ds, pie, Field("HWU159..162", 191, 188), mair0, mair1,
      Field("AMAIR0", 287, 256), Field("AMAIR1", 319, 288), Field("IMPDEF", 351, 320),
      Field("PARTID", 367, 352), Field("PMG", 375, 368), Field("RES0", 383, 376),
      Field("PIIU0..15", 431, 384), Field("RES0", 447, 432), Field("PIIP0..15", 495, 448),
      Field("RES0", 511, 496),
    ]
  }

  /// A MAIR byte by attribute index (§5.4 MAIR0).
  @inline(__always)
  public func memoryAttributes(_ index: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: words[3] &>> ((index & 7) &* 8))
  }
}

/// Level 1 Context Descriptor, 8 bytes (§5.3).
public struct Level1ContextDescriptor: Layout, Sendable {
  public static var width: Int { 64 }
  public var raw: UInt64

  public init() { raw = 0 }
  public init(_ raw: UInt64) { self.raw = raw }

  public subscript(word index: Int) -> UInt64 {
    get { raw }
    set { raw = newValue }
  }

  public static var v: Field { Field("V", 0) }
  public static var l2ptr: Field { Field("L2Ptr", 55, 12) }

  public static var fields: [Field] {
    [v, Field("RES0", 11, 1), l2ptr, Field("RES0", 63, 56)]
  }
}
