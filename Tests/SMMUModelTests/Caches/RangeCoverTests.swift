// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// How a range is gone through, and what that costs.
@Suite struct RangeCoverTests {
  private static let block: UInt64 = 1 << 21

  /// Blocks and parts of a cover, as ranges.
  private func pieces(_ cover: RangeCover, _ size: Int) -> [AddressRange] {
    var found: [AddressRange] = []
    if size <= 21 {
      cover.eachBlock { found.append(AddressRange(first: $0, last: $0 | (Self.block - 1))) }
    }
    cover.each(size) { found.append($0) }
    return found.sorted { $0.first < $1.first }
  }

  @Test("blocks and ends are the range, each byte once")
  func exact() {
    var random = SeededRandom("covers", default: 7)
    for round in 0..<3000 {
      let edge: UInt64 = random.chance(20) ? .max - 40 * Self.block : 0
      var first = edge &+ UInt64(random.below(70)) * Self.block / 2
      if random.chance(50) { first &+= UInt64(random.below(512)) << 12 }
      let length = UInt64(random.among(1...40_000)) << 12
      let last = random.chance(10) || first > .max - length ? .max : first + length - 1
      let range = AddressRange(first: first, last: last)
      for size in [12, 16, 21, 25, 30] {
        let found = pieces(RangeCover(range, inBlocks: true), size)
        #expect(found.first?.first == first && found.last?.last == last, "round \(round)")
        for (one, next) in zip(found, found.dropFirst()) {
          #expect(one.last &+ 1 == next.first, "round \(round)")
        }
        #expect(pieces(RangeCover(range, inBlocks: false), size) == [range])
      }
    }
  }

  private func page(_ size: Int) -> CachedTranslation {
    CachedTranslation(
      output: 0x40_0000_0000, size: size, permissions: [], stage1Attributes: 0,
      stage1Shareability: 0, stage2Attributes: 0, stage2Shareability: 0)
  }

  @Test("512 pages cost no more than 16 times one, whether they are cached or not (R-326)")
  func cost() {
    let cache = TranslationCache(entries: 1 << 16)
    let tag = TranslationTag(vmid: 0, asid: 5, nonShared: true, nested: false)
    let base: UInt64 = 0x8000_0000
    for i in 0..<2048 {
      cache.insert(base + UInt64(i) << 12, tag, page(12), time: cache.now)
    }
    let one = cache.invalidate(
      .address(0, asid: 5, range: AddressRange(first: base, last: base + 0xfff)), wildcard: 0)
    let first = base + 2 * Self.block
    let many = cache.invalidate(
      .address(0, asid: 5, range: AddressRange(first: first, last: first + Self.block - 1)),
      wildcard: 0)
    #expect(one > 0 && many <= 16 * one, "\(many) rows, \(one) for one page")
    var lost = 0
    for i in 0..<2048 {
      let address = base + UInt64(i) << 12
      let isNamed = i == 0 || address >= first && address < first + Self.block
      if cache.lookUp(address, tag) == nil { lost += 1 }
      if isNamed { #expect(cache.lookUp(address, tag) == nil) }
    }
    #expect(lost == 513)
    // What is looked up after it is kept.
    cache.insert(first, tag, page(12), time: cache.now)
    #expect(cache.lookUp(first, tag) != nil)
  }

  @Test("entries of every size and context that are named go, others stay (§4.4.1.1)")
  func sizes() {
    let range = AddressRange(first: 0x4020_0000 - 0x3000, last: 0x4060_0000 + 0x1fff)
    let own = TranslationTag(vmid: 1, asid: 2, nonShared: false, nested: true)
    let others = [
      TranslationTag(vmid: 1, asid: 3, nonShared: false, nested: true),
      TranslationTag(vmid: 2, asid: 2, nonShared: false, nested: true),
      TranslationTag(vmid: 2, asid: 2, nonShared: true, nested: false).global,
    ]
    let named: [(UInt64, Int)] = [
      (0x401f_d000, 12), (0x4020_0000, 12), (0x4040_0000, 21), (0x405f_c000, 14),
      (0x4060_1000, 12), (0x4000_0000, 30), (0x4000_0000, 25),
    ]
    let beside: [(UInt64, Int)] = [(0x401f_c000, 12), (0x4060_2000, 12), (0x4080_0000, 21)]
    for kept in named + beside {
      for tag in [own, own.global] + others {
        let cache = TranslationCache(entries: 1 << 14)
        cache.insert(kept.0, tag, page(kept.1), time: cache.now)
        cache.invalidate(.address(1, asid: 2, range: range), wildcard: 0)
        // A look-up of any ASID finds a global entry.
        let asker = tag.isGlobal
          ? TranslationTag(
            vmid: tag.vmid, asid: 9, nonShared: tag.isNonShared, nested: tag.isNested) : tag
        let isNamed = tag.vmid == 1 && (tag.isGlobal || tag.asid == 2)
          && named.contains { $0 == kept }
        #expect((cache.lookUp(kept.0, asker) == nil) == isNamed, "\(kept) \(tag)")
      }
    }
  }
}
