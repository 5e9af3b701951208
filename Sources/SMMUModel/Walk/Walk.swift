// SPDX-License-Identifier: MIT
import SMMUSpec

/// What the walks of one access go by, and what they share.
struct Walk {
  var owner: TranslationOwner
  /// Unused where there is no stage 1.
  var stage1: Stage1Half
  var stage2: Stage2Regime
  /// Of the walk cache, for what is found on the way.
  let epoch: UInt32
  /// Where in memory the last load was from: most tables are in one region.
  var region: GuestMemory.Region
  /// The last table of stage 2 by which a table of stage 1 was found last, and what it covers.
  var recent = LastTable.none
  var recentRegion = UInt64.max

  /// Of a stream of which nothing is known yet.
  @inline(__always)
  init(_ walker: TableWalker, epoch: UInt32) {
    owner = TranslationOwner(tag: TranslationTag(raw: 0), seed: 0, stamps: 0)
    stage1 = .none
    stage2 = .none
    self.epoch = epoch
    region = walker.bus.memory.firstRegion
  }
}
