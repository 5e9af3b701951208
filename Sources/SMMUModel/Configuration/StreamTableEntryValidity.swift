// SPDX-License-Identifier: MIT
import SMMUSpec

/// When an STE is ILLEGAL, C_BAD_STE (§5.2, §5.2.2).
extension StreamTableEntry {
  func isValid(_ features: Features) -> Bool {
    guard flag(Self.v) else { return false }
    let config = self[Self.config]
    // Config 0b0xx aborts without a look at anything else.
    guard config & 0b100 != 0 else { return true }
    let stage1 = config & 0b001 != 0, stage2 = config & 0b010 != 0
    if stage1 && !isValidStage1(features) { return false }
    if stage2 && !isValidStage2(features) { return false }
    // S2VMID tags stage 1 alone too, where stage 2 exists.
    if features.stage2 && (stage1 || stage2) && !features.vmid16 && self[Self.s2vmid] > 0xff {
      return false
    }
    return true
  }

  private func isValidStage1(_ features: Features) -> Bool {
    guard features.stage1 else { return false }
    if flag(Self.s1stalld) && features.stallModel != 0 { return false }
    if contextTable & ~UInt64.ones(features.outputBits) != 0 { return false }
    let substreams = features.substreamIDBits
    // Without substreams S1CDMax, S1Fmt and S1DSS are ignored.
    guard substreams != 0 else { return true }
    let bits = Int(truncatingIfNeeded: self[Self.s1cdMax])
    if bits > substreams { return false }
    return bits == 0 || features.twoLevelCDs || self[Self.s1fmt] == 0 || self[Self.s1fmt] == 3
  }

  private func isValidStage2(_ features: Features) -> Bool {
    guard features.stage2 else { return false }
    // VMSAv8-64 tables, no stalls, no hardware updates: all that can be offered.
    guard flag(Self.s2aa64), !flag(Self.s2s), !flag(Self.s2ha), !flag(Self.s2hd) else {
      return false
    }
    guard let granule = Granule(tg0: self[Self.s2tg]), features.supports(granule) else {
      return false
    }
    guard features.allowsEndianness(big: flag(Self.s2endi)) else { return false }
    return hasValidStage2Size(granule, features) && hasValidStage2Base(features)
  }

  /// S2T0SZ and S2SL0 (DDI 0487 J1.1 S2InvalidSL, S2InconsistentSL).
  private func hasValidStage2Size(_ granule: Granule, _ features: Features) -> Bool {
    let t0sz = Int(truncatingIfNeeded: self[Self.s2t0sz])
    let most = features.smallTables ? (granule == .size64K ? 47 : 48) : 39
    // The input may not exceed the intermediate address size, which is the output size.
    guard t0sz >= max(16, 64 - features.outputBits), t0sz <= most else { return false }
    let sl0 = self[Self.s2sl0]
    let minimumOutput: Int
    switch (granule, sl0) {
    case (.size4K, 3): minimumOutput = features.smallTables ? 0 : .max
    case (.size4K, 2): minimumOutput = 44
    // Level 0 of 16K needs 52-bit addresses; the encoding is reserved with 64K.
    case (.size16K, 3), (.size64K, 3): minimumOutput = .max
    case (.size16K, 2): minimumOutput = 42
    case (.size64K, 2): minimumOutput = 44
    default: minimumOutput = 0
    }
    guard features.outputBits >= minimumOutput else { return false }
    // At least one bit at the first level, at most 16 concatenated tables.
    let low = granule.lowBit(Stage2.startLevel(self, granule))
    let inputBits = 64 - t0sz
    return inputBits >= low + 1 && inputBits <= low + granule.stride + 4
  }

  private func hasValidStage2Base(_ features: Features) -> Bool {
    let geometry = TableGeometry(stage2: self, features)
    let table = TranslationTable(geometry, base: stage2Table & UInt64.ones(52))
    // 48 bits at most, as no output is larger here.
    return table.base & ~UInt64.ones(min(geometry.outputBits, 48)) == 0
  }
}

extension Features {
  /// TTENDIAN: 0 both, 2 little, 3 big (§6.3.1).
  func allowsEndianness(big: Bool) -> Bool {
    endianness == 0 || (endianness == 3) == big
  }
}
