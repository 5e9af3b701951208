// SPDX-License-Identifier: MIT
import SMMUHost

/// A kernel that answers as a test says, and remembers nothing.
final class ScriptedKernel: Kernel {
  var onControl: (UInt32, UnsafeMutableRawPointer?) -> Result<Int64, Errno> = { _, _ in .success(0)
  }
  var onRead: (UnsafeMutableRawPointer, Int) -> Result<Int, Errno> = { _, _ in .success(0) }
  var opened: Int32 = 3

  func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    guard path[0] == 0x2f else { throw .enoent }
    opened += 1
    return opened - 1
  }
  func close(_ fd: Int32) throws(Errno) { if fd < 0 { throw .ebadf } }
  func control(
    _ fd: Int32, _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 { try onControl(request, argument).get() }
  func read(
    _ fd: Int32, into data: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) -> Int { try onRead(data, count).get() }
  func write(_ fd: Int32, from data: UnsafeRawPointer, count: Int) throws(Errno) -> Int { count }
  func poll(_ fd: Int32) throws(Errno) -> Int32 { 5 }
  func duplicate(_ fd: Int32) throws(Errno) -> Int32 { fd + 1 }
  func map(
    _ fd: Int32, offset: UInt64, length: Int
  ) throws(Errno) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 0x10000)! }
  func unmap(_ address: UnsafeMutableRawPointer, length: Int) {}
}

extension Sentence {
  /// For expectations.
  var text: String {
    var text = ""
    withCString { text = String(cString: $0) }
    return text
  }
}
