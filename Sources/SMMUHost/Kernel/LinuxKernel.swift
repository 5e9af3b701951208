// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// The kernel of this machine: each call is the system call of its name.
public final class LinuxKernel: Kernel {
  public init() {}

  /// The result of a system call: what it returned, or its negative errno thrown.
  @inline(__always)
  private func checked(_ result: Int64) throws(Errno) -> Int64 {
    guard result < 0 else { return result }
    throw Errno(code: Int32(truncatingIfNeeded: 0 &- result))
  }

  /// A call that a signal may interrupt and that may be made again then.
  @inline(__always)
  private func repeated(_ call: () -> Int64) throws(Errno) -> Int64 {
    while true {
      let result = call()
      if result != -Int64(Errno.eintr.code) { return try checked(result) }
    }
  }

  public func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    Int32(truncatingIfNeeded: try repeated { Int64(vsmmu_system_open(path)) })
  }

  /// Not made again after a signal: Linux has closed the descriptor by then.
  public func close(_ fd: Int32) throws(Errno) {
    _ = try checked(Int64(vsmmu_system_close(fd)))
  }

  /// Not made again after a signal: the caller knows whether the request may be.
  @discardableResult
  public func control(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    try checked(vsmmu_system_ioctl(fd, request, argument))
  }

  public func read(
    _ fd: Int32, into data: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) -> Int {
    guard count >= 0 else { throw .einval }
    return Int(try repeated { vsmmu_system_read(fd, data, UInt64(count)) })
  }

  public func write(
    _ fd: Int32, from data: UnsafeRawPointer, count: Int
  ) throws(Errno) -> Int {
    guard count >= 0 else { throw .einval }
    return Int(try repeated { vsmmu_system_write(fd, data, UInt64(count)) })
  }

  public func poll(_ fd: Int32) throws(Errno) -> Int32 {
    Int32(truncatingIfNeeded: try repeated { Int64(vsmmu_system_poll(fd)) })
  }

  public func duplicate(_ fd: Int32) throws(Errno) -> Int32 {
    Int32(truncatingIfNeeded: try checked(Int64(vsmmu_system_dup(fd))))
  }

  public func same(_ fd: Int32, _ other: Int32) throws(Errno) -> Bool {
    try checked(Int64(vsmmu_system_same(fd, other))) != 0
  }

  public func map(
    _ fd: Int32, offset: UInt64, length: Int
  ) throws(Errno) -> UnsafeMutableRawPointer {
    guard length > 0, offset <= UInt64(Int64.max) else { throw .einval }
    let address = try checked(vsmmu_system_mmap(fd, offset, UInt64(length)))
    guard let pointer = UnsafeMutableRawPointer(bitPattern: Int(address)) else { throw .enomem }
    return pointer
  }

  public func unmap(_ address: UnsafeMutableRawPointer, length: Int) {
    guard length > 0 else { return }
    _ = vsmmu_system_munmap(UInt64(UInt(bitPattern: address)), UInt64(length))
  }
}
