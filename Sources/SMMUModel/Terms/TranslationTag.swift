// SPDX-License-Identifier: MIT
import SMMUSpec

/// Who may use a cached translation (§3.17).
struct TranslationTag: Equatable, Sendable {
  /// VMID [15:0], ASET [16], ASID [32:17], then flags. ASET and ASID are neighbours so that one
  /// shift yields both.
  var raw: UInt64

  static var width: Int { 36 }
  private static var nonSharedBit: Int { 16 }
  private static var asidMask: UInt64 { 0xffff &<< 17 }
  private static var intermediateBit: Int { 33 }
  private static var globalBit: Int { 34 }
  private static var nestedBit: Int { 35 }

  /// Stage 1, alone or nested.
  init(vmid: VMID, asid: ASID, nonShared: Bool, nested: Bool) {
    raw = UInt64(vmid) | UInt64(asid) << 17
    raw[Self.nonSharedBit] = nonShared
    raw[Self.nestedBit] = nested
  }

  /// Stage 2 alone.
  init(intermediate vmid: VMID) {
    raw = UInt64(vmid)
    raw[Self.intermediateBit] = true
  }

  @inline(__always)
  init(raw: UInt64) { self.raw = raw }

  @inline(__always) var vmid: VMID { VMID(truncatingIfNeeded: raw) }
  @inline(__always) var asid: ASID { ASID(truncatingIfNeeded: raw &>> 17) }
  @inline(__always) var isNonShared: Bool { raw[Self.nonSharedBit] }
  @inline(__always) var isIntermediate: Bool { raw[Self.intermediateBit] }
  @inline(__always) var isGlobal: Bool { raw[Self.globalBit] }
  @inline(__always) var isNested: Bool { raw[Self.nestedBit] }

  /// The form under which a global translation is kept: for every ASID of the same ASET.
  @inline(__always)
  var global: TranslationTag {
    var tag = raw & ~Self.asidMask
    tag[Self.globalBit] = true
    return TranslationTag(raw: tag)
  }

  /// What must be equal for a hit, as the bits of a word whose low ones are a tag.
  @inline(__always)
  static func mask(of tag: TranslationTag) -> UInt64 {
    UInt64.low(width) & ~(tag.isGlobal ? 0 : 1 &<< UInt64(truncatingIfNeeded: nonSharedBit))
  }

  /// The bits that must be equal for a hit: ASET separates global entries alone (§3.17.1).
  @inline(__always)
  var key: UInt64 {
    isGlobal ? raw : raw & ~(1 &<< UInt64(truncatingIfNeeded: Self.nonSharedBit))
  }
}
