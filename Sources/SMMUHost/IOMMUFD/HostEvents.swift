// SPDX-License-Identifier: MIT
import CKernel
import SMMUModel
import SMMUSpec

/// The kernel's queue of events for one vSMMU, as deep as the guest's own, and the file by which
/// others learn of them: an epoll instance, which stays the same while queues come and go.
struct HostEvents {
  private(set) var epoll: Int32 = -1
  private var queue: UInt32 = 0
  private var fd: Int32 = -1
  private var log2Depth = 0
  /// The number that the next record should have.
  private var sequence: UInt32 = 0

  /// The kernel has a queue for it.
  var isOn: Bool { fd >= 0 }

  /// The kernel takes no more.
  private static var most: Int { 19 }
  private static var bufferBytes: Int { 4096 }

  init() {}

  mutating func open() throws(Errno) -> Int32 {
    guard epoll < 0 else { return epoll }
    let opened = vsmmu_system_epoll()
    guard opened >= 0 else { throw Errno(code: -opened) }
    let failure = fd >= 0 ? vsmmu_system_epoll_watch(opened, fd) : 0
    guard failure >= 0 else {
      _ = vsmmu_system_close(opened)
      throw Errno(code: -failure)
    }
    epoll = opened
    return epoll
  }

  mutating func close(_ iommufd: IOMMUFD) {
    disable(iommufd)
    if epoll >= 0 { _ = vsmmu_system_close(epoll) }
    epoll = -1
  }

  /// Makes the queue what the guest's is.
  mutating func follow(
    _ iommufd: IOMMUFD, _ viommu: UInt32, isOn: Bool, log2Depth: Int
  ) throws(Errno) {
    let depth = min(log2Depth, Self.most)
    if isOn && fd >= 0 && depth == self.log2Depth { return }
    disable(iommufd)
    guard isOn else { return }
    destroy(iommufd)
    let made = try iommufd.allocateEventQueue(viommu, depth: 1 << UInt32(depth))
    (queue, fd, self.log2Depth) = (made.id, made.fd, depth)
    sequence = 0
    guard epoll >= 0 else { return }
    let failure = vsmmu_system_epoll_watch(epoll, fd)
    guard failure < 0 else { return }
    disable(iommufd)
    throw Errno(code: -failure)
  }

  mutating func disable(_ iommufd: IOMMUFD) {
    guard fd >= 0 else { return }
    if epoll >= 0 { vsmmu_system_epoll_forget(epoll, fd) }
    // The open file holds the object.
    try? iommufd.kernel.close(fd)
    fd = -1
    destroy(iommufd)
  }

  /// One that the kernel keeps is tried again: a vIOMMU has no second one.
  private mutating func destroy(_ iommufd: IOMMUFD) {
    guard queue != 0 else { return }
    do throws(Errno) {
      try iommufd.destroy(queue)
      queue = 0
    } catch {
      if error == .enoent { queue = 0 }
    }
  }

  /// Reads what is there, once around the queue at most; `each` gets the records, the result is how
  /// many were lost. A failure after something was read is met again by the next call.
  mutating func take(
    _ iommufd: IOMMUFD, _ each: (EventRecord) -> Void
  ) throws(Errno) -> UInt64 {
    guard fd >= 0 else { return 0 }
    var lost: UInt64 = 0
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: Self.bufferBytes, alignment: 8)
    defer { buffer.deallocate() }
    var left = (1 << log2Depth) * 40
    var isFirst = true
    while left > 0 {
      let count: Int
      do throws(Errno) {
        count = try iommufd.kernel.read(fd, into: buffer, count: Self.bufferBytes)
      } catch {
        guard isFirst else { break }
        throw error
      }
      guard count > 0 else { break }
      isFirst = false
      left -= count
      lost &+= parse(UnsafeRawBufferPointer(start: buffer, count: count), each)
    }
    return lost
  }

  private mutating func parse(
    _ bytes: UnsafeRawBufferPointer, _ each: (EventRecord) -> Void
  ) -> UInt64 {
    var lost: UInt64 = 0
    var place = 0
    while place + 8 <= bytes.count {
      let flags = bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)
      let number = bytes.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self)
      place += 8
      // Numbers have 31 bits; a gap is what was lost, and so is what a LOST header stands for.
      lost &+= UInt64((number &- sequence) & 0x7fff_ffff)
      sequence = (number &+ 1) & 0x7fff_ffff
      if flags & IOMMUFD_VEVENTQ_LOST_EVENTS != 0 {
        lost &+= 1
        continue
      }
      guard place + 32 <= bytes.count else { break }
      var record = EventRecord()
      for word in 0..<4 {
        record.words[word] = UInt64(
          littleEndian: bytes.loadUnaligned(fromByteOffset: place + 8 * word, as: UInt64.self))
      }
      place += 32
      each(record)
    }
    return lost
  }
}
