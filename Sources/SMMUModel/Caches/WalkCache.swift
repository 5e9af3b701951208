// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// A table of level 3.
struct LastTable {
  let base: UInt64
  /// Bits [62:59] of the table descriptors above, ored.
  let tables: UInt64
}

/// Where the last tables of late walks are, by first table and the region that a last one covers:
/// the walk of a neighbour page then loads the leaf alone. Gone with every TLBI but those that name
/// leaves of stage 1 only (§4.4.1, Leaf).
///
/// A row: {sequence, epoch} · {region, kind, geometry} · {VMID, first table} · {last table, bits}.
struct WalkCache {
  typealias Table = EpochTable<512, 4>
  let table = Table()

  /// Which walk: the region that the last table covers, and where the walk begins. First tables of
  /// nested stage 1 are IPAs of a VMID.
  struct Key {
    let region: UInt64
    let first: UInt64

    @inline(__always)
    init(_ input: UInt64, _ table: TranslationTable, _ tag: TranslationTag) {
      let geometry = table.geometry
      let kind: UInt64 = (tag.isIntermediate ? 1 : 0) | (tag.isNested ? 2 : 0)
      // A last table's region is 2 MiB at least. A table that is first of two walks which differ in
      // their geometry means two things.
      region =
        input & ~UInt64.low(geometry.lowBit(2))
        | kind &<< UInt64(truncatingIfNeeded: TableGeometry.width) | geometry.raw
      // The base has 52 bits and is aligned to 16 bytes at least.
      first = table.base &>> 4 | UInt64(tag.vmid) &<< 48
    }
  }

  /// A key has two rows, which are neighbours.
  @inline(__always)
  private func place(_ key: Key) -> Int {
    let mixed = (key.region ^ key.first &* 0x9e37_79b9_7f4a_7c15) &* 0xff51_afd7_ed55_8ccd
    return Int(truncatingIfNeeded: mixed &>> 40)
  }

  @inline(__always)
  func lookUp(_ key: Key) -> LastTable? {
    let place = place(key)
    return lookUp(key, table.row(place)) ?? lookUp(key, table.row(place ^ 1))
  }

  @inline(__always)
  private func lookUp(_ key: Key, _ row: Table.Row) -> LastTable? {
    guard let word = table.begin(row), row[1].load(ordering: .relaxed) == key.region,
      row[2].load(ordering: .relaxed) == key.first
    else { return nil }
    let found = row[3].load(ordering: .relaxed)
    guard table.isWhole(row, word) else { return nil }
    return LastTable(
      base: found & UInt64.ones(56) & ~UInt64.ones(12), tables: found & (0xf &<< 59))
  }

  /// Into the first of the rows, unless that one is of use and the second is not. Under the lock of
  /// the TLB.
  @inline(__always)
  func insert(_ key: Key, _ last: LastTable, epoch: UInt32) {
    let place = place(key)
    let first = table.row(place)
    let second = table.row(place ^ 1)
    let row = table.begin(first) != nil && table.begin(second) == nil ? second : first
    table.fillAlone(row, epoch: epoch) { row in
      row[1].store(key.region, ordering: .relaxed)
      row[2].store(key.first, ordering: .relaxed)
      row[3].store(last.base | last.tables, ordering: .relaxed)
    }
  }
}
