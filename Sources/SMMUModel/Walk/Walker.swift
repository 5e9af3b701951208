// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// What the walks of one translation share.
struct Walker {
  /// When the translation began, in the time of the walk cache.
  private let epoch: UInt32
  /// What the tables and structures of nested streams lie behind.
  var stage2 = Stage2()
  /// Where in memory the last load was from: most tables are in one region.
  var region: GuestMemory.Region
  /// The last table that was found last. It is kept together with the translation, as each lock
  /// costs more than what it guards.
  private var find: (key: WalkCache.Key, table: LastTable)?

  @inline(__always)
  init(_ smmu: SMMU, epoch: UInt32) {
    self.epoch = epoch
    region = smmu.memory.firstRegion
  }

  @inline(__always)
  mutating func found(_ table: LastTable, _ key: WalkCache.Key, _ smmu: SMMU) {
    if find != nil { keepEarlier(smmu) }
    find = (key, table)
  }

  @inline(never)
  private func keepEarlier(_ smmu: SMMU) {
    smmu.tlb.lock.lock()
    keep(smmu)
    smmu.tlb.lock.unlock()
  }

  /// Under the lock of the TLB.
  @inline(__always)
  func keep(_ smmu: SMMU) {
    if let find { smmu.walks.insert(find.key, find.table, epoch: epoch) }
  }
}
