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

  /// Pages are pinned as soon as there is a table to put them in.
  func pin() throws(Errno) {
    guard address != 0 else { throw file == nil ? .efault : .einval }
  }

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

  /// Any open file will do, until its pages are needed: the address of one that has none is 0.
  static func map(_ fd: Int32, _ offset: UInt64, _ length: UInt64) throws(Errno) -> MappedFile {
    let address = vsmmu_system_mmap(fd, offset, length)
    guard address != Int64(-Errno.ebadf.code) else { throw .ebadf }
    return MappedFile(address < 0 ? 0 : UInt64(address), length)
  }

  deinit {
    if address != 0 { _ = vsmmu_system_munmap(address, length) }
  }
}

/// Addresses that must stay free, or that alone may be chosen.
struct IOVARange {
  let first: UInt64
  let last: UInt64

  func meets(_ first: UInt64, _ last: UInt64) -> Bool { self.first <= last && first <= self.last }
}

extension [IOVARange] {
  /// By first addresses. The rows are short, and the standard library's sort is 3 KB of code.
  @inline(never)
  mutating func add(inOrder range: IOVARange) {
    var place = count
    append(range)
    while place > 0 && self[place - 1].first > range.first {
      self[place] = self[place - 1]
      place -= 1
    }
    self[place] = range
  }
}
