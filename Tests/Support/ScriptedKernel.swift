// SPDX-License-Identifier: MIT
import SMMUBase

/// A kernel that answers as a test says, and remembers nothing.
public final class ScriptedKernel: Kernel {
  public var onControl: (UInt32, UnsafeMutableRawPointer?) -> Result<Int64, Errno> = { _, _ in
    .success(0)
  }
  public var onRead: (UnsafeMutableRawPointer, Int) -> Result<Int, Errno> = { _, _ in .success(0) }
  public var opened: Int32 = 3

  public init() {}

  public func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    guard path[0] == 0x2f else { throw .enoent }
    opened += 1
    return opened - 1
  }
  public func close(_ fd: Int32) throws(Errno) { if fd < 0 { throw .ebadf } }
  public func control(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 { try onControl(request, argument).get() }
  public func read(
    _ fd: Int32, into data: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) -> Int { try onRead(data, count).get() }
  public func write(
    _ fd: Int32, from data: UnsafeRawPointer, count: Int
  ) throws(Errno) -> Int { count }
  public func poll(_ fd: Int32) throws(Errno) -> Int32 { 5 }
  public func duplicate(_ fd: Int32) throws(Errno) -> Int32 { fd + 1 }
  public func same(_ fd: Int32, _ other: Int32) throws(Errno) -> Bool { fd == other }
  public func map(
    _ fd: Int32, offset: UInt64, length: Int
  ) throws(Errno) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 0x10000)! }
  public func unmap(_ address: UnsafeMutableRawPointer, length: Int) {}
}

extension Sentence {
  /// For expectations.
  public var text: String {
    var text = ""
    withCString { text = String(cString: $0) }
    return text
  }
}
