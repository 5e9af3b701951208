// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The IOTLB: set-associative, tagged by `TranslationTag`, address and size, exact under every
/// TLBI. Look-ups take no lock; fills do, and invalidations of what is there.
///
/// A row: {sequence, time} · {page, size} · {tag, permissions} · {output, attributes}.
struct TranslationCache {
  typealias Table = SequencedTable<4>

  private static var vmids: Int { 256 }
  private static var asids: Int { 1024 }
  private static var blocks: Int { 1024 }
  /// Stamps: everything, by VMID (stage 1, stage 2, nested), then by VMID, ASID and ASET, which
  /// never share one, then by block of addresses.
  static var everything: Int { 0 }
  static func stage1(_ vmid: VMID) -> Int { 1 &+ Int(vmid) & (vmids - 1) }
  static func stage2(_ vmid: VMID) -> Int { stage1(vmid) &+ vmids }
  static func nested(_ vmid: VMID) -> Int { stage1(vmid) &+ 2 &* vmids }
  static func context(_ tag: TranslationTag) -> Int {
    let contextBits = Int(truncatingIfNeeded: tag.raw &>> 16)
    return 1 &+ 3 &* vmids &+ (contextBits ^ Int(tag.vmid) &* 74) & (2 &* asids - 1)
  }

  /// log2 of the bytes of a block, of which each context has its own.
  static var blockBits: Int { 21 }

  /// Of the block that an address or page is in, for tags with that key.
  @inline(__always)
  static func block(_ page: UInt64, _ key: UInt64) -> Int {
    let mixed = (page &>> UInt64(truncatingIfNeeded: blockBits)) ^ (key &* 0x9e37_79b9_7f4a_7c15)
    let hash = (mixed &* 0xff51_afd7_ed55_8ccd) &>> 40
    return 1 &+ 3 &* vmids &+ 2 &* asids &+ Int(truncatingIfNeeded: hash) & (blocks &- 1)
  }

  let table: Table
  let clock: InvalidationClock
  /// Sizes that entries have had since the cache was last empty, as a set of log2 values: what a
  /// look-up must try. For entries of one ASID or of stage 2, and for global ones; then the sizes
  /// of stage 1 leaves that were answered in pieces, as stage 2 has smaller ones.
  let sizes: UnsafeMutablePointer<Atomic<UInt64>>
  let lock: Lock

  init(entries: Int) {
    table = Table(entries: entries)
    clock = InvalidationClock(stamps: 1 + 3 * Self.vmids + 2 * Self.asids + Self.blocks)
    sizes = .allocate(capacity: 3)
    for i in 0..<3 { (sizes + i).initialize(to: Atomic(0)) }
    lock = Lock()
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
  static func page(_ address: UInt64, _ size: Int) -> UInt64 {
    address & ~UInt64.low(size) | UInt64(truncatingIfNeeded: size)
  }

  @inline(__always)
  func set(_ page: UInt64, _ key: UInt64, _ size: Int) -> Range<Int> {
    let mixed = (page &>> UInt64(truncatingIfNeeded: size)) ^ (key &* 0x9e37_79b9_7f4a_7c15)
    return table.set((mixed ^ UInt64(truncatingIfNeeded: size)) &* 0xff51_afd7_ed55_8ccd)
  }

  @inline(__always)
  private func probe(_ address: UInt64, _ tag: TranslationTag, _ size: Int) -> CachedTranslation? {
    let page = Self.page(address, size)
    for number in set(page, tag.key, size) where table.peek(number, 1) == page {
      let begun = table.begin(number)
      let (key, word, output) = (
        table.peek(number, 1), table.peek(number, 2), table.peek(number, 3)
      )
      let found = TranslationTag(raw: word & UInt64.ones(Self.tagBits))
      guard key == page, found.key == tag.key, isAlive(found, page, Table.time(begun)),
        table.isWhole(number, begun)
      else { continue }
      return Self.decode(key, word, output)
    }
    return nil
  }

  @inline(__always)
  func isAlive(_ tag: TranslationTag, _ page: UInt64, _ time: UInt32) -> Bool {
    guard time >= clock[Self.everything], time >= clock[Self.block(page, tag.key)] else {
      return false
    }
    if tag.isIntermediate { return time >= clock[Self.stage2(tag.vmid)] }
    guard time >= clock[Self.stage1(tag.vmid)] else { return false }
    if tag.isNested && time < clock[Self.nested(tag.vmid)] { return false }
    return tag.isGlobal || time >= clock[Self.context(tag)]
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

  /// Keeps a translation whose walk began at `time`, unless anything was invalidated since. Under
  /// the lock.
  @inline(__always)
  func insert(
    _ address: UInt64, _ tag: TranslationTag, _ translation: CachedTranslation, time: UInt32
  ) {
    let page = Self.page(address, translation.size)
    // Whoever keeps a copy of a piece must hear of its leaf, whether it is kept here or not.
    if translation.isPiece { note(translation.stage1Size, in: 2) }
    guard time != InvalidationClock.closed, clock.now == time else { return }
    let row = table.replaceable(
      set(page, tag.key, translation.size), page, since: clock[Self.everything]
    ) { row in
      entry(row).tag.key == tag.key
    } isDead: { row in
      let found = entry(row)
      return !isAlive(found.tag, found.page, table.time(row))
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
  }

  private func note(_ size: Int, in set: Int) {
    let known = sizes[set].load(ordering: .relaxed)
    let all = known | 1 &<< UInt64(truncatingIfNeeded: size)
    if all != known { sizes[set].store(all, ordering: .releasing) }
  }

  func entry(_ row: Int) -> (page: UInt64, tag: TranslationTag) {
    (table.peek(row, 1), TranslationTag(raw: table.peek(row, 2) & UInt64.ones(Self.tagBits)))
  }

  /// For tests: the next invalidation wraps the time.
  func setTime(_ time: UInt32) { clock.set(time) }
}
