// SPDX-License-Identifier: MIT
// Section 2 of vsmmuv3_emulated.h.
import CSupport
import CVSMMU
import SMMUBase
import SMMUEmulated
import VSMMUShared

/// One system call: what it returns, or its errno as a negative number.
private func call(
  _ handle: OpaquePointer?, _ body: (FailureInjector) throws(Errno) -> Int64
) -> Int64 {
  with(handle) { emulated in
    do throws(Errno) { return try body(emulated.kernel) } catch { return -Int64(error.code) }
  }
}

private func call32(
  _ handle: OpaquePointer?, _ body: (FailureInjector) throws(Errno) -> Int32
) -> Int32 {
  Int32(
    truncatingIfNeeded: call(handle) { (kernel) throws(Errno) -> Int64 in Int64(try body(kernel)) })
}

@implementation @_cdecl("vsmmu_emulated_open")
public func vsmmu_emulated_open(
  _ emulated: OpaquePointer?, _ path: UnsafePointer<CChar>?
) -> Int32 {
  call32(emulated) { (kernel) throws(Errno) -> Int32 in
    guard let path else { throw .efault }
    return try kernel.open(path)
  }
}

@implementation @_cdecl("vsmmu_emulated_close")
public func vsmmu_emulated_close(_ emulated: OpaquePointer?, _ fd: Int32) -> Int32 {
  call32(emulated) { (kernel) throws(Errno) -> Int32 in
    try kernel.close(fd)
    return 0
  }
}

@implementation @_cdecl("vsmmu_emulated_ioctl")
public func vsmmu_emulated_ioctl(
  _ emulated: OpaquePointer?, _ fd: Int32, _ request: UInt32, _ argument: UnsafeMutableRawPointer?
) -> Int64 {
  call(emulated) { (kernel) throws(Errno) -> Int64 in
    try kernel.control(fd, request: request, argument: argument)
  }
}

@implementation @_cdecl("vsmmu_emulated_read")
public func vsmmu_emulated_read(
  _ emulated: OpaquePointer?, _ fd: Int32, _ data: UnsafeMutableRawPointer?, _ count: UInt64
) -> Int64 {
  call(emulated) { (kernel) throws(Errno) -> Int64 in
    guard let data else { throw .efault }
    return Int64(try kernel.read(fd, into: data, count: Int(clamping: count)))
  }
}

@implementation @_cdecl("vsmmu_emulated_write")
public func vsmmu_emulated_write(
  _ emulated: OpaquePointer?, _ fd: Int32, _ data: UnsafeRawPointer?, _ count: UInt64
) -> Int64 {
  call(emulated) { (kernel) throws(Errno) -> Int64 in
    guard let data else { throw .efault }
    return Int64(try kernel.write(fd, from: data, count: Int(clamping: count)))
  }
}

@implementation @_cdecl("vsmmu_emulated_poll")
public func vsmmu_emulated_poll(_ emulated: OpaquePointer?, _ fd: Int32) -> Int32 {
  call32(emulated) { (kernel) throws(Errno) -> Int32 in try kernel.poll(fd) }
}

@implementation @_cdecl("vsmmu_emulated_dup")
public func vsmmu_emulated_dup(_ emulated: OpaquePointer?, _ fd: Int32) -> Int32 {
  call32(emulated) { (kernel) throws(Errno) -> Int32 in try kernel.duplicate(fd) }
}

@implementation @_cdecl("vsmmu_emulated_kernel")
public func vsmmu_emulated_kernel(
  _ emulated: OpaquePointer?, _ kernel: UnsafeMutablePointer<vsmmu_kernel>?
) -> Int32 {
  do throws(Refusal) {
    guard let emulated else { throw .invalid("emulated is NULL") }
    try copyOut(vsmmu_kernel(of: emulated), to: kernel, named: "kernel", least: 88)
    return 0
  } catch {
    return error.code
  }
}

extension vsmmu_kernel {
  /// The calls of a host, whose handle is their first argument.
  fileprivate init(of emulated: OpaquePointer) {
    self.init()
    opaque = UnsafeMutableRawPointer(emulated)
    open = { vsmmu_emulated_open($0.map { OpaquePointer($0) }, $1) }
    close = { vsmmu_emulated_close($0.map { OpaquePointer($0) }, $1) }
    ioctl = { vsmmu_emulated_ioctl($0.map { OpaquePointer($0) }, $1, $2, $3) }
    read = { vsmmu_emulated_read($0.map { OpaquePointer($0) }, $1, $2, $3) }
    write = { vsmmu_emulated_write($0.map { OpaquePointer($0) }, $1, $2, $3) }
    poll = { vsmmu_emulated_poll($0.map { OpaquePointer($0) }, $1) }
    dup = { vsmmu_emulated_dup($0.map { OpaquePointer($0) }, $1) }
    same = { handle, fd, other in
      call32(handle.map { OpaquePointer($0) }) { (kernel) throws(Errno) -> Int32 in
        try kernel.same(fd, other) ? 1 : 0
      }
    }
    mmap = { handle, fd, offset, length, address in
      call32(handle.map { OpaquePointer($0) }) { (kernel) throws(Errno) -> Int32 in
        guard let address else { throw .efault }
        address.pointee = try kernel.map(fd, offset: offset, length: Int(clamping: length))
        return 0
      }
    }
    munmap = { handle, address, length in
      Int32(
        truncatingIfNeeded: with(handle.map { OpaquePointer($0) }) { emulated in
          guard let address,
            emulated.host.unmapPage(address, length: Int(clamping: length))
          else { return Int64(vsmmu_support_einval) }
          return 0
        })
    }
  }
}

@implementation @_cdecl("vsmmu_emulated_pin_request")
public func vsmmu_emulated_pin_request(_ emulated: OpaquePointer?) -> UInt32 {
  guard emulated != nil else { return 0 }
  return UInt32(truncatingIfNeeded: with(emulated) { Int64($0.host.pinRequest) })
}

@implementation @_cdecl("vsmmu_emulated_unpin_request")
public func vsmmu_emulated_unpin_request(_ emulated: OpaquePointer?) -> UInt32 {
  guard emulated != nil else { return 0 }
  return UInt32(truncatingIfNeeded: with(emulated) { Int64($0.host.unpinRequest) })
}
