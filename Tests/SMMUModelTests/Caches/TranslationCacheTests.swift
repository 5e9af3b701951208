// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// The IOTLB alone beside a list that is searched from end to end: it keeps what it was given and
/// loses just what is named.
@Suite struct TranslationCacheTests {
  struct Entry {
    var address: UInt64
    var tag: TranslationTag
    var translation: CachedTranslation

    var first: UInt64 { address.aligned(down: translation.size) }
    var last: UInt64 { first | UInt64.ones(translation.size) }
    var isStage1: Bool { !tag.isIntermediate }
  }

  private func isMeant(_ entry: Entry, _ what: TLBInvalidation, _ wildcard: VMID) -> Bool {
    func matches(_ vmid: VMID) -> Bool { (entry.tag.vmid ^ vmid) & ~wildcard == 0 }
    func overlaps(_ range: AddressRange) -> Bool {
      entry.first <= range.last && entry.last >= range.first
    }
    switch what {
    case .nothing: return false
    case .everything: return true
    case .stage1(let vmid): return matches(vmid) && entry.isStage1
    case .vmid(let vmid): return matches(vmid)
    case .asid(let vmid, let asid):
      return matches(vmid) && entry.isStage1 && !entry.tag.isGlobal && entry.tag.asid == asid
    case .address(let vmid, let asid, let range):
      return matches(vmid) && entry.isStage1 && overlaps(range)
        && (asid == nil || entry.tag.isGlobal || entry.tag.asid == asid)
    case .intermediate(let vmid, let range):
      return matches(vmid) && (entry.tag.isNested || entry.tag.isIntermediate && overlaps(range))
    }
  }

  private func randomTag(_ random: inout SeededRandom) -> TranslationTag {
    let vmid = VMID(random.pick([0x20, 0x21, 0x22, 0x28]))
    guard !random.chance(25) else { return TranslationTag(intermediate: vmid) }
    let tag = TranslationTag(
      vmid: vmid, asid: ASID(random.among(1...4)), nonShared: random.chance(40),
      nested: random.chance(40))
    return random.chance(25) ? tag.global : tag
  }

  private func randomAddress(_ random: inout SeededRandom) -> UInt64 {
    let page = UInt64(random.below(24)) << 12 | UInt64(random.below(3)) << 21
    return random.chance(30) ? page | 0xffff_ff80_0000_0000 : page
  }

  private func randomRange(_ random: inout SeededRandom) -> AddressRange {
    let first = randomAddress(&random)
    let bytes = UInt64(random.among(1...40)) << UInt64(random.pick([12, 12, 14, 16, 21, 40]))
    let (sum, overflow) = first.addingReportingOverflow(bytes - 1)
    return AddressRange(first: first, last: overflow ? .max : sum)
  }

  private func randomInvalidation(_ random: inout SeededRandom) -> TLBInvalidation {
    let vmid = VMID(random.among(0x20...0x29))
    let asid = ASID(random.among(1...5))
    switch random.below(12) {
    case 0: return .stage1(vmid)
    case 1, 2: return .asid(vmid, asid)
    case 3, 4, 5: return .address(vmid, asid: asid, range: randomRange(&random))
    case 6, 7: return .address(vmid, asid: nil, range: randomRange(&random))
    case 8, 9: return .intermediate(vmid, randomRange(&random))
    case 10: return .vmid(vmid)
    default: return random.chance(30) ? .everything : .nothing
    }
  }

  @Test("The IOTLB holds what a plain list holds, under every invalidation (R-301, T-387)")
  func twin() {
    var random = SeededRandom("cache twin", default: 41)
    let cache = TranslationCache(entries: 1 << 15)
    var list: [Entry] = []
    var hits = 0
    var shared = 0
    for round in 0..<6000 {
      switch random.below(100) {
      case ..<45:
        let size = random.pick([12, 12, 12, 14, 16, 21, 30])
        let address = randomAddress(&random)
        let tag = randomTag(&random)
        let found = CachedTranslation(
          output: (random.next() & UInt64.ones(48)).aligned(down: size), size: size,
          permissions: Permissions(rawValue: UInt8(random.below(64))),
          stage1Attributes: UInt8(truncatingIfNeeded: random.next()),
          stage1Shareability: UInt8(random.below(4)),
          stage2Attributes: UInt8(random.below(16)), stage2Shareability: UInt8(random.below(4)))
        cache.insert(address, tag, found, time: cache.now)
        let entry = Entry(address: address, tag: tag, translation: found)
        list.removeAll {
          $0.tag.key == tag.key && $0.first == entry.first && $0.translation.size == size
        }
        list.append(entry)
      case 45..<53:
        let what = randomInvalidation(&random)
        let wildcard = VMID(random.pick([0, 0, 1, 3, 15]))
        cache.invalidate(what, wildcard: wildcard)
        list.removeAll { isMeant($0, what, wildcard) }
        // What shares the stamp of a block that was in the range goes too.
        let before = list.count
        list.removeAll {
          cache.clock[TranslationCache.block($0.first, $0.tag.key)] == cache.now
        }
        shared += before - list.count
      default:
        let address = randomAddress(&random)
        let tag = randomTag(&random)
        guard !tag.isGlobal else { continue }
        let expected = list.filter { entry in
          entry.first <= address && entry.last >= address
            && (entry.tag.key == tag.key || !tag.isIntermediate && entry.tag.key == tag.global.key)
        }
        let found = cache.lookUp(address, tag)
        #expect((found == nil) == expected.isEmpty, "round \(round)")
        if let found {
          hits += 1
          #expect(expected.contains { $0.translation == found }, "round \(round)")
        }
      }
    }
    #expect(hits > 300)
    #expect(shared < 500)
  }

