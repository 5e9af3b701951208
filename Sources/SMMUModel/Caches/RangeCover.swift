// SPDX-License-Identifier: MIT
import SMMUSpec

/// A range of addresses as an invalidation goes through it: blocks that lie wholly in it, which
/// have a stamp each, and what is left at its ends, where pages are looked for.
struct RangeCover {
  /// Beyond, so many others would share a stamp with one of them that looking is better.
  private static var mostBlocks: UInt64 { 64 }

  private let range: AddressRange
  /// Numbers of the blocks, as many as there are.
  private let first: UInt64
  let blocks: Int

  /// Without `inBlocks` all of it is an end.
  init(_ range: AddressRange, inBlocks: Bool) {
    self.range = range
    let bits = UInt64(truncatingIfNeeded: TranslationCache.blockBits)
    let isAligned = range.first & UInt64.ones(TranslationCache.blockBits) == 0
    first = range.first &>> bits &+ (isAligned ? 0 : 1)
    let end = range.last == .max ? 1 &<< (64 &- bits) : (range.last &+ 1) &>> bits
    let isCovered = inBlocks && end > first && end &- first <= Self.mostBlocks
    blocks = isCovered ? Int(truncatingIfNeeded: end &- first) : 0
  }

  /// An address in each block.
  @inline(__always)
  func eachBlock(_ body: (UInt64) -> Void) {
    for i in 0..<blocks {
      body((first &+ UInt64(truncatingIfNeeded: i)) &<< UInt64(TranslationCache.blockBits))
    }
  }

  /// The parts in which pages of this size are looked for: an entry that is larger than a block has
  /// the stamp of its first one alone.
  @inline(__always)
  func each(_ size: Int, _ body: (AddressRange) -> Void) {
    guard blocks > 0, size <= TranslationCache.blockBits else { return body(range) }
    let bits = UInt64(truncatingIfNeeded: TranslationCache.blockBits)
    let start = first &<< bits
    // The last address of the last block; after it there may be none.
    let last = start &+ (UInt64(truncatingIfNeeded: blocks) &<< bits) &- 1
    if range.first < start { body(AddressRange(first: range.first, last: start &- 1)) }
    if last < range.last { body(AddressRange(first: last &+ 1, last: range.last)) }
  }
}
