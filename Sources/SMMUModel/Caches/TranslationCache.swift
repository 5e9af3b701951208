// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The IOTLB: set-associative, tagged by `TranslationTag`, address and size. A TLBI removes what it
/// names, and what shares a stamp with that. Any thread looks up and fills; invalidations are
/// serialised by the caller.
///
/// A row: {sequence, time} · {page, size} · {tag, permissions} · {output, attributes}.
final class TranslationCache {
  typealias Table = SequencedTable<4>

  private static var vmids: Int { 256 }
  private static var asids: Int { 1024 }
  private static var blocks: Int { 512 }
  /// Stamps: everything, by VMID (stage 1, stage 2, nested), then by VMID, ASID and ASET, which
  /// never share one, then by block of addresses.
  static var everything: Int { InvalidationClock.everything }
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
    block(page, seed: TranslationOwner.seed(key))
  }

  @inline(__always)
  private static func block(_ page: UInt64, seed: UInt64) -> Int {
    let mixed = (page &>> UInt64(truncatingIfNeeded: blockBits)) ^ seed
    let hash = (mixed &* 0xff51_afd7_ed55_8ccd) &>> 40
    return 1 &+ 3 &* vmids &+ 2 &* asids &+ Int(truncatingIfNeeded: hash) & (blocks &- 1)
  }

  let table: Table
  let clock: InvalidationClock
  /// Sizes that entries have had since the cache was last empty, as a set of log2 values: what a
  /// look-up must try. For entries of one ASID or of stage 2, and for global ones; then the sizes
  /// of stage 1 leaves that were answered in pieces, as stage 2 has smaller ones; and those of
  /// nested entries among the first two.
  let sizes: UnsafeMutablePointer<Atomic<UInt64>>

  init(entries: Int) {
    table = Table(entries: entries)
    clock = InvalidationClock(stamps: 1 + 3 * Self.vmids + 2 * Self.asids + Self.blocks)
    sizes = .allocate(capacity: 4)
    for i in 0..<4 { (sizes + i).initialize(to: Atomic(0)) }
  }

  deinit {
    table.deallocate()
    clock.deallocate()
    sizes.deallocate()
  }

  // MARK: Look-up

  /// The time to give to `insert`, taken before the walk.
  @inline(__always)
  var now: UInt32 { clock.now }

  /// What is looked for is told by the owner. The smallest size first: it is the only one mostly.
  @inline(never)
  func lookUp(_ address: UInt64, _ owner: TranslationOwner) -> CachedTranslation? {
    let own = sizes[0].load(ordering: .relaxed)
    if own != 0, let hit = probe(address, owner: owner, size: own.trailingZeroBitCount) {
      return hit
    }
    let others = own & (own &- 1)
    guard _slowPath(others | sizes[1].load(ordering: .relaxed) != 0) else { return nil }
    return lookUp(address, owner: owner, ofOther: others)
  }

  /// Of the other sizes, then what belongs to all contexts.
  @inline(never)
  private func lookUp(
    _ address: UInt64, owner: TranslationOwner, ofOther sizes: UInt64
  ) -> CachedTranslation? {
    if let hit = probe(address, owner: owner, of: sizes) { return hit }
    guard !owner.tag.isIntermediate else { return nil }
    let all = self.sizes[1].load(ordering: .relaxed)
    return all == 0 ? nil : probe(address, owner: TranslationOwner(owner.tag.global), of: all)
  }

  private func probe(
    _ address: UInt64, owner: TranslationOwner, of sizes: UInt64
  ) -> CachedTranslation? {
    var left = sizes
    while left != 0 {
      let size = left.trailingZeroBitCount
      left &= left &- 1
      if let hit = probe(address, owner: owner, size: size) { return hit }
    }
    return nil
  }

  /// The page of an entry with its size in the low bits.
  @inline(__always)
  static func page(_ address: UInt64, _ size: Int) -> UInt64 {
    address & ~UInt64.low(size) | UInt64(truncatingIfNeeded: size)
  }

  /// `number` is the page's: its address without the bits of its size.
  @inline(__always)
  private static func hash(_ number: UInt64, seed: UInt64, size: Int) -> UInt64 {
    (number ^ seed ^ UInt64(truncatingIfNeeded: size)) &* 0xff51_afd7_ed55_8ccd
  }

  /// The rows where a page is, by its tag's key.
  func set(_ page: UInt64, key: UInt64, size: Int) -> Range<Int> {
    let number = page &>> UInt64(truncatingIfNeeded: size)
    return table.set(Self.hash(number, seed: TranslationOwner.seed(key), size: size))
  }

  /// A page of an owner is in one row at most.
  @inline(__always)
  private func probe(
    _ address: UInt64, owner: TranslationOwner, size: Int
  ) -> CachedTranslation? {
    let bits = UInt64(truncatingIfNeeded: size)
    let number = address &>> bits
    let page = number &<< bits | bits
    var row = table.firstRow(Self.hash(number, seed: owner.seed, size: size))
    let end = row + Table.words
    while row[1].load(ordering: .relaxed) != page
      || !owner.isSame(row[2].load(ordering: .relaxed))
    {
      row += Table.row
      if row == end { return nil }
    }
    let begun = row[0].load(ordering: .acquiring)
    let key = row[1].load(ordering: .relaxed)
    let word = row[2].load(ordering: .relaxed)
    let output = row[3].load(ordering: .relaxed)
    // Last of all that the row is whole: a renewal empties the rows before it starts the clock
    // anew, so a time of before is never taken for one of after.
    guard key == page, isAlive(word, owner: owner, page: page, time: SequencedRow.time(begun)),
      SequencedRow.isWhole(row, begun)
    else { return nil }
    return CachedTranslation(
      output: output, size: size,
      permissions: Permissions(rawValue: UInt8(truncatingIfNeeded: word &>> 40)))
  }

  /// Whether an entry is the owner's and was not forgotten. What differs in nothing but ASET is the
  /// owner's too (§3.17.1), but has stamps of its own.
  @inline(__always)
  private func isAlive(
    _ word: UInt64, owner: TranslationOwner, page: UInt64, time: UInt32
  ) -> Bool {
    // No time has passed since: none of its stamps is younger.
    if _fastPath(time == clock.now) { return (word ^ owner.tag.raw) & owner.mask == 0 }
    guard (word ^ owner.tag.raw) & UInt64.low(TranslationTag.width) == 0 else {
      return isAliveOfOtherASET(word, owner: owner, page: page, time: time)
    }
    return isAlive(owner, page: page, time: time)
  }

  @inline(__always)
  private func isAlive(_ owner: TranslationOwner, page: UInt64, time: UInt32) -> Bool {
    time >= clock[Self.everything] && time >= clock[Self.block(page, seed: owner.seed)]
      && time >= clock[owner.stamp(0)]
      && time >= clock[owner.stamp(1)] && time >= clock[owner.stamp(2)]
  }

  @inline(never)
  private func isAliveOfOtherASET(
    _ word: UInt64, owner: TranslationOwner, page: UInt64, time: UInt32
  ) -> Bool {
    let tag = TranslationTag(raw: word & UInt64.low(TranslationTag.width))
    return tag.key == owner.tag.key && isAlive(tag, page: page, time: time)
  }

  func isAlive(_ tag: TranslationTag, page: UInt64, time: UInt32) -> Bool {
    isAlive(TranslationOwner(tag), page: page, time: time)
  }

  // MARK: Fill

  /// Keeps a translation whose walk began at `time`, unless anything was invalidated since. What
  /// sizes there are is said first: who advances the clock afterwards looks for them.
  @inline(__always)
  func insert(
    _ address: UInt64, tag: TranslationTag, seed: UInt64, translation: CachedTranslation,
    time: UInt32
  ) {
    // Whoever keeps a copy of a piece must hear of its leaf, whether it is kept here or not.
    if _slowPath(translation.isPiece) { note(translation.stage1Size, in: 2) }
    if tag.isNested { note(translation.size, in: 3) }
    note(translation.size, in: tag.isGlobal ? 1 : 0)
    let size = UInt64(truncatingIfNeeded: translation.size)
    let number = address &>> size
    let page = number &<< size | size
    let first = table.firstRow(Self.hash(number, seed: seed, size: translation.size))
    let mask = TranslationTag.mask(of: tag)
    let free = table.replaceable(first, word1: page, since: clock[Self.everything]) { row in
      (row[2].load(ordering: .relaxed) ^ tag.raw) & mask == 0
    }
    let row = free ?? victim(first)
    table.fill(row, time: time, clock: clock) { row in
      row[1].store(page, ordering: .relaxed)
      row[2].store(
        tag.raw | UInt64(translation.permissions.rawValue) &<< 40, ordering: .relaxed)
      row[3].store(translation.output, ordering: .relaxed)
    }
  }

  @inline(never)
  private func victim(_ first: Table.Row) -> Table.Row {
    table.victim(first) { row in
      !isAlive(
        Self.tag(row), page: row[1].load(ordering: .relaxed),
        time: SequencedRow.time(row[0].load(ordering: .relaxed)))
    }
  }

  @inline(__always)
  static func tag(_ row: Table.Row) -> TranslationTag {
    TranslationTag(raw: row[2].load(ordering: .relaxed) & UInt64.low(TranslationTag.width))
  }

  @inline(__always)
  private func note(_ size: Int, in set: Int) {
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: size)
    if _slowPath(sizes[set].load(ordering: .acquiring) & bit == 0) {
      sizes[set].bitwiseOr(bit, ordering: .sequentiallyConsistent)
    }
  }

  func entry(_ row: Int) -> (page: UInt64, tag: TranslationTag) {
    (table.peek(row, 1), TranslationTag(raw: table.peek(row, 2) & UInt64.low(TranslationTag.width)))
  }

  /// For tests: the next invalidation wraps the time.
  func setTime(_ time: UInt32) { clock.set(time) }
}
