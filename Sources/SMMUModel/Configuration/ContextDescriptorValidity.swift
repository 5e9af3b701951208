// SPDX-License-Identifier: MIT
import SMMUSpec

/// When a CD is ILLEGAL, C_BAD_CD (§5.4, §5.4.2).
extension ContextDescriptor {
  func isValid(_ features: Features) -> Bool {
    guard flag(Self.v) else { return false }
    // VMSAv8-64 tables, no stalls, no hardware updates: all that can be offered.
    guard flag(Self.aa64), !flag(Self.s), !flag(Self.ha), !flag(Self.hd) else { return false }
    if features.terminateIsAbort && !flag(Self.a) { return false }
    if !features.asid16 && self[Self.asid] > 0xff { return false }
    let lower = !flag(Self.epd0)
    let upper = !flag(Self.epd1)
    if (lower || upper) && !features.allowsEndianness(big: flag(Self.endi)) { return false }
    // Both live halves count on any use of the CD (§5.4.1.1).
    if lower
      && !isValidHalf(Granule(tg0: self[Self.tg0]), self[Self.t0sz], table(upper: false), features)
    {
      return false
    }
    if upper
      && !isValidHalf(Granule(tg1: self[Self.tg1]), self[Self.t1sz], table(upper: true), features)
    {
      return false
    }
    return true
  }

  private func isValidHalf(
    _ granule: Granule?, _ txsz: UInt64, _ table: UInt64, _ features: Features
  ) -> Bool {
    guard let granule, features.supports(granule) else { return false }
    let most: UInt64 = features.smallTables ? (granule == .size64K ? 47 : 48) : 39
    guard txsz >= 16 && txsz <= most else { return false }
    // 48 bits at most, as no output is larger here. Bits below the table's size do not count, and
    // cannot reach that far.
    let output = min(addressBits(self[Self.ips]), features.outputBits, 48)
    return table & ~UInt64.ones(output) == 0
  }
}
