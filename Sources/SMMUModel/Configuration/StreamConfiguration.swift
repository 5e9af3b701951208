// SPDX-License-Identifier: MIT
import SMMUSpec

/// The part of a configuration that every translation needs, in one word: policy [2:0],
/// overrides [6:3], halves [11:8], what the tables look like [57:16], known [63].
struct StreamPlan: Equatable, Sendable {
  var raw: UInt64

  @inline(__always)
  init(raw: UInt64) { self.raw = raw }

  init(
    _ policy: StreamPolicy, _ ste: StreamTableEntry, _ cd: ContextDescriptor, _ features: Features
  ) {
    raw = UInt64(policy.rawValue)
    raw[63] = true
    if features.attributePermissionsOverride {
      raw[4, 3] = ste[StreamTableEntry.privcfg]
      raw[6, 5] = ste[StreamTableEntry.instcfg]
    }
    if policy.usesStage1 {
      raw[8] = cd.flag(ContextDescriptor.tbi0)
      raw[9] = cd.flag(ContextDescriptor.tbi1)
      raw[10] = cd.flag(ContextDescriptor.epd0)
      raw[11] = cd.flag(ContextDescriptor.epd1)
      raw[29, 16] = TableGeometry(cd, upper: false, features)?.raw ?? 0
      raw[43, 30] = TableGeometry(cd, upper: true, features)?.raw ?? 0
    }
    if policy.usesStage2 { raw[57, 44] = TableGeometry(stage2: ste, features).raw }
  }

  @inline(__always)
  func stage1(upper: Bool) -> TableGeometry {
    TableGeometry(raw: upper ? raw[43, 30] : raw[29, 16])
  }

  @inline(__always)
  var stage2: TableGeometry { TableGeometry(raw: raw[57, 44]) }

  @inline(__always)
  var policy: StreamPolicy {
    // Written by `init` alone; an unknown value would abort.
    StreamPolicy(rawValue: UInt8(truncatingIfNeeded: raw & 7)) ?? .abort
  }

  /// Not the plan of a stream of which nothing is known.
  @inline(__always)
  var isKnown: Bool { raw[63] }

  /// What accesses see as they come, without and with privilege: PRIVCFG chooses the half, INSTCFG
  /// makes fetches of reads or the reverse (§5.2). Writes are data whatever it says, and so is what
  /// an atomic reads (§13.1.1): that alone does not show here.
  @inline(__always)
  func visible(_ permissions: Permissions) -> Permissions {
    guard raw[4] || raw[6] else { return permissions }
    return overridden(permissions)
  }

  @inline(never)
  private func overridden(_ permissions: Permissions) -> Permissions {
    var (without, with) = (
      permissions.visible(privileged: false), permissions.visible(privileged: true)
    )
    if raw[4] {
      if raw[3] { without = with } else { with = without }
    }
    if raw[6] {
      without = Permissions.marked(without, asInstruction: raw[5])
      with = Permissions.marked(with, asInstruction: raw[5])
    }
    return Permissions(rawValue: without | with &<< 3)
  }

  @inline(__always)
  func effective(_ access: Access) -> EffectiveAccess {
    EffectiveAccess(access, privcfg: raw[4, 3], instcfg: raw[6, 5])
  }

  /// The address under which the TLB knows it; nil in a disabled half, which always faults (T-116).
  @inline(__always)
  func key(_ address: UInt64) -> UInt64? {
    let half = address[55] ? 1 : 0
    if raw[10 &+ half] { return nil }
    return ContextDescriptor.canonical(address, ignoringTopByte: raw[8 &+ half])
  }
}

/// A stream's configuration for one SubstreamID, fetched and valid.
struct StreamConfiguration {
  var tag: TranslationTag
  var plan: StreamPlan
  var ste: StreamTableEntry
  /// Zero where the policy uses no stage 1.
  var cd: ContextDescriptor

  /// The 64-bit words of all of it.
  static var words: Int { 18 }

  /// Nothing is known.
  @inline(__always)
  init() {
    tag = TranslationTag(raw: 0)
    plan = StreamPlan(raw: 0)
    ste = StreamTableEntry()
    cd = ContextDescriptor()
  }

  @inline(__always)
  var policy: StreamPolicy { plan.policy }

  /// The configuration as words, for a cache to copy.
  @inline(__always)
  mutating func withWords<R>(_ body: (UnsafeMutablePointer<UInt64>) -> R) -> R {
    withUnsafeMutablePointer(to: &self) { pointer in
      pointer.withMemoryRebound(to: UInt64.self, capacity: Self.words, body)
    }
  }

  init(
    _ policy: StreamPolicy, _ ste: StreamTableEntry, _ cd: ContextDescriptor, _ features: Features
  ) {
    self.ste = ste
    self.cd = cd
    plan = StreamPlan(policy, ste, cd, features)
    tag = Self.tag(policy, ste, cd, features)
  }

  /// §3.17: stage 1 alone is tagged with S2VMID too where stage 2 exists.
  private static func tag(
    _ policy: StreamPolicy, _ ste: StreamTableEntry, _ cd: ContextDescriptor, _ features: Features
  ) -> TranslationTag {
    let vmid = features.stage2 ? VMID(truncatingIfNeeded: ste[StreamTableEntry.s2vmid]) : 0
    guard policy.usesStage1 else { return TranslationTag(intermediate: vmid) }
    return TranslationTag(
      vmid: vmid, asid: ASID(truncatingIfNeeded: cd[ContextDescriptor.asid]),
      nonShared: cd.flag(ContextDescriptor.aset), nested: policy == .nested)
  }
}
