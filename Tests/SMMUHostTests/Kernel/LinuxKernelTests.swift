// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUHost
import Testing

@Suite struct LinuxKernelTests {
  let kernel = LinuxKernel()

  /// The error of a call, or nil if there was none.
  func error(_ body: () throws(Errno) -> Void) -> Errno? {
    do {
      try body()
      return nil
    } catch {
      return error
    }
  }

  @Test("A file is opened, written, read, duplicated and closed")
  func files() throws {
    let null = try kernel.open("/dev/null")
    var bytes: [UInt8] = [1, 2, 3]
    #expect(try kernel.write(null, from: &bytes, count: 3) == 3)
    #expect(try kernel.read(null, into: &bytes, count: 3) == 0)
    let other = try kernel.duplicate(null)
    #expect(other != null)
    try kernel.close(null)
    #expect(try kernel.write(other, from: &bytes, count: 2) == 2)
    try kernel.close(other)
    #expect(error { () throws(Errno) in try kernel.close(-1) } == .ebadf)
  }

  @Test("Two descriptors are one file, or not, or this kernel does not tell")
  func same() throws {
    let null = try kernel.open("/dev/null")
    let copy = try kernel.duplicate(null)
    let other = try kernel.open("/dev/null")
    defer { for fd in [null, copy, other] { try? kernel.close(fd) } }
    #expect(error { () throws(Errno) in _ = try kernel.same(null, -1) } != nil)
    do throws(Errno) {
      #expect(try kernel.same(null, copy))
      #expect(try !kernel.same(null, other))
    } catch {
      // Before Linux 6.10, in a sandbox or without CONFIG_KCMP.
      #expect([Errno.eperm, .enosys].contains(error))
    }
  }

  @Test("A path that is not there is ENOENT")
  func absent() {
    #expect(error { () throws(Errno) in _ = try kernel.open("/dev/there-is-none") } == .enoent)
  }

  @Test("A request that a file does not know is ENOTTY, on a descriptor that is none EBADF")
  func unknownRequest() throws {
    let null = try kernel.open("/dev/null")
    defer { try? kernel.close(null) }
    var destroy = iommufd_destroy(size: 8, id: 1)
    #expect(
      error { () throws(Errno) in
        _ = try kernel.control(null, request: IOMMUFD_DESTROY.rawValue, argument: &destroy)
      } == .enotty)
    #expect(
      error { () throws(Errno) in _ = try kernel.control(-1, request: 0x3b80, argument: &destroy) }
        == .ebadf)
  }

  @Test("poll tells what is ready now")
  func poll() throws {
    let fd = vsmmu_system_eventfd()
    #expect(fd >= 0)
    defer { try? kernel.close(fd) }
    #expect(try kernel.poll(fd) == 4)
    vsmmu_system_eventfd_signal(fd)
    #expect(try kernel.poll(fd) == 5)
    var count: UInt64 = 0
    #expect(try kernel.read(fd, into: &count, count: 8) == 8)
    #expect(count == 1)
    #expect(
      error { () throws(Errno) in _ = try kernel.read(fd, into: &count, count: 8) } == .eagain)
  }

  @Test("Memory of a file is mapped; a file without memory is ENODEV; nonsense is EINVAL")
  func map() throws {
    let zero = try kernel.open("/dev/zero")
    defer { try? kernel.close(zero) }
    let memory = try kernel.map(zero, offset: 0, length: 4096)
    memory.storeBytes(of: 0x55, as: UInt8.self)
    #expect(memory.load(as: UInt16.self) == 0x55)
    kernel.unmap(memory, length: 4096)
    let null = try kernel.open("/dev/null")
    defer { try? kernel.close(null) }
    #expect(
      error { () throws(Errno) in _ = try kernel.map(null, offset: 0, length: 4096) } == .enodev)
    #expect(
      error { () throws(Errno) in _ = try kernel.map(zero, offset: .max, length: 1) } == .einval)
    #expect(
      error { () throws(Errno) in _ = try kernel.map(zero, offset: 0, length: 0) } == .einval)
  }

  @Test("A negative count is EINVAL, never a trap")
  func negative() {
    var byte: UInt8 = 0
    #expect(
      error { () throws(Errno) in _ = try kernel.read(0, into: &byte, count: -1) } == .einval)
    #expect(
      error { () throws(Errno) in _ = try kernel.write(0, from: &byte, count: .min) } == .einval)
  }
}
