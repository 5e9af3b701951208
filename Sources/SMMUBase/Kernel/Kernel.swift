// SPDX-License-Identifier: MIT

/// The system calls that the host side makes: the whole of what it knows of a kernel. Linux, the
/// emulated host and a VMM's own functions implement it and are given the same bytes; the recorder
/// and the failure injector stand before any of them.
public protocol Kernel: AnyObject {
  /// For reading and writing.
  func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32
  func close(_ fd: Int32) throws(Errno)
  /// ioctl(2). `argument` is the pointer that the request takes, or its number as a bit pattern.
  @discardableResult
  func control(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64
  func read(_ fd: Int32, into data: UnsafeMutableRawPointer, count: Int) throws(Errno) -> Int
  func write(_ fd: Int32, from data: UnsafeRawPointer, count: Int) throws(Errno) -> Int
  /// The events of poll(2) that are set now; never waits.
  func poll(_ fd: Int32) throws(Errno) -> Int32
  func duplicate(_ fd: Int32) throws(Errno) -> Int32
  /// Both are one open file. An error: that cannot be told.
  func same(_ fd: Int32, _ other: Int32) throws(Errno) -> Bool
  func map(_ fd: Int32, offset: UInt64, length: Int) throws(Errno) -> UnsafeMutableRawPointer
  func unmap(_ address: UnsafeMutableRawPointer, length: Int)
}
