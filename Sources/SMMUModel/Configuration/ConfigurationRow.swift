// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// A configuration where it is cached. An access takes what it needs, in registers: that is cheaper
/// than to keep what it points at from being used anew, and no stream that comes and goes makes
/// memory wait for readers.
struct ConfigurationRow {
  let words: UnsafeMutablePointer<Atomic<UInt64>>
  /// The row's word 0 when reading began.
  let begun: UInt64

  /// Words after word 0.
  static var used: Int { 15 }

  /// What is read of it, after word 0.
  static func words(
    _ identity: UInt64, _ configuration: StreamConfiguration
  ) -> InlineArray<15, UInt64> {
    let owner = TranslationOwner(configuration.tag)
    let lower = configuration.stage1?.lower ?? .none
    let upper = configuration.stage1?.upper ?? .none
    let stage2 = configuration.stage2?.table ?? .none
    return [
      identity, configuration.tag.raw, configuration.plan.raw,
      lower.base, lower.geometry.raw, lower.outside,
      upper.base, upper.geometry.raw, upper.outside, configuration.stage1?.mair ?? 0,
      stage2.base, stage2.geometry.raw, stage2.outside, owner.seed, owner.stamps,
    ]
  }

  @inline(__always)
  private subscript(_ word: Int) -> UInt64 { words[word].load(ordering: .relaxed) }

  @inline(__always) var identity: UInt64 { self[1] }
  @inline(__always) var tag: TranslationTag { TranslationTag(raw: self[2]) }
  @inline(__always) var owner: TranslationOwner {
    TranslationOwner(tag: tag, seed: self[14], stamps: self[15])
  }
  @inline(__always) var plan: StreamPlan { StreamPlan(raw: self[3]) }

  /// The half of stage 1 that an access is in, if there is one.
  @inline(__always)
  func stage1(upper: Bool) -> Stage1Half {
    Stage1Half(table(upper ? 7 : 4), mair: self[10], flags: plan.stage1)
  }

  @inline(__always)
  var stage2: Stage2Regime {
    Stage2Regime(table: table(11), vmid: tag.vmid, flags: plan.stage2)
  }

  @inline(__always)
  private func table(_ word: Int) -> TranslationTable {
    TranslationTable(
      base: self[word], geometry: TableGeometry(raw: self[word &+ 1]), outside: self[word &+ 2])
  }

  /// Whether the row has not changed since `begun`.
  @inline(__always)
  var isWhole: Bool { SequencedRow.isWhole(words, begun) }
}

extension Walk {
  @inline(__always)
  mutating func take(_ row: ConfigurationRow, upper: Bool) {
    owner = row.owner
    stage1 = row.stage1(upper: upper)
    stage2 = row.stage2
  }
}
