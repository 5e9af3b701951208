// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// What a mapping maps, and keeps alive.
enum MappedMemory {
  /// Pages of the process.
  case process
  /// Of a file, for IOMMU_IOAS_MAP_FILE.
  case file(MappedFile)
  /// Of a device, for the same.
  case bar(MappedBAR)

  var isFile: Bool {
    if case .file = self { true } else { false }
  }
}

/// A mapping of an address space: I/O addresses to memory of this process, where an address is the
/// physical one too.
struct IOVAArea {
  let first: UInt64
  let last: UInt64
  /// What `first` maps to.
  let address: UInt64
  let isReadable: Bool
  let isWritable: Bool
  let memory: MappedMemory

  var length: UInt64 { last &- first &+ 1 }

  /// Pages are pinned as soon as there is a table to put them in.
  func pin() throws(Errno) {
    switch memory {
    case .process:
      guard vsmmu_system_is_memory(address, length) != 0 else { throw .efault }
    case .file(let file):
      guard file.hasPages(address, length) else { throw .einval }
    case .bar: return
    }
  }

  /// Its memory was revoked: the addresses stay taken, and nothing is there.
  var isHole: Bool {
    if case .bar(let bar) = memory { bar.isRevoked } else { false }
  }

  /// It is memory of a device, whose attributes stage 2 decides.
  var isDevice: Bool {
    if case .bar = memory { true } else { false }
  }

  func isOf(_ bar: EmulatedBAR) -> Bool {
    if case .bar(let mapped) = memory { mapped.isOf(bar) } else { false }
  }

  func isAligned(to alignment: UInt64) -> Bool {
    (first | address | length) & (alignment &- 1) == 0
  }
}

/// A file that was mapped into this process for an address space.
final class MappedFile {
  let address: UInt64
  private let fd: Int32
  private let offset: UInt64
  private let length: UInt64

  private init(_ fd: Int32, address: UInt64, offset: UInt64, length: UInt64) {
    self.fd = fd
    self.address = address
    self.offset = offset
    self.length = length
  }

  /// Any open file will do, until its pages are needed: the address of one that has none is 0.
  static func map(_ fd: Int32, offset: UInt64, length: UInt64) throws(Errno) -> MappedFile {
    // The caller may close its own, and the file's size is looked at later.
    let own = vsmmu_system_dup(fd)
    guard own >= 0 else { throw Errno(code: -own) }
    let address = vsmmu_system_mmap(own, offset, length)
    return MappedFile(
      own, address: address < 0 ? 0 : UInt64(address), offset: offset, length: length)
  }

  /// Whether the file has all the pages behind a piece of the mapping: a mapping may reach beyond
  /// the file's end, and no one may touch it there.
  func hasPages(_ piece: UInt64, _ length: UInt64) -> Bool {
    guard address != 0, piece >= address, piece - address <= self.length,
      length <= self.length - (piece - address)
    else { return false }
    let size = vsmmu_system_file_size(fd)
    guard size >= 0 else { return false }
    return offset + (piece - address) + length <= (UInt64(size) + 4095) & ~4095
  }

  deinit {
    if address != 0 { _ = vsmmu_system_munmap(address, length) }
    _ = vsmmu_system_close(fd)
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
