// SPDX-License-Identifier: MIT
import SMMUSpec

/// A stage 2 translation table in the emulated host's memory, where a physical address is a pointer
/// of this process. SMMUs may walk it at any time: every change is one store of a descriptor, and a
/// table is complete before an entry leads to it.
///
/// 4K granule, blocks wherever both addresses allow them. Tables stay until the end, as a walk may
/// be in one: whoever drops it has taken it out of all STEs and waited for CMD_SYNC.
final class Stage2Table {
  private let inputBits: Int
  private let startLevel: Int
  private let forcesWriteBack: Bool
  private let root: PhysicalPages
  private(set) var tables: [PhysicalPages] = []

  /// `forcesWriteBack`: the STE's S2FWB, which changes what MemAttr means.
  init(outputBits: Int, forcesWriteBack: Bool = false) {
    inputBits = min(max(outputBits, 32), 48)
    let level = Self.startLevel(inputBits)
    startLevel = level
    self.forcesWriteBack = forcesWriteBack
    root = PhysicalPages(bytes: 8 << (inputBits - Self.lowBit(level)))
  }

  deinit {
    root.deallocate()
    for table in tables { table.deallocate() }
  }

  /// What a table takes, and what it takes to map something in it at most. A table of the lowest
  /// level is for pages: where blocks fit, there are two at most.
  static var rootBytes: Int { 2 * (8 << 13) + 1024 }

  func needed(for ipa: UInt64, to physical: UInt64, length: UInt64) -> Int {
    func most(_ level: Int) -> UInt64 { length >> UInt64(Self.lowBit(level)) + 2 }
    let block: UInt64 = 1 << UInt64(Self.lowBit(2))
    let hasBlocks = (ipa ^ physical) & (block - 1) == 0
    let pages = (hasBlocks ? 2 : most(2)) + most(1) + most(0)
    return Int(truncatingIfNeeded: min(pages, 1 << 40)) * (2 * 4096 + 64)
      + EmulatedNeed.growth(of: tables)
  }

  /// The lowest level that up to 16 concatenated tables reach (DDI 0487 D8.2.2).
  private static func startLevel(_ inputBits: Int) -> Int {
    let level = 3 - (inputBits - 1 - 12) / 9
    return level < 2 && inputBits - lowBit(level + 1) <= 9 + 4 ? level + 1 : level
  }

  /// The lowest address bit that a level resolves.
  private static func lowBit(_ level: Int) -> Int { 12 + 9 * (3 - level) }

  /// What an STE says of it: words 2 and 3, without S2VMID.
  var words: (UInt64, UInt64) {
    typealias S = StreamTableEntry
    var ste = S()
    ste[S.s2t0sz] = UInt64(64 - inputBits)
    ste[S.s2sl0] = UInt64(2 - startLevel)
    ste[S.s2ir0] = 1
    ste[S.s2or0] = 1
    ste[S.s2sh0] = 3
    // A pointer has up to 48 bits, whatever the ID registers show.
    ste[S.s2ps] = 5
    ste[S.s2aa64] = 1
    ste[S.s2ptw] = 1
    ste[S.s2r] = 1
    ste[S.s2ttb] = root.address >> 4
    return (ste.words[2], ste.words[3])
  }

  /// All multiples of 4096; the range is not mapped. What lies beyond the input size, or leads
  /// beyond 48 bits, is left out. Stage 1 may not walk in memory of a device (S2PTW).
  func map(
    _ ipa: UInt64, to physical: UInt64, length: UInt64, readable: Bool, writable: Bool,
    isDevice: Bool = false
  ) {
    guard isInside(ipa, length), physical >> 48 == 0, length <= (1 << 48) - physical else { return }
    let attributes = leaf(readable: readable, writable: writable, isDevice: isDevice)
    var done: UInt64 = 0
    while done < length {
      let from = ipa + done
      let to = physical + done
      var level = level(from | to, length - done)
      var entry = entry(from, level)
      // A table that is there is used again, as it stays until the end in any case.
      while level < 3 && entry.value & 0b11 == Self.tableOrPage {
        level += 1
        entry = self.entry(from, level)
      }
      entry.value = to | attributes | (level == 3 ? Self.tableOrPage : Self.block)
      done += 1 << UInt64(Self.lowBit(level))
    }
  }

