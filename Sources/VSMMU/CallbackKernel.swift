// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUBase
import VSMMUShared

/// A kernel that the caller brings: each call is one of its functions.
final class CallbackKernel: Kernel {
  private let calls: vsmmu_kernel

  private init(_ calls: vsmmu_kernel) { self.calls = calls }

  /// Copies the caller's struct, in which every function is.
  static func make(_ source: UnsafePointer<vsmmu_kernel>) throws(Refusal) -> CallbackKernel {
    var calls = vsmmu_kernel()
    try copyIn(source, named: "config.kernel", least: leastSize, into: &calls)
    guard calls.reserved == 0 else { throw .invalid("config.kernel.reserved is not 0") }
    if let missing = missing(calls) { throw .invalid(missing) }
    return CallbackKernel(calls)
  }

  /// All that there was in API 2.0.
  private static var leastSize: Int { 88 }

  private static func missing(_ calls: vsmmu_kernel) -> StaticString? {
    if calls.open == nil { return "config.kernel.open is NULL" }
    if calls.close == nil { return "config.kernel.close is NULL" }
    if calls.ioctl == nil { return "config.kernel.ioctl is NULL" }
    if calls.read == nil { return "config.kernel.read is NULL" }
    if calls.write == nil { return "config.kernel.write is NULL" }
    if calls.poll == nil { return "config.kernel.poll is NULL" }
    if calls.dup == nil { return "config.kernel.dup is NULL" }
    if calls.mmap == nil { return "config.kernel.mmap is NULL" }
    if calls.munmap == nil { return "config.kernel.munmap is NULL" }
    return nil
  }

  /// Linux has no errno above this.
  private static var lastErrno: Int64 { 4095 }

  /// What a function answered: a value of at most `most`, or its errno thrown. Anything else is no
  /// answer of a kernel.
  private func checked(_ result: Int64?, most: Int64 = .max) throws(Errno) -> Int64 {
    guard let result else { throw .enosys }
    if result >= 0 && result <= most { return result }
    throw result < 0 && result >= -Self.lastErrno ? Errno(code: Int32(-result)) : .eio
  }

  private func checked(_ result: Int32?, most: Int32 = .max) throws(Errno) -> Int32 {
    Int32(try checked(result.map { Int64($0) }, most: Int64(most)))
  }

  func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    try checked(calls.open?(calls.opaque, path))
  }

  func close(_ fd: Int32) throws(Errno) {
    _ = try checked(calls.close?(calls.opaque, fd))
  }

  @discardableResult
  func control(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    try checked(calls.ioctl?(calls.opaque, fd, request, argument))
  }

  func read(
    _ fd: Int32, into data: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) -> Int {
    guard count >= 0 else { throw .einval }
    return Int(try checked(calls.read?(calls.opaque, fd, data, UInt64(count)), most: Int64(count)))
  }

  func write(
    _ fd: Int32, from data: UnsafeRawPointer, count: Int
  ) throws(Errno) -> Int {
    guard count >= 0 else { throw .einval }
    return Int(try checked(calls.write?(calls.opaque, fd, data, UInt64(count)), most: Int64(count)))
  }

  func poll(_ fd: Int32) throws(Errno) -> Int32 {
    try checked(calls.poll?(calls.opaque, fd))
  }

  func duplicate(_ fd: Int32) throws(Errno) -> Int32 {
    try checked(calls.dup?(calls.opaque, fd))
  }

  func same(_ fd: Int32, _ other: Int32) throws(Errno) -> Bool {
    try checked(calls.same?(calls.opaque, fd, other), most: 1) != 0
  }

  func map(
    _ fd: Int32, offset: UInt64, length: Int
  ) throws(Errno) -> UnsafeMutableRawPointer {
    guard length > 0 else { throw .einval }
    var address: UnsafeMutableRawPointer?
    _ = try checked(calls.mmap?(calls.opaque, fd, offset, UInt64(length), &address))
    guard let address else { throw .enomem }
    return address
  }

  func unmap(_ address: UnsafeMutableRawPointer, length: Int) {
    guard length > 0 else { return }
    _ = calls.munmap?(calls.opaque, address, UInt64(length))
  }
}
