// SPDX-License-Identifier: MIT
import SMMUSpec

/// One half of a stage 1 address space, from a valid CD (§5.4).
struct Stage1 {
  let table: TranslationTable

  /// The half that `address` selects; nil if it is disabled or the address is outside (§3.4.1).
  @inline(__always)
  init?(_ cd: ContextDescriptor, _ address: UInt64, _ features: Features) {
    let upper = address[55]
    let size = Int(
      truncatingIfNeeded: cd[upper ? ContextDescriptor.t1sz : ContextDescriptor.t0sz])
    guard !cd.flag(upper ? ContextDescriptor.epd1 : ContextDescriptor.epd0) else { return nil }
    // All bits from 64 - TxSZ up are copies of bit 55, those of an ignored top byte excepted.
    let inputBits = 64 - size
    let canonical = ContextDescriptor.canonical(
      address, ignoringTopByte: cd.flag(upper ? ContextDescriptor.tbi1 : ContextDescriptor.tbi0))
    let above = canonical &>> UInt64(truncatingIfNeeded: inputBits)
    guard above == (upper ? UInt64.ones(size) : 0) else { return nil }
    let granule =
      upper
      ? Granule(tg1: cd[ContextDescriptor.tg1]) : Granule(tg0: cd[ContextDescriptor.tg0])
    // A valid CD has a granule in a live half.
    guard let granule else { return nil }
    table = TranslationTable(
      granule: granule, inputBits: inputBits,
      startLevel: TranslationTable.startLevel(granule, inputBits: inputBits),
      base: cd.table(upper: upper),
      outputBits: min(addressBits(cd[ContextDescriptor.ips]), features.outputBits),
      bigEndian: cd.flag(ContextDescriptor.endi))
  }
}

extension ContextDescriptor {
  /// TTBx in place, 52 bits of it (§5.4 TTB0).
  @inline(__always)
  func table(upper: Bool) -> UInt64 {
    (self[upper ? ContextDescriptor.ttb1 : ContextDescriptor.ttb0] &<< 4) & UInt64.ones(52)
  }

  /// An address as the TLB and the tables see it: an ignored top byte is a copy of bit 55 (§3.4.1).
  @inline(__always)
  static func canonical(_ address: UInt64, ignoringTopByte: Bool) -> UInt64 {
    guard ignoringTopByte else { return address }
    return UInt64(bitPattern: Int64(bitPattern: address &<< 8) &>> 8)
  }
}