  /// Whether a leaf is there.
  func maps(_ ipa: UInt64) -> Bool {
    guard isInside(ipa, 1), let (entry, _) = lastEntry(ipa) else { return false }
    return entry.value & 1 != 0
  }

  /// The caller invalidates TLBs.
  func unmap(_ ipa: UInt64, length: UInt64) {
    guard isInside(ipa, length) else { return }
    let end = ipa + length
    var at = ipa
    while at < end {
      guard let (found, level) = lastEntry(at) else { return }
      let size: UInt64 = 1 << UInt64(Self.lowBit(level))
      let start = at & ~(size - 1)
      if found.value & 1 != 0 && (start < at || end - start < size) {
        split(found, level)
        continue
      }
      found.value = 0
      at = start + size
    }
  }

  private func isInside(_ ipa: UInt64, _ length: UInt64) -> Bool {
    let size: UInt64 = 1 << UInt64(inputBits)
    return ipa < size && length <= size - ipa
  }

  // MARK: Descriptors

  private static var tableOrPage: UInt64 { 0b11 }
  private static var block: UInt64 { 0b01 }
  private static var address: UInt64 { UInt64.ones(48) & ~0xfff }

  /// S2AP, write-back cacheable or Device-nGnRE, inner shareable, Access flag.
  private func leaf(readable: Bool, writable: Bool, isDevice: Bool) -> UInt64 {
    let memAttr: UInt64 = isDevice ? 0b0001 : forcesWriteBack ? 0b0110 : 0b1111
    return memAttr << 2 | (readable ? 1 << 6 : 0) | (writable ? 1 << 7 : 0) | 3 << 8 | 1 << 10
  }

  /// The highest level whose leaf fits these address bits and what is left.
  private func level(_ bits: UInt64, _ length: UInt64) -> Int {
    for level in max(1, startLevel)...2 {
      let size: UInt64 = 1 << UInt64(Self.lowBit(level))
      if bits & (size - 1) == 0 && length >= size { return level }
    }
    return 3
  }

  /// The entry for `ipa` at `level`; tables above it are made, or blocks there divided.
  private func entry(_ ipa: UInt64, _ level: Int) -> PhysicalWord {
    var table = root.address
    var top = inputBits
    var here = startLevel
    while true {
      let low = Self.lowBit(here)
      let entry = PhysicalWord(table + ipa[top - 1, low] * 8)
      if here == level { return entry }
      if entry.value & 0b11 != Self.tableOrPage { split(entry, here) }
      table = entry.value & Self.address
      top = low
      here += 1
    }
  }

  /// The entry that decides about `ipa`, nil outside.
  private func lastEntry(_ ipa: UInt64) -> (PhysicalWord, level: Int)? {
    var table = root.address
    var top = inputBits
    for level in startLevel...3 {
      let low = Self.lowBit(level)
      let entry = PhysicalWord(table + ipa[top - 1, low] * 8)
      if level == 3 || entry.value & 0b11 != Self.tableOrPage { return (entry, level) }
      table = entry.value & Self.address
      top = low
    }
    return nil
  }

  /// Puts a table in place of a block, or of nothing, that says the same.
  private func split(_ entry: PhysicalWord, _ level: Int) {
    let table = PhysicalPages(bytes: 4096)
    tables.append(table)
    let old = entry.value
    if old & 1 != 0 {
      let size: UInt64 = 1 << UInt64(Self.lowBit(level + 1))
      let kind = level + 1 == 3 ? Self.tableOrPage : Self.block
      for i in 0..<512 as Range<UInt64> {
        PhysicalWord(table.address + i * 8).value = (old & ~0b11 | kind) + i * size
      }
    }
    entry.value = table.address | Self.tableOrPage
  }
}
