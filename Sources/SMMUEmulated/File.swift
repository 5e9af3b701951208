// SPDX-License-Identifier: MIT
import SMMUBase

/// What an open file description of the emulated host answers. Calls come with the host's lock
/// held. Each kind of file is a subclass.
class File {
  /// The eventfd that all its descriptors duplicate, open as long as the file: pollers of any of
  /// them see it.
  final var eventfd: Int32 = -1
  /// Descriptors, and holds by the kernel itself (`DescriptorTable.hold`).
  final var holders = 0

  func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 { throw .enotty }
  func read(into data: UnsafeMutableRawPointer, count: Int) throws(Errno) -> Int { throw .einval }
  func write(from data: UnsafeRawPointer, count: Int) throws(Errno) -> Int { throw .einval }
  func map(offset: UInt64, length: Int) throws(Errno) -> UnsafeMutableRawPointer { throw .enodev }
  /// POLLIN 1, POLLOUT 4.
  var readiness: Int32 { 0 }
  /// The last descriptor was closed, and nothing in the kernel holds the file.
  func release() {}

  /// What the file is, where a request takes another file's descriptor.
  var iommufd: IOMMUFDFile? { nil }
  var isVFIODevice: Bool { false }
  var dmaBuf: DMABuf? { nil }
}
