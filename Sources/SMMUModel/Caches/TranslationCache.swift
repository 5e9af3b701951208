// SPDX-License-Identifier: MIT
import SMMUSpec
import Synchronization

/// Who may use a cached translation (§3.17).
struct TranslationTag: Equatable, Sendable {
  /// VMID [15:0], ASID [31:16], flags from bit 32 on.
  var raw: UInt64

  private static var intermediateBit: Int { 32 }
  private static var nonSharedBit: Int { 33 }
  private static var globalBit: Int { 34 }
  private static var nestedBit: Int { 35 }

  /// Stage 1, alone or nested.
  init(vmid: VMID, asid: ASID, nonShared: Bool, nested: Bool) {
    raw = UInt64(vmid) | UInt64(asid) << 16
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
  @inline(__always) var asid: ASID { ASID(truncatingIfNeeded: raw &>> 16) }
  @inline(__always) var isIntermediate: Bool { raw[Self.intermediateBit] }
  @inline(__always) var isGlobal: Bool { raw[Self.globalBit] }
  @inline(__always) var isNested: Bool { raw[Self.nestedBit] }

  /// The form under which a global translation is kept: for every ASID of the same ASET.
  @inline(__always)
  var global: TranslationTag {
    var tag = raw & ~(0xffff &<< 16)
    tag[Self.globalBit] = true
    return TranslationTag(raw: tag)
  }

  /// The bits that must be equal for a hit: ASET separates global entries alone (§3.17.1).
  @inline(__always)
  var key: UInt64 {
    isGlobal ? raw : raw & ~(1 &<< UInt64(truncatingIfNeeded: Self.nonSharedBit))
  }
}

/// A translation as it is kept: whatever an access needs but its own attributes.
struct CachedTranslation: Equatable, Sendable {
  /// Output page.
  var output: UInt64
  /// log2 of the bytes that it covers.
  var size: Int
  /// The same of the stage 1 leaf that it is a piece of; only where it is filled.
  var stage1Size = 0
  var permissions: Permissions
  var stage1Attributes: UInt8
  var stage1Shareability: UInt8
  var stage2Attributes: UInt8
  var stage2Shareability: UInt8
}

/// The IOTLB: set-associative, tagged by `TranslationTag`, address and size, exact under every
/// TLBI. Look-ups take no lock; fills and invalidations do.
///
/// A row: {sequence, time} · {page, size} · {tag, permissions} · {output, attributes}.
struct TranslationCache {
  private static var rowWords: Int { 4 }

  private static var vmids: Int { 256 }
  private static var asids: Int { 1024 }
  /// Stamps: everything, then by VMID (stage 1, stage 2, nested), then by VMID and ASID.
  private static var everything: Int { 0 }
  private static func stage1(_ vmid: VMID) -> Int { 1 &+ Int(vmid) & (vmids - 1) }
  private static func stage2(_ vmid: VMID) -> Int { stage1(vmid) &+ vmids }
  private static func nested(_ vmid: VMID) -> Int { stage1(vmid) &+ 2 &* vmids }
  private static func context(_ vmid: VMID, _ asid: ASID) -> Int {
    1 &+ 3 &* vmids &+ (Int(asid) ^ Int(vmid) &* 37) & (asids - 1)
  }

  private let table: SequencedTable
  private let clock: InvalidationClock
  /// Sizes that entries have had since the cache was last empty, as a set of log2 values: what a
  /// look-up must try. For entries of one ASID or of stage 2, and for global ones; then the sizes
  /// of stage 1 leaves that are kept in pieces, as stage 2 has smaller ones.
  private let sizes: UnsafeMutablePointer<Atomic<UInt64>>
  private let lock: SpinLock

  init(entries: Int) {
    table = SequencedTable(entries: entries, rowWords: Self.rowWords)
    clock = InvalidationClock(stamps: 1 + 3 * Self.vmids + Self.asids)
    sizes = .allocate(capacity: 3)
    for i in 0..<3 { (sizes + i).initialize(to: Atomic(0)) }
    lock = SpinLock()
  }

