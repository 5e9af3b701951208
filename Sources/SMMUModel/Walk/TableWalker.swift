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

  init(_ bus: Bus, _ cache: WalkCache, cachesTables: Bool, observer: Observer? = nil) {
    self.bus = bus
    self.cache = cache
    self.cachesTables = cachesTables
    self.observer = observer
  }

  /// Stage 1, alone or behind stage 2 (§3.3.2).
  @inline(__always)
  func walk(
    _ mode: WalkMode, _ table: TranslationTable, _ input: InputAddress, _ vmid: VMID,
    _ walk: inout Walk
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input.raw, table, vmid)
    let last = cachesTables ? cache.lookUp(key) : nil
    return try descend(mode, table, input.raw, .stage1, &walk, from: last, key)
  }
}
