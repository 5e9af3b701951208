// SPDX-License-Identifier: MIT
import SMMUSpec

/// Walks the translation tables of guests.
final class TableWalker {
  let bus: Bus
  let cache: WalkCache
  /// Whether walks may begin at tables that earlier ones found.
  let cachesTables: Bool

  /// nil where nobody asks.
  let observer: Observer?

  init(_ bus: Bus, cache: WalkCache, cachesTables: Bool, observer: Observer? = nil) {
    self.bus = bus
    self.cache = cache
    self.cachesTables = cachesTables
    self.observer = observer
  }

  /// Stage 1, whose tables are at physical addresses.
  @inline(never)
  func stage1(_ input: InputAddress, _ walk: inout Walk) throws(Fault) -> Leaf {
    try stage1(.stage1, input: input, walk: &walk)
  }

  /// Stage 1, whose tables lie behind stage 2 (§3.3.2).
  @inline(never)
  func nestedStage1(_ input: InputAddress, _ walk: inout Walk) throws(Fault) -> Leaf {
    try stage1(.nested, input: input, walk: &walk)
  }

  @inline(__always)
  private func stage1(
    _ mode: WalkMode, input: InputAddress, walk: inout Walk
  ) throws(Fault) -> Leaf {
    let table = walk.stage1.table
    let key = WalkCache.Key(input.raw, table: table, vmid: walk.owner.tag.vmid)
    return try descend(
      mode, table: table, input: input.raw, purpose: .stage1, walk: &walk, from: known(key),
      key: key)
  }

  @inline(__always)
  func known(_ key: WalkCache.Key) -> LastTable? { cachesTables ? cache.lookUp(key) : nil }
}