  func deallocate() {
    table.deallocate()
    clock.deallocate()
    sizes.deallocate()
    lock.deallocate()
  }

  // MARK: Look-up

  /// The time to give to `insert`, taken before the walk.
  @inline(__always)
  var now: UInt32 { clock.now }

  @inline(__always)
  func lookUp(_ address: UInt64, _ tag: TranslationTag) -> CachedTranslation? {
    var left = sizes[0].load(ordering: .relaxed)
    while left != 0 {
      let size = left.trailingZeroBitCount
      left &= left &- 1
      if let hit = probe(address, tag, size) { return hit }
    }
    guard !tag.isIntermediate else { return nil }
    left = sizes[1].load(ordering: .relaxed)
    while left != 0 {
      let size = left.trailingZeroBitCount
      left &= left &- 1
      if let hit = probe(address, tag.global, size) { return hit }
    }
    return nil
  }

  /// The page of an entry with its size in the low bits.
  @inline(__always)
  private static func page(_ address: UInt64, _ size: Int) -> UInt64 {
    address.aligned(down: size) | UInt64(truncatingIfNeeded: size)
  }

  @inline(__always)
  private func set(_ page: UInt64, _ key: UInt64, _ size: Int) -> Range<Int> {
    let mixed = (page &>> UInt64(truncatingIfNeeded: size)) ^ (key &* 0x9e37_79b9_7f4a_7c15)
    return table.set((mixed ^ UInt64(truncatingIfNeeded: size)) &* 0xff51_afd7_ed55_8ccd)
  }

  @inline(__always)
  private func probe(_ address: UInt64, _ tag: TranslationTag, _ size: Int) -> CachedTranslation? {
    let page = Self.page(address, size)
    for number in set(page, tag.key, size) where table.peek(number, 1) == page {
      guard let row = table.read4(number), row.1 == page else { continue }
      let found = TranslationTag(raw: row.2 & UInt64.ones(Self.tagBits))
      guard found.key == tag.key, isAlive(found, row.time) else { continue }
      return Self.decode(row.1, row.2, row.3)
    }
    return nil
  }

  @inline(__always)
  private func isAlive(_ tag: TranslationTag, _ time: UInt32) -> Bool {
    guard time >= clock[Self.everything] else { return false }
    if tag.isIntermediate { return time >= clock[Self.stage2(tag.vmid)] }
    guard time >= clock[Self.stage1(tag.vmid)] else { return false }
    if tag.isNested && time < clock[Self.nested(tag.vmid)] { return false }
    return tag.isGlobal || time >= clock[Self.context(tag.vmid, tag.asid)]
  }

  // MARK: Layout of a row

  private static var tagBits: Int { 36 }

  @inline(__always)
  private static func decode(_ page: UInt64, _ tag: UInt64, _ output: UInt64) -> CachedTranslation {
    CachedTranslation(
      output: output & UInt64.ones(56) & ~UInt64.ones(12),
      size: Int(truncatingIfNeeded: page & 0x3f),
      permissions: Permissions(rawValue: UInt8(truncatingIfNeeded: tag &>> 40)),
      stage1Attributes: UInt8(truncatingIfNeeded: output),
      stage1Shareability: UInt8(truncatingIfNeeded: output[9, 8]),
      stage2Attributes: UInt8(truncatingIfNeeded: output[59, 56]),
      stage2Shareability: UInt8(truncatingIfNeeded: output[11, 10]))
  }

  // MARK: Fill

