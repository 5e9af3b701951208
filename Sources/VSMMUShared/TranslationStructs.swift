// SPDX-License-Identifier: MIT
// An access and its answer, as C has them.
import CVSMMU
import SMMUModel
import SMMUSpec

extension Access {
  /// Of one without attributes of its own.
  @inline(__always)
  public init(plain c: vsmmu_access) {
    self.init(
      stream: c.stream, substream: c.substream, flags: AccessFlags(rawValue: c.flags),
      address: c.address)
  }

  @inline(__always)
  public init(_ c: vsmmu_access) {
    self.init(plain: c)
    if flags.contains(.attributes) {
      attributes = MemoryAttributes(
        mair: UInt8(truncatingIfNeeded: c.attributes),
        shareability: UInt8(truncatingIfNeeded: c.attributes >> 8 & 3))
    }
  }
}

extension vsmmu_result {
  @inline(__always)
  public init(_ translation: Translation) {
    let (kind, event) = translation.numbers
    self.init(
      size: UInt32(MemoryLayout<vsmmu_result>.size), kind: UInt32(kind),
      address: translation.address, length: translation.length,
      permissions: UInt32(translation.permissions), event: UInt32(event),
      attributes: UInt32(translation.attributes.mair)
        | UInt32(translation.attributes.shareability) << 8,
      page_bits: UInt32(translation.pageBits), generation: translation.generation)
  }
}
