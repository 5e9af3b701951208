// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

@Suite("Broadcast TLB maintenance: the cache")
struct BroadcastCacheTests {

  private func translation(_ page: UInt64) -> CachedTranslation {
    CachedTranslation(
      output: page, size: 12, permissions: Permissions(rawValue: 0xff), stage1Attributes: 0,
      stage1Shareability: 0, stage2Attributes: 0, stage2Shareability: 0)
  }

  /// Entries of one ASID in both sets, on different pages, for every ASID: those of ASET = 1 stay
  /// whatever shares their stamps.
  @Test("For each of 65536 ASIDs, a broadcast takes the shared entry and leaves the other (T-370)")
  func everyASID() {
    let cache = TranslationCache(entries: 64)
    for asid in stride(from: 0, through: 0xffff, by: 1) as StrideThrough<Int> {
      let asid = ASID(asid)
      let vmid = VMID(truncatingIfNeeded: Int(asid) &* 40503)
      let shared = TranslationTag(vmid: vmid, asid: asid, nonShared: false, nested: false)
      let own = TranslationTag(vmid: vmid, asid: asid, nonShared: true, nested: false)
      cache.insert(0x1000, shared, translation(0x1000), time: cache.now)
      cache.insert(0x2000, own, translation(0x2000), time: cache.now)
      cache.invalidate(.asid(vmid, asid), wildcard: 0, sharedOnly: true)
      guard cache.lookUp(0x1000, shared) == nil, cache.lookUp(0x2000, own) != nil else {
        Issue.record("ASID \(asid), VMID \(vmid)")
        return
      }
      cache.invalidate(.asid(vmid, asid), wildcard: 0)
      guard cache.lookUp(0x2000, own) == nil else {
        Issue.record("command: ASID \(asid), VMID \(vmid)")
        return
      }
    }
  }

  struct Entry {
    var page: UInt64
    var tag: TranslationTag
  }

  /// What a broadcast must remove of a list of entries, written down once more.
  private func isMeant(_ what: TLBInvalidation, _ entry: Entry) -> Bool {
    let tag = entry.tag
    switch what {
    case .everything: return true
    case .nothing: return false
    case .vmid(let vmid): return tag.vmid == vmid
    case .stage1(let vmid): return tag.vmid == vmid && !tag.isIntermediate
    case .asid(let vmid, let asid):
      return tag.vmid == vmid && !tag.isIntermediate && !tag.isGlobal && tag.asid == asid
        && !tag.isNonShared
    case .address(let vmid, let asid, let range):
      guard tag.vmid == vmid, !tag.isIntermediate else { return false }
      guard range.first <= entry.page | 0xfff, range.last >= entry.page else { return false }
      guard let asid else { return true }
      return (tag.isGlobal || tag.asid == asid) && !tag.isNonShared
    case .intermediate(let vmid, let range):
      guard tag.vmid == vmid else { return false }
      if tag.isNested { return true }
      return tag.isIntermediate && range.first <= entry.page | 0xfff && range.last >= entry.page
    }
  }

  @Test("Random broadcasts remove exactly what a list of entries says")
  func random() {
    var random = SeededRandom("BroadcastCacheTests.random", default: 31)
    let cache = TranslationCache(entries: 1 << 12)
    var entries: [Entry] = []
    func range() -> AddressRange {
      let first = UInt64(random.below(64)) << 12
      return random.chance(10)
        ? .all : AddressRange(first: first, last: first + UInt64(random.below(8)) << 12 | 0xfff)
    }
    for step in 0..<4000 {
      if random.chance(70) {
        let vmid = VMID(random.below(3))
        let page = UInt64(random.below(64)) << 12
        var tag = TranslationTag(
          vmid: vmid, asid: ASID(random.below(4)), nonShared: random.chance(40),
          nested: random.chance(30))
        if random.chance(20) { tag = tag.global }
        if random.chance(20) { tag = TranslationTag(intermediate: vmid) }
        entries.removeAll { $0.page == page && $0.tag.key == tag.key }
        entries.append(Entry(page: page, tag: tag))
        cache.insert(page, tag, translation(page), time: cache.now)
        continue
      }
      let vmid = VMID(random.below(3))
      let asid = ASID(random.below(4))
      let what: TLBInvalidation =
        switch random.below(9) {
        case 0: random.chance(20) ? .everything : .nothing
        case 1: .vmid(vmid)
        case 2: .stage1(vmid)
        case 3, 4: .asid(vmid, asid)
        case 5, 6: .address(vmid, asid: asid, range: range())
        case 7: .address(vmid, asid: nil, range: range())
        default: .intermediate(vmid, range())
        }
      cache.invalidate(what, wildcard: 0, sharedOnly: true)
      entries.removeAll { isMeant(what, $0) }
      let lost = entries.filter { cache.lookUp($0.page, $0.tag) == nil }
      #expect(lost.isEmpty, "seed \(random.seed), step \(step): \(what)")
      var alive = 0
      for row in 0..<cache.table.rows {
        let entry = cache.entry(row)
        if entry.page != 0
          && cache.isAlive(entry.tag, page: entry.page, time: cache.table.time(row))
        {
          alive += 1
        }
      }
      #expect(alive == entries.count, "seed \(random.seed), step \(step): \(what)")
    }
  }
}
