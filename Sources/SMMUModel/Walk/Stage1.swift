// SPDX-License-Identifier: MIT
import SMMUSpec

/// One half of a stage 1 address space, from a valid CD (§5.4).
struct Stage1 {
  let table: TranslationTable
  /// The address without a tag.
  let input: UInt64

  /// The half that `address` selects; nil if it is disabled or the address is outside (§3.4.1).
  @inline(__always)
  init?(_ plan: StreamPlan, _ cd: ContextDescriptor, _ address: UInt64) {
    let upper = address[55]
    guard let canonical = plan.key(address) else { return nil }
    let geometry = plan.stage1(upper: upper)
    // All bits from 64 - TxSZ up are copies of bit 55, those of an ignored top byte excepted.
    let above = (upper ? ~canonical : canonical) &>> UInt64(truncatingIfNeeded: geometry.inputBits)
    guard above == 0 else { return nil }
    table = TranslationTable(geometry, base: cd.table(upper: upper))
    input = canonical
  }
}

extension TableGeometry {
  /// Of one half of a valid CD; nil if it is disabled.
  init?(_ cd: ContextDescriptor, upper: Bool, _ features: Features) {
    let granule =
      upper
      ? Granule(tg1: cd[ContextDescriptor.tg1]) : Granule(tg0: cd[ContextDescriptor.tg0])
    guard !cd.flag(upper ? ContextDescriptor.epd1 : ContextDescriptor.epd0), let granule else {
      return nil
    }
    let size = cd[upper ? ContextDescriptor.t1sz : ContextDescriptor.t0sz]
    let inputBits = 64 - Int(truncatingIfNeeded: size)
    self.init(
      granule: granule, inputBits: inputBits,
      // Without concatenation (DDI 0487 J1.1 S1StartLevel).
      startLevel: 3 - (inputBits - 1 - granule.shift) / granule.stride,
      outputSize: min(cd[ContextDescriptor.ips], features.outputSize),
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