  /// Keeps a translation whose walk began at `time`, unless anything was invalidated since.
  func insert(
    _ address: UInt64, _ tag: TranslationTag, _ translation: CachedTranslation, time: UInt32,
    _ machine: any Machine
  ) {
    let page = Self.page(address, translation.size)
    lock.lock(machine)
    defer { lock.unlock() }
    guard time != InvalidationClock.closed, clock.now == time else { return }
    let row = table.replaceable(set(page, tag.key, translation.size)) { row in
      let found = entry(row)
      return found.page == page && found.tag.key == tag.key
    } isDead: { row in
      !isAlive(entry(row).tag, table.time(row))
    }
    table.write(row, time: time, 3) { word in
      switch word {
      case 0: page
      case 1: tag.raw | UInt64(translation.permissions.rawValue) << 40
      default:
        translation.output & UInt64.ones(56) & ~UInt64.ones(12)
          | UInt64(translation.stage1Attributes)
          | UInt64(translation.stage1Shareability & 3) << 8
          | UInt64(translation.stage2Shareability & 3) << 10
          | UInt64(translation.stage2Attributes & 0xf) << 56
      }
    }
    note(translation.size, in: tag.isGlobal ? 1 : 0)
    if translation.stage1Size > translation.size { note(translation.stage1Size, in: 2) }
  }

  private func note(_ size: Int, in set: Int) {
    let known = sizes[set].load(ordering: .relaxed)
    sizes[set].store(known | 1 &<< UInt64(truncatingIfNeeded: size), ordering: .releasing)
  }

  private func entry(_ row: Int) -> (page: UInt64, tag: TranslationTag) {
    (table.peek(row, 1), TranslationTag(raw: table.peek(row, 2) & UInt64.ones(Self.tagBits)))
  }

  // MARK: Invalidation

  /// Removes what a TLBI names. `wildcard` are VMID bits that do not count (§3.17.6). Returns how
  /// many rows were looked at: invalidations by VMID, ASID and of everything look at none.
  @discardableResult
  func invalidate(_ what: TLBInvalidation, wildcard: VMID, _ machine: any Machine) -> Int {
    lock.lock(machine)
    defer { lock.unlock() }
    clock.advance()
    switch what {
    case .nothing:
      return 0
    case .everything:
      clock.expire(Self.everything)
      clearSizes()
      return 0
    case .stage1(let vmid):
      each(vmid, wildcard) { clock.expire(Self.stage1($0)) }
      return 0
    case .machine(let vmid):
      each(vmid, wildcard) {
        clock.expire(Self.stage1($0))
        clock.expire(Self.stage2($0))
      }
      return 0
    case .asid(let vmid, let asid):
      each(vmid, wildcard) { clock.expire(Self.context($0, asid)) }
      return 0
    case .address(let vmid, let asid, let range):
      return remove(vmid, wildcard, asid, range)
    case .intermediate(let vmid, let range):
      // Nested translations hold stage 2 information without knowing its IPA.
      each(vmid, wildcard) { clock.expire(Self.nested($0)) }
      return remove(intermediate: vmid, wildcard, range)
    }
  }

  /// All VMIDs that differ from `vmid` in wildcard bits only: 16 at most.
  private func each(_ vmid: VMID, _ wildcard: VMID, _ body: (VMID) -> Void) {
    for low in 0...wildcard { body(vmid & ~wildcard | low) }
  }

  /// Stage 1 by address. Global entries go whatever their ASID (§4.4.2.4).
  private func remove(
    _ vmid: VMID, _ wildcard: VMID, _ asid: ASID?, _ range: AddressRange
  ) -> Int {
    // Each page may be there alone and nested, and if global with either ASET.
    let variants = 2 * Int(wildcard) + 2
    let probes = pages(range, 0).multipliedReportingOverflow(by: variants)
    let globalProbes = pages(range, 1).multipliedReportingOverflow(by: 2 * variants)
    guard let asid, !probes.overflow, !globalProbes.overflow,
      probes.partialValue < table.rows / 8, globalProbes.partialValue < table.rows / 8
    else {
      return removeAll { tag in
        !tag.isIntermediate && (tag.vmid ^ vmid) & ~wildcard == 0
          && (asid == nil || tag.isGlobal || tag.asid == asid)
      } within: {
        range.overlaps($0)
      }
    }
    each(vmid, wildcard) { vmid in
      for isNested in [false, true] {
        let tag = TranslationTag(vmid: vmid, asid: asid, nonShared: false, nested: isNested)
        eachPage(range, 0) { remove($0, tag, $1) }
        let other = TranslationTag(vmid: vmid, asid: asid, nonShared: true, nested: isNested)
        eachPage(range, 1) {
          remove($0, tag.global, $1)
          remove($0, other.global, $1)
        }
      }
    }
    return (probes.partialValue + globalProbes.partialValue) * SequencedTable.ways
  }

