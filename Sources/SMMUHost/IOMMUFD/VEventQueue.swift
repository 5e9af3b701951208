// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec

/// The kernel's queue of events for one vSMMU, as deep as the guest's own, and the file by which
/// others learn of them: an epoll instance, which stays the same while queues come and go.
struct VEventQueue {
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
  private static var headerBytes: Int { 8 }
  private static var eventBytes: Int { 40 }
  private static var bufferBytes: Int { 4096 }
  /// What a read returns.
  private let buffer: UnsafeMutableRawPointer

  /// `epoll`: the file of an earlier queue; -1 = none yet.
  init(epoll: Int32) {
    self.epoll = epoll
    buffer = .allocate(byteCount: Self.bufferBytes, alignment: 8)
  }
  func deallocate() { buffer.deallocate() }

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

  /// Makes the queue what the guest's is.
  mutating func follow(
    _ iommufd: IOMMUFD, viommu: UInt32, isOn: Bool, log2Depth: Int
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
    if epoll >= 0 { vsmmu_system_epoll_remove(epoll, fd) }
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

  /// With the vIOMMU goes what the kernel kept of it: nil if there is nothing.
  mutating func surrender() -> UInt32? {
    defer { queue = 0 }
    return queue == 0 ? nil : queue
  }

  /// Reads up to `most` events, in order, with what was lost between them; returns how many. A
  /// failure after something was read is met again by the next call.
  mutating func take(
    _ iommufd: IOMMUFD, most: Int, _ each: (VEvent) -> Void
  ) throws(Errno) -> Int {
    guard fd >= 0 else { return 0 }
    var taken = 0
    var left = most
    while left > 0 {
      // The header that tells of a loss has room behind the last event.
      let room = min(Self.bufferBytes, left * Self.eventBytes + Self.headerBytes)
      let count: Int
      do throws(Errno) {
        count = try iommufd.kernel.read(fd, into: buffer, count: room)
      } catch {
        guard left < most else { throw error }
        break
      }
      guard count > 0 else { break }
      let found = parse(UnsafeRawBufferPointer(start: buffer, count: count), each)
      taken += found
      left -= max(1, found)
    }
    return taken
  }

  /// Once around the queue.
  mutating func takeAll(
    _ iommufd: IOMMUFD, _ each: (VEvent) -> Void
  ) throws(Errno) -> Int {
    try take(iommufd, most: 1 << log2Depth, each)
  }

  /// Numbers have 31 bits; a gap is what was lost, and so is what a LOST header stands for.
  private mutating func parse(
    _ bytes: UnsafeRawBufferPointer, _ each: (VEvent) -> Void
  ) -> Int {
    var events = 0
    var place = 0
    while place + Self.headerBytes <= bytes.count {
      let flags = bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)
      let number = bytes.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self)
      let isLoss = flags & IOMMUFD_VEVENTQ_LOST_EVENTS != 0
      guard isLoss || place + Self.eventBytes <= bytes.count else { break }
      let lost = UInt64((number &- sequence) & 0x7fff_ffff) + (isLoss ? 1 : 0)
      sequence = (number &+ 1) & 0x7fff_ffff
      if lost > 0 { each(.lost(lost)) }
      place += Self.headerBytes
      if isLoss { continue }
      each(.record(Self.record(bytes, place)))
      events += 1
      place += Self.eventBytes - Self.headerBytes
    }
    return events
  }

  private static func record(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> EventRecord {
    var record = EventRecord()
    for word in 0..<4 {
      record.words[word] = UInt64(
        littleEndian: bytes.loadUnaligned(fromByteOffset: place + 8 * word, as: UInt64.self))
    }
    return record
  }
}

/// What comes out of the kernel's queue.
enum VEvent {
  case record(EventRecord)
  /// So many events are missing here.
  case lost(UInt64)
}
