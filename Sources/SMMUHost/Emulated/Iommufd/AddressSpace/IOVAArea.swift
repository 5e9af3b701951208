// SPDX-License-Identifier: MIT
import CKernel

/// A mapping of an address space: I/O addresses to memory of this process, where an address is the
/// physical one too.
struct IOVAArea {
  let first: UInt64
  let last: UInt64
  /// What `first` maps to.
  let address: UInt64
  let isReadable: Bool
  let isWritable: Bool
  /// Keeps the mapping of a file alive, for IOMMU_IOAS_MAP_FILE.
  let file: MappedFile?

  var length: UInt64 { last &- first &+ 1 }

  func isAligned(to alignment: UInt64) -> Bool {
    (first | address | length) & (alignment &- 1) == 0
  }
}

/// A file that was mapped into this process for an address space.
final class MappedFile {
  let address: UInt64
  private let length: UInt64

  private init(_ address: UInt64, _ length: UInt64) {
    self.address = address
    self.length = length
  }

  static func map(_ fd: Int32, _ offset: UInt64, _ length: UInt64) throws(Errno) -> MappedFile {
    let address = vsmmu_system_mmap(fd, offset, length)
    if address >= 0 { return MappedFile(UInt64(address), length) }
    // Whatever mmap(2) has against a file that is open, the kernel calls it no memory file.
    throw address == Int64(-Errno.ebadf.code) ? .ebadf : .einval
  }

  deinit { _ = vsmmu_system_munmap(address, length) }
}

/// Addresses that must stay free, or that alone may be chosen.
struct IOVARange {
  let first: UInt64
  let last: UInt64

  func meets(_ first: UInt64, _ last: UInt64) -> Bool { self.first <= last && first <= self.last }
}
