// SPDX-License-Identifier: MIT
import SMMUSpec

/// The host's stream table, linear or of two levels with leaves of 256 STEs that are made when they
/// are needed (§3.3.1) and filled with aborts. A stream outside all leaves is C_BAD_STREAMID.
final class PhysicalStreamTable {
  private static var split: Int { 8 }
  /// As large as a driver makes its first level.
  private static var most: Int { 25 }

  let bits: Int
  let isTwoLevel: Bool
  private let root: PhysicalPages
  private var leaves: [PhysicalPages] = []

  init(_ features: Features) {
    bits = Self.bits(features)
    isTwoLevel = Self.isTwoLevel(features)
    root = PhysicalPages(bytes: Self.rootBytes(features))
    if !isTwoLevel { Self.fill(root) }
  }

  private static func bits(_ features: Features) -> Int { min(features.streamIDBits, most) }

  private static func isTwoLevel(_ features: Features) -> Bool {
    features.twoLevelStreamTable && bits(features) > split
  }

  static func rootBytes(_ features: Features) -> Int {
    let bits = bits(features)
    return isTwoLevel(features) ? 8 << (bits - split) : 64 << bits
  }

  /// Bytes that a leaf takes, aligned to its size.
  static var leafNeed: Int { 2 * (64 << split) + 64 }

  deinit {
    root.deallocate()
    for leaf in leaves { leaf.deallocate() }
  }

  /// STRTAB_BASE, with RA.
  var base: UInt64 { root.address | StreamTableBase.ra.mask }

  /// STRTAB_BASE_CFG.
  var configuration: UInt64 {
    var value = UInt64(bits)
    guard isTwoLevel else { return value }
    value[StreamTableBaseConfig.split.high, StreamTableBaseConfig.split.low] = UInt64(Self.split)
    value[StreamTableBaseConfig.fmt.high, StreamTableBaseConfig.fmt.low] = 1
    return value
  }

  private static func fill(_ pages: PhysicalPages) {
    for offset in stride(from: 0, to: pages.bytes, by: Int(StreamTableEntry.bytes)) {
      pages.word(offset).value = StreamTableEntry.abort.words[0]
    }
  }

  func contains(_ stream: StreamID) -> Bool { UInt64(stream) <= UInt64.ones(bits) }

  /// The STE of a stream that the table contains; nil if its leaf was never made.
  func find(_ stream: StreamID) -> StreamTableSlot? {
    guard isTwoLevel else { return StreamTableSlot(root.address + UInt64(stream) * 64) }
    let descriptor = root.word(Int(stream >> UInt32(Self.split)) * 8).value
    guard descriptor != 0 else { return nil }
    let leaf = descriptor & Level1StreamTableDescriptor.l2ptr.mask
    return StreamTableSlot(leaf + (UInt64(stream) & UInt64.ones(Self.split)) * 64)
  }

  /// The same, with its leaf made: no CFGI is needed, as invalid descriptors are not cached.
  func make(_ stream: StreamID) -> StreamTableSlot? {
    guard contains(stream) else { return nil }
    if let found = find(stream) { return found }
    let leaf = PhysicalPages(bytes: 64 << Self.split)
    leaves.append(leaf)
    Self.fill(leaf)
    root.word(Int(stream >> UInt32(Self.split)) * 8).value = leaf.address | UInt64(Self.split + 1)
    return find(stream)
  }

  /// Every STE there is.
  func each(_ body: (StreamTableSlot) -> Void) {
    func visit(_ pages: PhysicalPages) {
      for offset in stride(from: 0, to: pages.bytes, by: Int(StreamTableEntry.bytes)) {
        body(StreamTableSlot(pages.address + UInt64(offset)))
      }
    }
    if !isTwoLevel { visit(root) }
    for leaf in leaves { visit(leaf) }
  }
}

extension StreamTableEntry {
  static var abort: StreamTableEntry {
    var ste = StreamTableEntry()
    ste[StreamTableEntry.v] = 1
    return ste
  }
}

/// An STE in memory.
struct StreamTableSlot {
  private let address: UInt64

  init(_ address: UInt64) { self.address = address }

  subscript(_ word: Int) -> UInt64 {
    get { PhysicalWord(address + UInt64(word) * 8).value }
    nonmutating set { PhysicalWord(address + UInt64(word) * 8).value = newValue }
  }

  var value: StreamTableEntry {
    var ste = StreamTableEntry()
    for i in 0..<8 { ste.words[i] = self[i] }
    return ste
  }

  /// Writes an STE that the SMMU may fetch at any time: each word is fetched whole, but not all of
  /// them together. What the old STE does not use comes first; then the one word in which both
  /// differ, so that the change is a single store; then the rest. Where several words differ, the
  /// STE is invalid in between. `invalidate` makes the SMMU forget it, and waits.
  func update(to new: StreamTableEntry, invalidate: () -> Void) {
    let old = value
    let before = old.used
    let after = new.used
    var critical = 0
    var count = 0
    for i in 0..<8 where (old.words[i] ^ new.words[i]) & before.words[i] & after.words[i] != 0 {
      critical = i
      count += 1
    }
    if count > 1 {
      self[0] = 0
      invalidate()
      for i in 1..<8 { self[i] = new.words[i] }
      invalidate()
      self[0] = new.words[0]
      invalidate()
      return
    }
    for i in 0..<8 {
      self[i] = old.words[i] & before.words[i] | new.words[i] & ~before.words[i]
    }
    invalidate()
    if count == 1 {
      self[critical] = new.words[critical]
      invalidate()
    }
    for i in 0..<8 { self[i] = new.words[i] }
    invalidate()
  }
}

extension StreamTableEntry {
  /// The bits that an SMMU looks at, by Config (§5.2).
  fileprivate var used: StreamTableEntry {
    typealias S = StreamTableEntry
    var mask = S()
    mask.words[0] = S.v.mask | S.config.mask
    guard flag(S.v), self[S.config] & 4 != 0 else { return mask }
    let stage1: UInt64 =
      S.s1dss.mask | S.s1cir.mask | S.s1cor.mask | S.s1csh.mask | S.s1stalld.mask | S.eats.mask
      | S.strw.mask
    mask.words[1] = ~stage1
    if self[S.config] & 1 != 0 {
      mask.words[0] = .max
      mask.words[1] = .max
      mask.words[2] |= S.s2vmid.mask
    }
    if self[S.config] & 2 != 0 { for i in 2..<8 { mask.words[i] = .max } }
    return mask
  }
}
