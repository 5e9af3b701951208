// SPDX-License-Identifier: MIT

/// What an open file description of the emulated host answers. Calls come with the host's lock
/// held. Each kind of file is a subclass.
class File {
  /// The eventfd behind its first descriptor, which stays open as long as the file: pollers of all
  /// its descriptors see it.
  var eventfd: Int32 = -1

  func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 { throw .enotty }
  func read(into data: UnsafeMutableRawPointer, count: Int) throws(Errno) -> Int { throw .einval }
  func write(from data: UnsafeRawPointer, count: Int) throws(Errno) -> Int { throw .einval }
  /// POLLIN 1, POLLOUT 4.
  var readiness: Int32 { 0 }
  /// The last descriptor was closed, and nothing in the kernel holds the file.
  func release() {}
}
