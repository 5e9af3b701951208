// SPDX-License-Identifier: MIT
import SMMUSpec

/// When an STE is ILLEGAL, C_BAD_STE (§5.2, §5.2.2).
extension StreamTableEntry {
  func isValid(_ features: Features) -> Bool { violation(features) == nil }

  /// The first rule that it breaks.
  func violation(_ features: Features) -> Violation? {
    guard flag(Self.v) else { return broken(Self.v, "§5.2 V") }
    let config = self[Self.config]
    // Config 0b0xx aborts without a look at anything else.
    guard config & 0b100 != 0 else { return nil }
    let stage1 = config & 0b001 != 0
    let stage2 = config & 0b010 != 0
    if stage1, let violation = stage1Violation(features) { return violation }
    if stage2, let violation = stage2Violation(features) { return violation }
    if let violation = atsViolation(features) { return violation }
    // S2VMID tags stage 1 alone too, where stage 2 exists.
    if features.stage2 && (stage1 || stage2) && !features.vmid16 && self[Self.s2vmid] > 0xff {
      return broken(Self.s2vmid, "§5.2 S2VMID")
    }
    return nil
  }

  /// EATS, which is ignored without ATS or stages. Split-stage ATS (2) needs both stages; with
  /// stage 2 stalls, which rule out full ATS, the STE is ILLEGAL anyway. What is reserved (3) is as
  /// 0.
  private func atsViolation(_ features: Features) -> Violation? {
    guard features.ats, self[Self.config] & 0b011 != 0, self[Self.eats] == 0b10 else { return nil }
    return self[Self.config] == 0b111 && features[.idr0, IDR0.ns1ats] == 0
      ? nil : broken(Self.eats, "§5.2 EATS")
  }

  private func broken(_ field: Field, _ clause: StaticString) -> Violation {
    Violation(.streamTableEntry, in: self, field: field, clause: clause)
  }

  private func stage1Violation(_ features: Features) -> Violation? {
    guard features.stage1 else { return broken(Self.config, "§5.2 Config") }
    if flag(Self.s1stalld) && features.stallModel != 0 {
      return broken(Self.s1stalld, "§5.2 S1STALLD")
    }
    if contextTable & ~UInt64.ones(features.outputBits) != 0 {
      return broken(Self.s1ContextPtr, "§5.2 S1ContextPtr")
    }
    let substreams = features.substreamIDBits
    // Without substreams S1CDMax, S1Fmt and S1DSS are ignored.
    guard substreams != 0 else { return nil }
    let bits = Int(truncatingIfNeeded: self[Self.s1cdMax])
    if bits > substreams { return broken(Self.s1cdMax, "§5.2 S1CDMax") }
    let isLinear = self[Self.s1fmt] == 0 || self[Self.s1fmt] == 3
    return bits == 0 || features.twoLevelCDs || isLinear ? nil : broken(Self.s1fmt, "§5.2 S1Fmt")
  }

  private func stage2Violation(_ features: Features) -> Violation? {
    guard features.stage2 else { return broken(Self.config, "§5.2 Config") }
    // VMSAv8-64 tables, no stalls, no hardware updates: all that can be offered.
    if !flag(Self.s2aa64) { return broken(Self.s2aa64, "§5.2 S2AA64") }
    if flag(Self.s2s) { return broken(Self.s2s, "§5.2 S2S") }
    if flag(Self.s2ha) { return broken(Self.s2ha, "§5.2 S2HA") }
    if flag(Self.s2hd) { return broken(Self.s2hd, "§5.2 S2HD") }
    guard let granule = Granule(tg0: self[Self.s2tg]), features.supports(granule) else {
      return broken(Self.s2tg, "§5.2 S2TG")
    }
    if !features.allowsEndianness(big: flag(Self.s2endi)) {
      return broken(Self.s2endi, "§5.2 S2ENDI")
    }
    return stage2SizeViolation(granule, features) ?? stage2BaseViolation(features)
  }

  /// S2T0SZ and S2SL0 (DDI 0487 J1.1 S2InvalidSL, S2InconsistentSL).
  private func stage2SizeViolation(_ granule: Granule, _ features: Features) -> Violation? {
    let t0sz = Int(truncatingIfNeeded: self[Self.s2t0sz])
    let most = features.smallTables ? (granule == .size64K ? 47 : 48) : 39
    // The input may not exceed the intermediate address size, which is the output size.
    guard t0sz >= max(16, 64 - features.outputBits), t0sz <= most else {
      return broken(Self.s2t0sz, "§5.2 S2T0SZ")
    }
    let minimumOutput: Int
    switch (granule, self[Self.s2sl0]) {
    case (.size4K, 3): minimumOutput = features.smallTables ? 0 : .max
    case (.size4K, 2): minimumOutput = 44
    // Level 0 of 16K needs 52-bit addresses; the encoding is reserved with 64K.
    case (.size16K, 3), (.size64K, 3): minimumOutput = .max
    case (.size16K, 2): minimumOutput = 42
    case (.size64K, 2): minimumOutput = 44
    default: minimumOutput = 0
    }
    guard features.outputBits >= minimumOutput else { return broken(Self.s2sl0, "§5.2 S2SL0") }
    // At least one bit at the first level, at most 16 concatenated tables.
    let low = granule.lowBit(startLevel(granule))
    let inputBits = 64 - t0sz
    return inputBits >= low + 1 && inputBits <= low + granule.stride + 4
      ? nil : broken(Self.s2sl0, "§5.2 S2SL0")
  }

  private func stage2BaseViolation(_ features: Features) -> Violation? {
    let table = TranslationTable(stage2: self, features)
    // 48 bits at most, as no output is larger here.
    return table.base & ~UInt64.ones(min(table.geometry.outputBits, 48)) == 0
      ? nil : broken(Self.s2ttb, "§5.2 S2TTB")
  }
}

extension Features {
  /// TTENDIAN: 0 both, 2 little, 3 big (§6.3.1).
  func allowsEndianness(big: Bool) -> Bool {
    endianness == 0 || (endianness == 3) == big
  }
}
