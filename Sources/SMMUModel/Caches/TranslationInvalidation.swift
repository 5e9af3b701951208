// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// What a TLBI removes (§4.4). Time passes first, so whatever other threads keep meanwhile was
/// looked up after it.
extension TranslationCache {
  /// Whether there are no entries: what another thread is about to keep belongs to a time that ends
  /// with `expireAll`.
  @inline(__always)
  var isEmpty: Bool {
    sizes[0].load(ordering: .relaxed) | sizes[1].load(ordering: .relaxed) == 0
  }

  /// Of a TLB without entries, all that a TLBI does: whoever walks now keeps nothing. Looks at no
  /// rows.
  @inline(__always)
  @discardableResult
  func expireAll() -> Int {
    clock.advance()
    clock.expire(Self.everything)
    return 0
  }

  /// Removes what a TLBI names. `wildcard` are VMID bits that do not count (§3.17.6). `sharedOnly`:
  /// what matches by ASID leaves contexts with CD.ASET = 1 alone (§3.17). Returns how many rows are
  /// looked at: invalidations by VMID, ASID and of everything look at none.
  @discardableResult
  func invalidate(
    _ what: TLBInvalidation, wildcard: VMID, sharedOnly: Bool = false
  ) -> Int {
    // Before time passes: the sizes of what is kept afterwards stay.
    if case .everything = what { clearSizes() }
    // Stamps need no fence: what another thread keeps meanwhile is older than they are.
    if what.isByAddress { clock.advanceAndFence() } else { clock.advance() }
    // Not before: a piece that another thread keeps until then would not be looked for.
    switch widened(what) {
    case .nothing:
      return 0
    case .everything:
      clock.expire(Self.everything)
      return 0
    case .stage1(let vmid):
      each(vmid, wildcard: wildcard) { clock.expire(Self.stage1($0)) }
      return 0
    case .vmid(let vmid):
      each(vmid, wildcard: wildcard) {
        clock.expire(Self.stage1($0))
        clock.expire(Self.stage2($0))
      }
      return 0
    case .asid(let vmid, let asid):
      each(vmid, wildcard: wildcard) { vmid in
        for isNonShared in [false, true] where !(sharedOnly && isNonShared) {
          let tag = TranslationTag(vmid: vmid, asid: asid, nonShared: isNonShared, nested: false)
          clock.expire(Self.context(tag))
        }
      }
      return 0
    case .address(let vmid, let asid, let range):
      return remove(
        vmid, wildcard: wildcard, asid: asid, range: range, sharedOnly: sharedOnly && asid != nil)
    case .intermediate(let vmid, let range):
      // Nested translations hold stage 2 information without knowing its IPA (§4.4.3.1).
      each(vmid, wildcard: wildcard) { clock.expire(Self.nested($0)) }
      return remove(intermediate: vmid, wildcard: wildcard, range: range)
    }
  }

  /// All VMIDs that differ from `vmid` in wildcard bits only: 16 at most.
  @inline(never)
  private func each(_ vmid: VMID, wildcard: VMID, _ body: (VMID) -> Void) {
    for low in 0...wildcard { body(vmid & ~wildcard | low) }
  }

  /// Stage 1 by address. Global entries go whatever their ASID (§4.4.2.4).
  private func remove(
    _ vmid: VMID, wildcard: VMID, asid: ASID?, range: AddressRange, sharedOnly: Bool
  ) -> Int {
    // A stamp of a block is that of either ASET.
    let cover = RangeCover(range, inBlocks: !sharedOnly)
    // Each page may be there alone and nested, and if global with either ASET.
    let variants = 2 * Int(wildcard) + 2
    let probes = pages(cover, 0).multipliedReportingOverflow(by: variants)
    let globalProbes = pages(cover, 1).multipliedReportingOverflow(by: 2 * variants)
    guard let asid, !probes.overflow, !globalProbes.overflow,
      probes.partialValue < table.rows / 8, globalProbes.partialValue < table.rows / 8
    else {
      return removeAll { tag in
        !tag.isIntermediate && (tag.vmid ^ vmid) & ~wildcard == 0
          && (asid == nil || tag.isGlobal || tag.asid == asid)
          && !(sharedOnly && tag.isNonShared)
      } within: {
        range.overlaps($0)
      }
    }
    each(vmid, wildcard: wildcard) { vmid in
      for isNested in [false, true] where !isNested || sizes[3].load(ordering: .relaxed) != 0 {
        let tag = TranslationTag(vmid: vmid, asid: asid, nonShared: false, nested: isNested)
        expire(cover, tag: tag, kind: 0)
        eachPage(cover, kind: 0) { remove($0, tag: tag, size: $1, sharedOnly: sharedOnly) }
        let other = TranslationTag(vmid: vmid, asid: asid, nonShared: true, nested: isNested)
        expire(cover, tag: tag.global, kind: 1)
        expire(cover, tag: other.global, kind: 1)
        eachPage(cover, kind: 1) {
          remove($0, tag: tag.global, size: $1)
          if !sharedOnly { remove($0, tag: other.global, size: $1) }
        }
      }
    }
    return (probes.partialValue + globalProbes.partialValue) * Table.ways
      + cover.blocks * 3 * variants
  }