  /// Stage 2 by address.
  private func remove(
    intermediate vmid: VMID, _ wildcard: VMID, _ range: AddressRange
  ) -> Int {
    let probes = pages(range, 0).multipliedReportingOverflow(by: Int(wildcard) + 1)
    guard !probes.overflow, probes.partialValue < table.rows / 8 else {
      return removeAll { tag in
        tag.isIntermediate && (tag.vmid ^ vmid) & ~wildcard == 0
      } within: {
        range.overlaps($0)
      }
    }
    each(vmid, wildcard) { vmid in
      let tag = TranslationTag(intermediate: vmid)
      eachPage(range, 0) { remove($0, tag, $1) }
    }
    return probes.partialValue * SequencedTable.ways
  }

  /// Pages in a range, of all sizes that entries have; at most a quarter of all integers.
  private func pages(_ range: AddressRange, _ kind: Int) -> Int {
    var total: UInt64 = 0
    var left = sizes[kind].load(ordering: .relaxed)
    while left != 0 {
      let shift = UInt64(truncatingIfNeeded: left.trailingZeroBitCount)
      left &= left &- 1
      total += (range.last &>> shift) &- (range.first &>> shift) &+ 1
    }
    // Sizes are 4 KiB and up, so a sum of 52-bit numbers.
    return Int(truncatingIfNeeded: total)
  }

  private func eachPage(_ range: AddressRange, _ kind: Int, _ body: (UInt64, Int) -> Void) {
    var left = sizes[kind].load(ordering: .relaxed)
    while left != 0 {
      let size = left.trailingZeroBitCount
      left &= left &- 1
      let shift = UInt64(truncatingIfNeeded: size)
      for number in (range.first &>> shift)...(range.last &>> shift) {
        body(number &<< shift, size)
      }
    }
  }

  private func remove(_ address: UInt64, _ tag: TranslationTag, _ size: Int) {
    let page = Self.page(address, size)
    for row in set(page, tag.key, size) {
      let found = entry(row)
      if found.page == page && found.tag.key == tag.key { table.clear(row) }
    }
  }

  private func removeAll(
    _ isMeant: (TranslationTag) -> Bool, within overlaps: (_ page: UInt64) -> Bool
  ) -> Int {
    for row in 0..<table.rows {
      let found = entry(row)
      if found.page != 0 && isMeant(found.tag) && overlaps(found.page) { table.clear(row) }
    }
    return table.rows
  }

  /// What an invalidation must remove so that no piece of a divided leaf stays: all of the leaf.
  func widened(_ what: TLBInvalidation) -> TLBInvalidation {
    guard case .address(let vmid, let asid, let range) = what else { return what }
    let largest = 63 - (sizes[2].load(ordering: .acquiring) | 1).leadingZeroBitCount
    return .address(
      vmid, asid,
      AddressRange(
        first: range.first.aligned(down: largest), last: range.last | UInt64.ones(largest)))
  }

  /// Renewal, in two halves with a wait between them (`SMMU.renewCaches`).
  var isExhausted: Bool { clock.isExhausted }

  func close(_ machine: any Machine) {
    lock.lock(machine)
    clock.close(Self.everything)
    table.clearAll()
    clearSizes()
    lock.unlock()
  }

  func reopen() { clock.reopen() }

  private func clearSizes() {
    for i in 0..<3 { sizes[i].store(0, ordering: .relaxed) }
  }

  /// For tests: the next invalidation wraps the time.
  func setTime(_ time: UInt32) { clock.set(time) }
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
