// SPDX-License-Identifier: MIT
import SMMUSpec

/// What the walks of one translation share.
struct Walk {
  var stage2: Stage2Regime
  /// Where in memory the last load was from: most tables are in one region.
  var region: GuestMemory.Region
  /// The last table of stage 2 by which a table of stage 1 was found last, and what it covers.
  var recent = LastTable.none
  var recentRegion = UInt64.max
  var found = FoundTables()

  @inline(__always)
  init(_ walker: TableWalker, stage2: Stage2Regime) {
    self.stage2 = stage2
    region = walker.bus.memory.firstRegion
  }
}

/// The last tables of stage 1 and of stage 2 that a translation has found. They are kept when
/// it ends.
struct FoundTables {
  private var stage1Key = WalkCache.Key.none
  private var stage1 = LastTable.none
  private var stage2Key = WalkCache.Key.none
  private var stage2 = LastTable.none

  @inline(__always)
  mutating func note(stage1 table: LastTable, _ key: WalkCache.Key) {
    (stage1, stage1Key) = (table, key)
  }

  @inline(__always)
  mutating func note(stage2 table: LastTable, _ key: WalkCache.Key) {
    (stage2, stage2Key) = (table, key)
  }

  @inline(__always)
  func keep(in cache: WalkCache, epoch: UInt32) {
    if stage1.base != 0 { cache.insert(stage1Key, stage1, epoch: epoch) }
    if stage2.base != 0 { cache.insert(stage2Key, stage2, epoch: epoch) }
  }
}