  /// Stage 2 by address.
  private func remove(
    intermediate vmid: VMID, wildcard: VMID, range: AddressRange
  ) -> Int {
    let cover = RangeCover(range, inBlocks: true)
    let probes = pages(cover, 0).multipliedReportingOverflow(by: Int(wildcard) + 1)
    guard !probes.overflow, probes.partialValue < table.rows / 8 else {
      return removeAll { tag in
        tag.isIntermediate && (tag.vmid ^ vmid) & ~wildcard == 0
      } within: {
        range.overlaps($0)
      }
    }
    each(vmid, wildcard: wildcard) { vmid in
      let tag = TranslationTag(intermediate: vmid)
      expire(cover, tag: tag, kind: 0)
      eachPage(cover, kind: 0) { remove($0, tag: tag, size: $1) }
    }
    return probes.partialValue * Table.ways + cover.blocks * (Int(wildcard) + 1)
  }

  /// Kills what is in the blocks of a range, if there may be entries of that kind: no row is looked
  /// at. What shares a stamp with one of them goes too.
  @inline(never)
  private func expire(_ cover: RangeCover, tag: TranslationTag, kind: Int) {
    guard sizes[kind].load(ordering: .relaxed) != 0 else { return }
    cover.eachBlock { clock.expire(Self.block($0, tag.key)) }
  }

  /// Pages to look for, of all sizes that entries have; at most a quarter of all integers.
  @inline(never)
  private func pages(_ cover: RangeCover, _ kind: Int) -> Int {
    var total: UInt64 = 0
    var left = sizes[kind].load(ordering: .relaxed)
    while left != 0 {
      let size = left.trailingZeroBitCount
      let shift = UInt64(truncatingIfNeeded: size)
      left &= left &- 1
      cover.each(size) { total += ($0.last &>> shift) &- ($0.first &>> shift) &+ 1 }
    }
    // Sizes are 4 KiB and up, so a sum of 52-bit numbers.
    return Int(truncatingIfNeeded: total)
  }

  @inline(never)
  private func eachPage(_ cover: RangeCover, kind: Int, _ body: (UInt64, Int) -> Void) {
    var left = sizes[kind].load(ordering: .relaxed)
    while left != 0 {
      let size = left.trailingZeroBitCount
      left &= left &- 1
      let shift = UInt64(truncatingIfNeeded: size)
      cover.each(size) { part in
        for number in (part.first &>> shift)...(part.last &>> shift) {
          body(number &<< shift, size)
        }
      }
    }
  }

  private func remove(
    _ address: UInt64, tag: TranslationTag, size: Int, sharedOnly: Bool = false
  ) {
    let page = Self.page(address, size)
    for row in set(page, key: tag.key, size: size) {
      table.clear(row) { row in
        guard row[1].load(ordering: .relaxed) == page else { return false }
        let found = Self.tag(row)
        return found.key == tag.key && !(sharedOnly && found.isNonShared)
      }
    }
  }

  /// For checks: the VMID of each entry that may still be found.
  func eachVMID(_ body: (VMID) -> Void) {
    for row in 0..<table.rows {
      let found = entry(row)
      if found.page != 0 && isAlive(found.tag, page: found.page, time: table.time(row)) {
        body(found.tag.vmid)
      }
    }
  }

  private func removeAll(
    _ isMeant: (TranslationTag) -> Bool, within overlaps: (_ page: UInt64) -> Bool
  ) -> Int {
    for row in 0..<table.rows {
      table.clear(row) { row in
        let page = row[1].load(ordering: .relaxed)
        return page != 0 && isMeant(Self.tag(row)) && overlaps(page)
      }
    }
    return table.rows
  }

  /// What an invalidation makes stale in copies outside: all of the leaves that it touches.
  func reach(of what: TLBInvalidation) -> TLBInvalidation {
    // After the generation that was begun before: see `Translator.notify`.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return widened(what)
  }

  /// What an invalidation must remove so that no piece of a divided leaf stays: all of the leaf.
  @inline(__always)
  private func widened(_ what: TLBInvalidation) -> TLBInvalidation {
    let sizes = sizes[2].load(ordering: .acquiring)
    guard sizes != 0, case .address(let vmid, let asid, let range) = what else { return what }
    let largest = 63 - sizes.leadingZeroBitCount
    return .address(
      vmid, asid: asid,
      range: AddressRange(
        first: range.first.aligned(down: largest), last: range.last | UInt64.ones(largest)))
  }

  /// Renewal, in two halves with a wait between them (`SMMU.renewCaches`).
  var isExhausted: Bool { clock.isExhausted }

  func close() {
    clock.close()
    table.clearAll()
    // Not those of divided leaves: copies of their pieces may be kept outside.
    for i in 0..<4 where i != 2 { sizes[i].store(0, ordering: .relaxed) }
  }

  func reopen() { clock.reopen() }

  private func clearSizes() {
    for i in 0..<4 { sizes[i].store(0, ordering: .relaxed) }
  }
}

extension TLBInvalidation {
  /// Whether it is looked for in rows.
  fileprivate var isByAddress: Bool {
    switch self {
    case .address, .intermediate: true
    default: false
    }
  }
}

extension AddressRange {
  /// Whether a page word {address, log2 size} has a byte in the range.
  @inline(__always)
  func overlaps(_ page: UInt64) -> Bool {
    let size = Int(truncatingIfNeeded: page & 0x3f)
    let start = page.aligned(down: 6).aligned(down: size)
    return start <= last && start | UInt64.ones(size) >= first
  }
}
