// SPDX-License-Identifier: MIT
import SMMUSpec

/// The part of a configuration that every access needs, in one word.
struct StreamPlan: Equatable, Sendable {
  var raw: UInt64

  @inline(__always)
  init(raw: UInt64) { self.raw = raw }

  init(
    _ policy: StreamPolicy, _ ste: StreamTableEntry, _ cd: ContextDescriptor, _ features: Features
  ) {
    raw = UInt64(policy.rawValue)
    if features.attributePermissionsOverride {
      raw[4, 3] = ste[StreamTableEntry.privcfg]
      raw[6, 5] = ste[StreamTableEntry.instcfg]
    }
    if policy.usesStage1 {
      raw[8] = cd.flag(ContextDescriptor.tbi0)
      raw[9] = cd.flag(ContextDescriptor.tbi1)
      raw[10] = cd.flag(ContextDescriptor.epd0)
      raw[11] = cd.flag(ContextDescriptor.epd1)
    }
  }

  @inline(__always)
  var policy: StreamPolicy {
    // Written by `init` alone; an unknown value would abort.
    StreamPolicy(rawValue: UInt8(truncatingIfNeeded: raw & 7)) ?? .abort
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
  var ste: StreamTableEntry
  /// Zero where the policy uses no stage 1.
  var cd: ContextDescriptor
  var plan: StreamPlan
  var tag: TranslationTag

  @inline(__always)
  var policy: StreamPolicy { plan.policy }

  init(
    _ policy: StreamPolicy, _ ste: StreamTableEntry, _ cd: ContextDescriptor, _ features: Features
  ) {
    self.ste = ste
    self.cd = cd
    plan = StreamPlan(policy, ste, cd, features)
    tag = Self.tag(policy, ste, cd, features)
  }

  init(ste: StreamTableEntry, cd: ContextDescriptor, plan: StreamPlan, tag: TranslationTag) {
    self.ste = ste
    self.cd = cd
    self.plan = plan
    self.tag = tag
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
