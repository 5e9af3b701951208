// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// A table of level 3.
struct LastTable {
  let base: UInt64
  /// Bits [62:59] of the table descriptors above, ored.
  let tables: UInt64

  @inline(__always)
  static var none: LastTable { LastTable(base: 0, tables: 0) }
  /// The bits of `tables`.
  @inline(__always)
  static var flags: UInt64 { 0xf &<< 59 }
}

/// Where the last tables of late walks are, by first table and the region that a last one covers:
/// the walk of a neighbour page then loads the leaf alone. Gone with every TLBI but those that name
/// leaves of stage 1 only (§4.4.1, Leaf).
///
/// A row: {sequence, epoch} · {region, kind, geometry} · {VMID, first table} · {last table, bits}.
struct WalkCache {
  typealias Table = EpochTable<256, 4>
  let table = Table()

  /// Which walk: the region that the last table covers with the table's name, and where the walk
  /// begins. First tables of nested stage 1 are IPAs of a VMID. A table that is first of two walks
  /// which differ in their geometry means two things.
  struct Key {
    let region: UInt64
    let first: UInt64

    /// A last table's region is 2 MiB at least, and the base is aligned to 16 bytes at least.
    @inline(__always)
    init(_ input: UInt64, table: TranslationTable, vmid: VMID) {
      let geometry = table.geometry
      region = input & ~UInt64.low(2 &* geometry.shift &- 3) | geometry.name
      first = table.base &>> 4 | UInt64(vmid) &<< 48
    }

    private init(region: UInt64, first: UInt64) { (self.region, self.first) = (region, first) }

    @inline(__always)
    static var none: Key { Key(region: 0, first: 0) }
  }

  /// A key has two rows, which are neighbours.
  @inline(__always)
  private func place(_ key: Key) -> Int {
    let mixed = (key.region ^ key.first &<< 16 ^ key.first) &* 0xff51_afd7_ed55_8ccd
    return Int(truncatingIfNeeded: mixed &>> 48)
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
      base: found & UInt64.ones(56) & ~UInt64.ones(12), tables: found & LastTable.flags)
  }

  /// Into the first of the rows, unless that one is of use and the second is not.
  @inline(__always)
  func insert(_ key: Key, last: LastTable, epoch: UInt32) {
    let place = place(key)
    let first = table.row(place)
    let second = table.row(place ^ 1)
    let row = table.begin(first) != nil && table.begin(second) == nil ? second : first
    table.fill(row, epoch: epoch) { row in
      row[1].store(key.region, ordering: .relaxed)
      row[2].store(key.first, ordering: .relaxed)
      row[3].store(last.base | last.tables, ordering: .relaxed)
    }
  }
}
