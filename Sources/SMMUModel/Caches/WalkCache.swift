// SPDX-License-Identifier: MIT
import SMMUSpec
import Synchronization

/// Where the last tables of late walks are, by context and the region that such a table covers: the
/// walk of a neighbour page then loads the leaf alone. Gone with every TLBI but those that name
/// leaves of stage 1 only (§4.4.1, Leaf).
///
/// A row: {sequence, epoch} · {region, shift} · tag · {table, its bits of the tables above}.
struct WalkCache {
  typealias Table = EpochTable<256, 4>
  let table = Table()

  /// What a table of the last level covers.
  @inline(__always)
  private static func region(_ input: UInt64, _ geometry: TableGeometry) -> UInt64 {
    input.aligned(down: geometry.lowBit(2)) | UInt64(truncatingIfNeeded: geometry.shift)
  }

  @inline(__always)
  private func row(_ region: UInt64, _ tag: TranslationTag) -> Table.Row {
    let mixed = (region ^ tag.key &* 0x9e37_79b9_7f4a_7c15) &* 0xff51_afd7_ed55_8ccd
    return table.row(Int(truncatingIfNeeded: mixed &>> 40))
  }

  @inline(__always)
  func lookUp(
    _ input: UInt64, _ tag: TranslationTag, _ geometry: TableGeometry
  ) -> LastTable? {
    let region = Self.region(input, geometry)
    let row = row(region, tag)
    guard let word = table.begin(row), row[1].load(ordering: .relaxed) == region,
      row[2].load(ordering: .relaxed) == tag.key
    else { return nil }
    let found = row[3].load(ordering: .relaxed)
    guard table.isWhole(row, word) else { return nil }
    return LastTable(
      base: found & UInt64.ones(56) & ~UInt64.ones(12), tables: found & (0xf &<< 59))
  }

  /// Keeps a table that is in one piece of memory.
  @inline(__always)
  func insert(
    _ input: UInt64, _ tag: TranslationTag, _ geometry: TableGeometry, _ last: LastTable,
    epoch: UInt32
  ) {
    let region = Self.region(input, geometry)
    table.fill(row(region, tag), epoch: epoch) { row in
      row[1].store(region, ordering: .relaxed)
      row[2].store(tag.key, ordering: .relaxed)
      row[3].store(last.base | last.tables, ordering: .relaxed)
    }
  }
}
