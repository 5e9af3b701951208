// SPDX-License-Identifier: MIT
import SMMUSpec

/// Finding and fetching a Context Descriptor (§5.2 S1Fmt, §5.3).
extension ConfigurationReader {
  func fetchCD(
    _ ste: StreamTableEntry, substream: SubstreamID, walk: inout Walk
  ) throws(Fault) -> ContextDescriptor {
    let isNested = ste[StreamTableEntry.config] == 0b111
    if isNested { walk.stage2 = Stage2Regime(ste, features) }
    let bits =
      features.substreamIDBits == 0 ? 0 : Int(truncatingIfNeeded: ste[StreamTableEntry.s1cdMax])
    let address = try contextAddress(
      ste, substream: substream, bits: bits, isNested: isNested, walk: &walk)
    let physical = try physical(address, isNested: isNested, walk: &walk)
    var cd = ContextDescriptor()
    let done = loadStructure(physical) { cd.words[$0] = $1 }
    guard done else { throw .fetch(.cdFetch, physical) }
    return cd
  }

  /// S1Fmt: linear, or two levels with leaf tables of 4 KiB or 64 KiB.
  private func contextAddress(
    _ ste: StreamTableEntry, substream: SubstreamID, bits: Int, isNested: Bool,
    walk: inout Walk
  ) throws(Fault) -> UInt64 {
    let index = UInt64(substream)
    let format = bits == 0 ? 0 : ste[StreamTableEntry.s1fmt]
    guard format == 1 || format == 2 else {
      // Bits that the table's size makes zero are not looked at.
      return ste.contextTable.aligned(down: bits + 6) &+ index &* ContextDescriptor.bytes
    }
    let split = format == 1 ? 6 : 10
    let table = ste.contextTable.aligned(down: max(bits - split + 3, 6))
    let address = try physical(
      table &+ (index >> UInt64(split)) &* 8, isNested: isNested, walk: &walk)
    let descriptor = Level1ContextDescriptor(try descriptor(address, .cdFetch))
    // §5.3.1, §3.4.3: an invalid or unreachable leaf table has no such substream.
    if let violation = descriptor.violation(features) {
      throw illegal(.badSubstreamID, violation)
    }
    let second = descriptor.raw & Level1ContextDescriptor.l2ptr.mask
    // 64 KiB leaves: L2Ptr[15:12] are RES0.
    return second.aligned(down: split + 6)
      &+ (index & UInt64.ones(split)) &* ContextDescriptor.bytes
  }

  /// CDs are IPAs where the stream has both stages (§3.3.2).
  private func physical(
    _ address: UInt64, isNested: Bool, walk: inout Walk
  ) throws(Fault) -> PhysicalAddress {
    guard isNested else { return PhysicalAddress(address) }
    return try walker.structure(
      IntermediateAddress(address), accessClass: .contextDescriptor, walk: &walk
    ).address
  }
}

extension Level1ContextDescriptor {
  fileprivate func violation(_ features: Features) -> Violation? {
    if !flag(Self.v) {
      return Violation(.level1ContextDescriptor, in: self, field: Self.v, clause: "§5.3 V")
    }
    guard !features.isPhysical(raw & Self.l2ptr.mask) else { return nil }
    return Violation(.level1ContextDescriptor, in: self, field: Self.l2ptr, clause: "§3.4.3")
  }
}
