// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// A region of the guest's RAM, as a host that comes later needs to know of it.
struct GuestRegion {
  let address: UInt64
  let length: UInt64
  let host: UnsafeMutableRawPointer
  /// What is behind it, if that is known: a duplicate of the caller's descriptor.
  let part: VirtualSMMU.FilePart?

  static func make(
    _ address: UInt64, length: UInt64, host: UnsafeMutableRawPointer,
    of part: VirtualSMMU.FilePart?
  ) throws(Refusal) -> GuestRegion {
    var kept: VirtualSMMU.FilePart?
    if let part {
      let file = vsmmu_system_dup(part.file)
      guard file >= 0 else {
        throw Refusal(Errno(code: -file), trying: "duplicate the file's descriptor (fd)")
      }
      kept = VirtualSMMU.FilePart(file, offset: part.offset)
    }
    return GuestRegion(address: address, length: length, host: host, part: kept)
  }

  func close() {
    if let part { _ = vsmmu_system_close(part.file) }
  }
}
