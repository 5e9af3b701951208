// SPDX-License-Identifier: MIT
import SMMUSpec

/// When a CD is ILLEGAL, C_BAD_CD (§5.4, §5.4.2).
extension ContextDescriptor {
  func isValid(_ features: Features) -> Bool { violation(features) == nil }

  /// The first rule that it breaks.
  func violation(_ features: Features) -> Violation? {
    if !flag(Self.v) { return broken(Self.v, "§5.4 V") }
    // VMSAv8-64 tables, no stalls, no hardware updates: all that can be offered.
    if !flag(Self.aa64) { return broken(Self.aa64, "§5.4 AA64") }
    if flag(Self.s) { return broken(Self.s, "§5.4 S") }
    if flag(Self.ha) { return broken(Self.ha, "§5.4 HA") }
    if flag(Self.hd) { return broken(Self.hd, "§5.4 HD") }
    if features.terminateIsAbort && !flag(Self.a) { return broken(Self.a, "§5.4 A") }
    if !features.asid16 && self[Self.asid] > 0xff { return broken(Self.asid, "§5.4 ASID") }
    let lower = !flag(Self.epd0)
    let upper = !flag(Self.epd1)
    if (lower || upper) && !features.allowsEndianness(big: flag(Self.endi)) {
      return broken(Self.endi, "§5.4 ENDI")
    }
    // Both live halves count on any use of the CD (§5.4.1.1).
    if lower, let violation = violation(ofUpper: false, features) { return violation }
    if upper, let violation = violation(ofUpper: true, features) { return violation }
    return nil
  }

  private func broken(_ field: Field, _ clause: StaticString) -> Violation {
    Violation(.contextDescriptor, in: self, field: field, clause: clause)
  }

  private func violation(ofUpper upper: Bool, _ features: Features) -> Violation? {
    let granule = upper ? Granule(tg1: self[Self.tg1]) : Granule(tg0: self[Self.tg0])
    guard let granule, features.supports(granule) else {
      return upper ? broken(Self.tg1, "§5.4 TG1") : broken(Self.tg0, "§5.4 TG0")
    }
    let most: UInt64 = features.smallTables ? (granule == .size64K ? 47 : 48) : 39
    let txsz = self[upper ? Self.t1sz : Self.t0sz]
    guard txsz >= 16 && txsz <= most else {
      return upper ? broken(Self.t1sz, "§5.4 T1SZ") : broken(Self.t0sz, "§5.4 T0SZ")
    }
    // 48 bits at most, as no output is larger here. Bits below the table's size do not count, and
    // cannot reach that far.
    let output = min(addressBits(self[Self.ips]), features.outputBits, 48)
    guard table(upper: upper) & ~UInt64.ones(output) != 0 else { return nil }
    return upper ? broken(Self.ttb1, "§5.4 TTB1") : broken(Self.ttb0, "§5.4 TTB0")
  }
}
