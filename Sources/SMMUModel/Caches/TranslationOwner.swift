// SPDX-License-Identifier: MIT
import SMMUSpec

/// A tag with what look-ups need of it, worked out once: where its entries are, and which stamps
/// they must be younger than.
struct TranslationOwner: Equatable {
  let tag: TranslationTag
  let seed: UInt64
  /// Three numbers of stamps, 16 bits each; 0, everything, where there are fewer.
  let stamps: UInt64

  @inline(__always)
  init(tag: TranslationTag, seed: UInt64, stamps: UInt64) {
    (self.tag, self.seed, self.stamps) = (tag, seed, stamps)
  }

  init(_ tag: TranslationTag) {
    self.tag = tag
    seed = Self.seed(tag.key)
    if tag.isIntermediate {
      stamps = UInt64(TranslationCache.stage2(tag.vmid))
    } else {
      let nested = tag.isNested ? TranslationCache.nested(tag.vmid) : TranslationCache.everything
      let context = tag.isGlobal ? TranslationCache.everything : TranslationCache.context(tag)
      stamps =
        UInt64(TranslationCache.stage1(tag.vmid)) | UInt64(nested) << 16 | UInt64(context) << 32
    }
  }

  @inline(__always)
  static func seed(_ key: UInt64) -> UInt64 { key &* 0x9e37_79b9_7f4a_7c15 }

  /// Whether an entry with this word is the owner's: it has the same tag but for ASET, which
  /// separates global entries alone (§3.17.1).
  @inline(__always)
  func isSame(_ word: UInt64) -> Bool { (word ^ tag.raw) & mask == 0 }

  @inline(__always)
  var mask: UInt64 { TranslationTag.mask(of: tag) }

  @inline(__always)
  func stamp(_ number: UInt64) -> Int {
    Int(truncatingIfNeeded: stamps &>> (16 &* number) & 0xffff)
  }
}
