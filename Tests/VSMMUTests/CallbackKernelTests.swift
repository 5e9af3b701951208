// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUBase
import Testing
import VSMMUShared

@testable import VSMMU

/// What functions answer, and what they were told: where `opaque` points.
private struct Told {
  var answer: Int64 = 0
  var fd: Int32 = -1
  var count: UInt64 = 0
  var offset: UInt64 = 0
  var address: UnsafeMutableRawPointer?
}

private func told(_ opaque: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<Told> {
  opaque!.assumingMemoryBound(to: Told.self)
}

private func answer(
  _ opaque: UnsafeMutableRawPointer?, _ fd: Int32, _ count: UInt64 = 0
) -> Int64 {
  told(opaque).pointee.fd = fd
  told(opaque).pointee.count = count
  return told(opaque).pointee.answer
}

/// The caller's functions as a kernel: each call reaches the one of its name with its arguments,
/// and what no kernel answers is EIO. Tests/Conformance has those that the library makes by itself.
@Suite("A kernel of the caller's")
struct CallbackKernelTests {
  private func calls(_ notes: UnsafeMutablePointer<Told>) -> vsmmu_kernel {
    var calls = vsmmu_kernel()
    calls.size = UInt32(MemoryLayout<vsmmu_kernel>.size)
    calls.opaque = UnsafeMutableRawPointer(notes)
    calls.open = { opaque, _ in Int32(answer(opaque, -1)) }
    calls.close = { opaque, fd in Int32(answer(opaque, fd)) }
    calls.ioctl = { opaque, fd, _, _ in answer(opaque, fd) }
    calls.read = { opaque, fd, _, count in answer(opaque, fd, count) }
    calls.write = { opaque, fd, _, count in answer(opaque, fd, count) }
    calls.poll = { opaque, fd in Int32(answer(opaque, fd)) }
    calls.dup = { opaque, fd in Int32(answer(opaque, fd)) }
    calls.same = { opaque, fd, other in Int32(answer(opaque, fd, UInt64(other))) }
    calls.mmap = { opaque, fd, offset, length, address in
      told(opaque).pointee.offset = offset
      address?.pointee = told(opaque).pointee.address
      return Int32(answer(opaque, fd, length))
    }
    calls.munmap = { opaque, address, length in
      told(opaque).pointee.address = address
      return Int32(answer(opaque, -1, length))
    }
    return calls
  }

  private func error(_ body: () throws(Errno) -> Void) -> Errno? {
    do throws(Errno) { try body() } catch { return error }
    return nil
  }

  @Test("What the library does not ask for yet is passed on too")
  func rare() throws {
    var notes = Told(answer: 3)
    try withUnsafeMutablePointer(to: &notes) { notes in
      var calls = calls(notes)
      let kernel = try CallbackKernel.make(&calls)
      #expect(try kernel.write(7, from: "abc", count: 3) == 3)
      #expect(notes.pointee.fd == 7 && notes.pointee.count == 3)
      notes.pointee.answer = 5
      #expect(try kernel.poll(8) == 5 && notes.pointee.fd == 8)
      notes.pointee.answer = 1
      #expect(try kernel.same(5, 6) && notes.pointee.fd == 5 && notes.pointee.count == 6)
      notes.pointee.answer = 2
      #expect(error { () throws(Errno) in _ = try kernel.same(5, 6) } == .eio)
      notes.pointee.answer = 0
      #expect(try !kernel.same(5, 6))
      notes.pointee.address = UnsafeMutableRawPointer(bitPattern: 0x10000)
      #expect(try kernel.map(9, offset: 4096, length: 8192) == notes.pointee.address)
      #expect(notes.pointee.fd == 9 && notes.pointee.offset == 4096 && notes.pointee.count == 8192)
      kernel.unmap(UnsafeMutableRawPointer(bitPattern: 0x20000)!, length: 4096)
      #expect(notes.pointee.address == UnsafeMutableRawPointer(bitPattern: 0x20000))
      #expect(notes.pointee.count == 4096)
    }
  }

  @Test("An answer that no kernel gives is EIO, an address that is none ENOMEM")
  func nonsense() throws {
    var notes = Told()
    try withUnsafeMutablePointer(to: &notes) { notes in
      var calls = calls(notes)
      let kernel = try CallbackKernel.make(&calls)
      #expect(error { () throws(Errno) in _ = try kernel.map(9, offset: 0, length: 1) } == .enomem)
      #expect(error { () throws(Errno) in _ = try kernel.map(9, offset: 0, length: 0) } == .einval)
      for (answer, wanted) in [
        (-1, Errno.eperm), (-4095, Errno(code: 4095)), (-4096, .eio), (.min, .eio),
      ] as [(Int64, Errno)] {
        notes.pointee.answer = answer
        #expect(
          error { () throws(Errno) in try kernel.control(3, request: 1, argument: nil) } == wanted)
      }
      // More bytes than there were.
      notes.pointee.answer = 4
      #expect(error { () throws(Errno) in _ = try kernel.write(3, from: "abc", count: 3) } == .eio)
      var room: UInt32 = 0
      #expect(error { () throws(Errno) in _ = try kernel.read(3, into: &room, count: 3) } == .eio)
      #expect(try kernel.read(3, into: &room, count: 4) == 4)
    }
  }
}
