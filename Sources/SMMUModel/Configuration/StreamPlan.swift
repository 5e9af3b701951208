// SPDX-License-Identifier: MIT
import SMMUSpec

/// The part of a configuration that is no table, in one word: policy [2:0], overrides of privilege
/// and kind [6:3], halves [11:8], known [12], plain [13], overrides of attributes [26:16], flags of
/// stage 1 [47:32] and of stage 2 [63:48].
struct StreamPlan: Equatable, Sendable {
  var raw: UInt64

  @inline(__always)
  init(raw: UInt64) { self.raw = raw }

  /// Of a stream of which nothing is known.
  @inline(__always)
  static var unknown: StreamPlan { StreamPlan(raw: 0) }

  init(
    _ policy: StreamPolicy, ste: StreamTableEntry, cd: ContextDescriptor?, features: Features,
    stage1: Stage1Flags, stage2: Stage2Flags
  ) {
    raw = UInt64(policy.rawValue)
    raw[12] = true
    if features.attributePermissionsOverride {
      raw[4, 3] = ste[StreamTableEntry.privcfg]
      raw[6, 5] = ste[StreamTableEntry.instcfg]
    }
    if let cd {
      raw[8] = cd.flag(ContextDescriptor.tbi0)
      raw[9] = cd.flag(ContextDescriptor.tbi1)
      raw[10] = cd.flag(ContextDescriptor.epd0)
      raw[11] = cd.flag(ContextDescriptor.epd1)
    }
    raw[13] = policy.usesTables && raw & 0x50 == 0
    raw[26, 16] = UInt64(AttributeOverride(ste).rawValue)
    raw[47, 32] = UInt64(stage1.rawValue)
    raw[63, 48] = UInt64(stage2.rawValue)
  }

  @inline(__always)
  var policy: StreamPolicy {
    // Written by `init` alone; an unknown value would abort.
    StreamPolicy(rawValue: UInt8(truncatingIfNeeded: raw & 7)) ?? .abort
  }

  @inline(__always)
  var isKnown: Bool { raw[12] }

  /// Has tables, and accesses are to them what they say.
  @inline(__always)
  var isPlain: Bool { raw[13] }

  @inline(__always)
  var attributeOverride: AttributeOverride {
    AttributeOverride(rawValue: UInt16(truncatingIfNeeded: raw[26, 16]))
  }

  @inline(__always)
  var stage1: Stage1Flags { Stage1Flags(rawValue: UInt16(truncatingIfNeeded: raw &>> 32)) }
  @inline(__always)
  var stage2: Stage2Flags { Stage2Flags(rawValue: UInt16(truncatingIfNeeded: raw &>> 48)) }

  /// What accesses see as they come, without and with privilege: PRIVCFG chooses the half, INSTCFG
  /// makes fetches of reads or the reverse (§5.2). Writes are data whatever it says, and so is what
  /// an atomic reads (§13.1.1): that alone does not show here.
  @inline(__always)
  func visible(_ permissions: Permissions) -> Permissions {
    guard raw & 0x50 != 0 else { return permissions }
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
    return Permissions(unprivileged: UInt64(without), privileged: UInt64(with))
  }

  @inline(__always)
  func effective(_ access: Access) -> EffectiveAccess {
    EffectiveAccess(access, privcfg: raw[4, 3], instcfg: raw[6, 5])
  }

  /// The address under which the TLB and the tables know it: an ignored top byte is a copy of bit
  /// 55 (§3.4.1). nil in a disabled half of stage 1, which always faults (§5.4 EPD0). Stage 2 alone
  /// has no halves.
  @inline(__always)
  func key(_ address: UInt64) -> InputAddress? {
    let half = address &>> 55 & 1
    let bits = raw &>> (8 &+ half)
    if bits & 4 != 0 { return nil }
    guard _slowPath(bits & 1 != 0) else { return InputAddress(address) }
    return InputAddress(ignoringTopByte: address)
  }
}

/// MTCFG, MemAttr, ALLOCCFG and SHCFG of an STE or of GBPA (§13.2): MemAttr [3:0], MTCFG [4],
/// ALLOCCFG [8:5], SHCFG [10:9].
struct AttributeOverride: Equatable, Sendable {
  let rawValue: UInt16

  @inline(__always)
  init(rawValue: UInt16) { self.rawValue = rawValue }

  init(_ ste: StreamTableEntry) {
    self.init(
      mtcfg: ste[StreamTableEntry.mtcfg], memAttr: ste[StreamTableEntry.memAttr],
      alloccfg: ste[StreamTableEntry.alloccfg], shcfg: ste[StreamTableEntry.shcfg])
  }

  init(gbpa: UInt64) {
    self.init(
      mtcfg: gbpa[GBPA.mtcfg.high, GBPA.mtcfg.low],
      memAttr: gbpa[GBPA.memAttr.high, GBPA.memAttr.low],
      alloccfg: gbpa[GBPA.alloccfg.high, GBPA.alloccfg.low],
      shcfg: gbpa[GBPA.shcfg.high, GBPA.shcfg.low])
  }

  private init(mtcfg: UInt64, memAttr: UInt64, alloccfg: UInt64, shcfg: UInt64) {
    rawValue = UInt16(truncatingIfNeeded: memAttr | mtcfg << 4 | alloccfg << 5 | shcfg << 9)
  }

  func applied(to attributes: MemoryAttributes) -> MemoryAttributes {
    attributes.overridden(
      mtcfg: rawValue & 16 != 0, memAttr: UInt8(rawValue & 15),
      alloccfg: UInt8(truncatingIfNeeded: rawValue >> 5 & 15),
      shcfg: UInt8(truncatingIfNeeded: rawValue >> 9 & 3))
  }
}
