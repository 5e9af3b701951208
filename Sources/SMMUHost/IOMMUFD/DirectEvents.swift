// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// The kernel's queue of errors of a guest's direct command queues.
struct DirectEvents {
  private var queue: UInt32 = 0
  private var fd: Int32 = -1
  private var epoll: Int32 = -1
  /// What it names is looked up in the queues: the newest record says all.
  private static var depth: UInt32 { 16 }

  mutating func open(_ iommufd: IOMMUFD, viommu: UInt32, epoll: Int32) throws(Errno) {
    let made = try iommufd.allocateEventQueue(
      viommu, depth: Self.depth, type: IOMMUFD_VEVENTQ_TYPE_TEGRA241_CMDQV)
    (queue, fd) = (made.id, made.fd)
    try watch(by: epoll)
  }

  /// Has the file by which others learn of events tell of these too.
  mutating func watch(by epoll: Int32) throws(Errno) {
    guard fd >= 0, epoll >= 0, self.epoll < 0 else { return }
    let failure = vsmmu_system_epoll_watch(epoll, fd)
    guard failure >= 0 else { throw Errno(code: -failure) }
    self.epoll = epoll
  }

  /// Returns the object, which the caller gives back; 0 = none.
  mutating func close(_ iommufd: IOMMUFD) -> UInt32 {
    guard fd >= 0 else { return 0 }
    if epoll >= 0 { vsmmu_system_epoll_remove(epoll, fd) }
    try? iommufd.kernel.close(fd)
    let object = queue
    self = DirectEvents()
    return object
  }

  /// Empties the queue; whether an error, or the loss of one, was in it.
  func take(_ iommufd: IOMMUFD) throws(Errno) -> Bool {
    guard fd >= 0 else { return false }
    var found = false
    // Once around the queue.
    for _ in 0..<Self.depth {
      var record: (UInt32, UInt32, UInt64, UInt64) = (0, 0, 0, 0)
      let size = MemoryLayout.size(ofValue: record)
      var failure: Errno?
      let count = withUnsafeMutableBytes(of: &record) { bytes in
        do throws(Errno) {
          return try iommufd.kernel.read(fd, into: bytes.baseAddress!, count: size)
        } catch {
          failure = error
          return 0
        }
      }
      if let failure { throw failure }
      guard count >= 8 else { return found }
      if record.0 & IOMMUFD_VEVENTQ_LOST_EVENTS != 0 || record.2 | record.3 != 0 { found = true }
    }
    return found
  }
}
