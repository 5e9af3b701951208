// SPDX-License-Identifier: MIT
import SMMUSpec

/// Walks the translation tables of guests.
final class TableWalker {
  let bus: Bus
  let cache: WalkCache
  /// Whether walks may begin at tables that earlier ones found.
  let cachesTables: Bool

  init(_ bus: Bus, _ cache: WalkCache, cachesTables: Bool) {
    self.bus = bus
    self.cache = cache
    self.cachesTables = cachesTables
  }

  /// Stage 1 alone: its tables are at physical addresses.
  @inline(__always)
  func walk(
    _ table: TranslationTable, _ input: InputAddress, _ vmid: VMID, _ walk: inout Walk
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input.raw, table, vmid)
    let last = cachesTables ? cache.lookUp(key) : nil
    return try descend(table, input.raw, .stage1, &walk, from: last) { address, _ in
      LocatedDescriptor(address: PhysicalAddress(address), size: 64)
    } _: { last, walk in
      walk.found.note(stage1: last, key)
    }
  }

  /// Stage 1 whose tables lie behind stage 2 (§3.3.2). One that was found before is loaded from
  /// directly: stage 2 let it be read.
  @inline(__always)
  func walkNested(
    _ table: TranslationTable, _ input: InputAddress, _ vmid: VMID, _ walk: inout Walk
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input.raw, table, vmid)
    let last = cachesTables ? cache.lookUp(key) : nil
    return try descend(table, input.raw, .stage1, &walk, from: last) {
      (address, walk) throws(Fault) in
      if last != nil { return LocatedDescriptor(address: PhysicalAddress(address), size: 64) }
      return try structure(IntermediateAddress(address), .translationTable, &walk)
    } _: { last, walk in
      walk.found.note(stage1: last, key)
    }
  }
}
