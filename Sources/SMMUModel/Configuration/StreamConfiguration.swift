// SPDX-License-Identifier: MIT
import SMMUSpec

/// A stream's configuration for one SubstreamID, fetched and valid: all that translation needs of
/// an STE and a CD. Nothing behind it sees their words.
struct StreamConfiguration {
  /// What its translations are tagged with.
  var tag: TranslationTag
  var plan: StreamPlan
  var stage1: Stage1Regime?
  var stage2: Stage2Regime?

  /// Nothing is known.
  @inline(__always)
  static var unknown: StreamConfiguration {
    StreamConfiguration(tag: TranslationTag(raw: 0), plan: .unknown, stage1: nil, stage2: nil)
  }
}

extension Walk {
  /// Takes what an access goes by: a configuration, with the half of stage 1 that it is in.
  mutating func take(_ configuration: StreamConfiguration, upper: Bool) {
    owner = TranslationOwner(configuration.tag)
    stage1 = configuration.stage1.map { Stage1Half($0, upper: upper) } ?? .none
    stage2 = configuration.stage2 ?? .none
  }
}

extension StreamConfiguration {
  /// Of a valid STE and, where the policy has a stage 1, a valid CD.
  init(
    _ policy: StreamPolicy, ste: StreamTableEntry, cd: ContextDescriptor?, features: Features
  ) {
    stage1 = cd.map {
      Stage1Regime($0, kind: policy == .nested ? .nested : .stage1, features: features)
    }
    stage2 = policy.usesStage2 ? Stage2Regime(ste, features) : nil
    plan = StreamPlan(
      policy, ste: ste, cd: cd, features: features, stage1: stage1?.flags ?? [],
      stage2: stage2?.flags ?? [])
    tag = Self.tag(policy, ste: ste, cd: cd, features: features)
  }

  /// §3.17: stage 1 alone is tagged with S2VMID too where stage 2 exists.
  private static func tag(
    _ policy: StreamPolicy, ste: StreamTableEntry, cd: ContextDescriptor?, features: Features
  ) -> TranslationTag {
    let vmid = features.stage2 ? VMID(truncatingIfNeeded: ste[StreamTableEntry.s2vmid]) : 0
    guard policy.usesStage1, let cd else { return TranslationTag(intermediate: vmid) }
    return TranslationTag(
      vmid: vmid, asid: ASID(truncatingIfNeeded: cd[ContextDescriptor.asid]),
      nonShared: cd.flag(ContextDescriptor.aset), nested: policy == .nested)
  }
}

extension Stage1Regime {
  init(_ cd: ContextDescriptor, kind: WalkKind, features: Features) {
    lower = TranslationTable(cd, kind: kind, upper: false, features: features)
    upper = TranslationTable(cd, kind: kind, upper: true, features: features)
    mair = cd.words[3]
    flags = []
    if cd.flag(ContextDescriptor.affd) { flags.insert(.ignoresAccessFlag) }
    if cd.flag(ContextDescriptor.wxn) { flags.insert(.writableIsNotExecutable) }
    if cd.flag(ContextDescriptor.pan) { flags.insert(.hasPAN) }
    if features.hierarchicalAttributeDisable {
      if cd.flag(ContextDescriptor.had0) { flags.insert(.lowerIgnoresTables) }
      if cd.flag(ContextDescriptor.had1) { flags.insert(.upperIgnoresTables) }
    }
    if cd.flag(ContextDescriptor.r) { flags.insert(.records) }
    if cd.flag(ContextDescriptor.a) { flags.insert(.aborts) }
  }
}

extension TranslationTable {
  /// Of one half of a valid CD; none if it is disabled.
  init(_ cd: ContextDescriptor, kind: WalkKind, upper: Bool, features: Features) {
    let granule =
      upper
      ? Granule(tg1: cd[ContextDescriptor.tg1]) : Granule(tg0: cd[ContextDescriptor.tg0])
    guard !cd.flag(upper ? ContextDescriptor.epd1 : ContextDescriptor.epd0), let granule else {
      self = .none
      return
    }
    let size = cd[upper ? ContextDescriptor.t1sz : ContextDescriptor.t0sz]
    let inputBits = 64 - Int(truncatingIfNeeded: size)
    let geometry = TableGeometry(
      kind, granule: granule, inputBits: inputBits,
      // Without concatenation (DDI 0487 J1.1 S1StartLevel).
      startLevel: 3 - (inputBits - 1 - granule.shift) / granule.stride,
      outputSize: min(cd[ContextDescriptor.ips], features.outputSize),
      bigEndian: cd.flag(ContextDescriptor.endi))
    self.init(geometry, base: cd.table(upper: upper))
  }

  /// Of the stage 2 of a valid STE.
  init(stage2 ste: StreamTableEntry, _ features: Features) {
    // A valid STE has a granule; the default is never used.
    let granule = Granule(tg0: ste[StreamTableEntry.s2tg]) ?? .size4K
    let geometry = TableGeometry(
      .stage2, granule: granule,
      inputBits: 64 - Int(truncatingIfNeeded: ste[StreamTableEntry.s2t0sz]),
      startLevel: ste.startLevel(granule),
      outputSize: min(ste[StreamTableEntry.s2ps], features.outputSize),
      bigEndian: ste.flag(StreamTableEntry.s2endi))
    self.init(geometry, base: ste.stage2Table & UInt64.ones(52))
  }
}

extension ContextDescriptor {
  /// TTBx in place, 52 bits of it (§5.4 TTB0).
  func table(upper: Bool) -> UInt64 {
    (self[upper ? ContextDescriptor.ttb1 : ContextDescriptor.ttb0] &<< 4) & UInt64.ones(52)
  }
}

extension StreamTableEntry {
  /// S2SL0 counts from the bottom, and differently for 4K: there 3 is level 3 (§5.2 S2SL0).
  func startLevel(_ granule: Granule) -> Int {
    let sl0 = Int(truncatingIfNeeded: self[Self.s2sl0])
    if granule == .size4K { return sl0 == 3 ? 3 : 2 - sl0 }
    return 3 - sl0
  }
}

extension Stage2Regime {
  init(_ ste: StreamTableEntry, _ features: Features) {
    table = TranslationTable(stage2: ste, features)
    vmid = VMID(truncatingIfNeeded: ste[StreamTableEntry.s2vmid])
    flags = []
    if ste.flag(StreamTableEntry.s2affd) { flags.insert(.ignoresAccessFlag) }
    // S2PTW acts on nested streams alone (§5.2).
    if ste.flag(StreamTableEntry.s2ptw) && ste[StreamTableEntry.config] == 0b111 {
      flags.insert(.refusesDeviceWalks)
    }
    if features.stage2ExecuteNeverExtended { flags.insert(.hasXNX) }
    if features.forcedWriteBack && ste.flag(StreamTableEntry.s2fwb) {
      flags.insert(.forcesAttributes)
    }
    if ste.flag(StreamTableEntry.s2r) { flags.insert(.records) }
  }
}