  @Test("VMIDs and ASIDs that share a stamp lose too much at most (T-352)")
  func sharedStamps() {
    var random = SeededRandom("shared stamps", default: 42)
    let cache = TranslationCache(entries: 1 << 12)
    for _ in 0..<4000 {
      let vmid = VMID(truncatingIfNeeded: random.next())
      let asid = ASID(truncatingIfNeeded: random.next())
      let tag = TranslationTag(vmid: vmid, asid: asid, nonShared: false, nested: false)
      let page = CachedTranslation(
        output: 0x5000, size: 12, permissions: [], stage1Attributes: 0, stage1Shareability: 0,
        stage2Attributes: 0, stage2Shareability: 0)
      cache.insert(0x1000, tag, page, time: cache.now)
      #expect(cache.lookUp(0x1000, tag) == page)
      let other = TranslationTag(vmid: vmid ^ 0x100, asid: asid, nonShared: false, nested: false)
      #expect(cache.lookUp(0x1000, other) == nil)
      #expect(cache.lookUp(0x2000, tag) == nil)
      cache.invalidate(.asid(vmid, asid), wildcard: 0)
      #expect(cache.lookUp(0x1000, tag) == nil)
    }
  }

  @Test("A fill that began before an invalidation is not kept (R-314, T-353)")
  func lateFill() {
    let cache = TranslationCache(entries: 64)
    let tag = TranslationTag(vmid: 1, asid: 1, nonShared: false, nested: false)
    let page = CachedTranslation(
      output: 0x5000, size: 12, permissions: [], stage1Attributes: 0, stage1Shareability: 0,
      stage2Attributes: 0, stage2Shareability: 0)
    let all = AddressRange(first: 0x1000, last: 0x1fff)
    // By stamp and by address: the latter leaves nothing behind to compare with.
    for what: TLBInvalidation in [
      .asid(1, 1), .address(1, asid: 1, range: all), .address(1, asid: nil, range: all),
    ] {
      let time = cache.now
      _ = cache.invalidate(what, wildcard: 0)
      cache.insert(0x1000, tag, page, time: time)
      #expect(cache.lookUp(0x1000, tag) == nil, "\(what)")
    }
    cache.insert(0x1000, tag, page, time: cache.now)
    #expect(cache.lookUp(0x1000, tag) == page)
  }

  @Test("Of an empty TLB too: what is kept in the midst of its invalidation is dead (T-353)")
  func fillInTheMidst() {
    let cache = TranslationCache(entries: 64)
    let tag = TranslationTag(vmid: 1, asid: 1, nonShared: false, nested: false)
    let page = CachedTranslation(
      output: 0x5000, size: 12, permissions: [], stage1Attributes: 0, stage1Shareability: 0,
      stage2Attributes: 0, stage2Shareability: 0)
    let time = cache.now
    #expect(cache.isEmpty)
    cache.expireAll()
    // Who looked at the time before it went on writes the row after that.
    cache.setTime(time)
    cache.insert(0x1000, tag, page, time: time)
    cache.setTime(time + 1)
    #expect(cache.lookUp(0x1000, tag) == nil)
    cache.insert(0x1000, tag, page, time: cache.now)
    #expect(cache.lookUp(0x1000, tag) == page)
    #expect(!cache.isEmpty)
    #expect(cache.lookUp(0x1000, tag) == page)
  }

  @Test("Of configurations too (R-379)")
  func configurationInTheMidst() {
    let cache = ConfigurationCache(entries: 64)
    let access = Access(stream: 5, address: 0)
    var configuration = StreamConfiguration.unknown
    configuration.plan.raw = 1 << 12
    let time = cache.now
    cache.forget(streams: 5, 5)
    cache.setTime(time)
    cache.insert(access, configuration: configuration, time: time)
    cache.setTime(time + 1)
    #expect(cache.find(access) == nil)
    cache.insert(access, configuration: configuration, time: cache.now)
    #expect(cache.find(access)?.plan == configuration.plan)
  }
}
