// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec

/// The half of a guest's direct command queues that lives in the kernel.
struct DirectPart {
  /// The caller wants the guest to have them.
  var isAsked = false
  /// The guest may have seen whether it has them.
  var isFrozen = false
  var verdict = DirectVerdict.noDevice
  var shape = DirectShape()
  /// What the guest sees. It stays without a device, once the guest may have seen it.
  var frame: DirectFrame?
  /// Where the kernel has the page; what is mapped of it.
  var window = iommufd_viommu_tegra241_cmdqv()
  var page: UnsafeMutableRawPointer?
  var events = DirectEvents()
  /// The kernel's objects of the queues, from 0 upwards.
  var queues: [UInt32] = []
}

extension Nesting {
  private static var bytesOfPage: UInt64 { DirectFrameMap.pageSize }

  /// What the guest is told.
  public var directVerdict: DirectVerdict { direct.isAsked ? direct.verdict : .notAsked }

  /// Before the vIOMMU is made, whose type it decides.
  func judgeDirect(_ device: AssignedDevice) throws(Refusal) {
    let verdict = try verdict(of: device)
    guard direct.frame == nil || verdict == .offered else {
      var sentence = Sentence("the guest has seen direct command queues, but ")
      sentence.append(verdict.sentence)
      throw Refusal(.eopnotsupp, sentence)
    }
    direct.verdict = verdict
  }

  private func verdict(of device: AssignedDevice) throws(Refusal) -> DirectVerdict {
    guard direct.isAsked else { return .notAsked }
    if direct.isFrozen && direct.frame == nil { return .late }
    if streams.emulatedCount != 0 { return .software }
    let found: iommufd_hw_info_tegra241_cmdqv?
    do throws(Errno) { found = try iommufd.directInformation(device.id) } catch {
      throw Refusal(error, trying: "tell of the SMMU's CMDQ-V (IOMMU_GET_HW_INFO)")
    }
    guard let found else { return .hardware }
    let shape = DirectShape(
      version: Int(found.version), queueBits: Int(found.log2vcmdqs),
      streamBits: min(Int(found.log2vsids), DirectFrameMap.mostStreamBits))
    guard shape.version == 1, shape.queueBits <= DirectFrameMap.mostQueueBits,
      direct.frame == nil || shape == direct.shape
    else { return .version }
    if device.facts.information.flags & IOMMUFD_ARM_SMMUV3_REPEAT_TLBI_CFGI != 0 {
      return .erratum
    }
    direct.shape = shape
    return .offered
  }

  func makeVIOMMU(for device: UInt32, on parent: UInt32) throws(Errno) -> UInt32 {
    if direct.verdict == .offered {
      do throws(Errno) {
        let made = try iommufd.allocateDirectVIOMMU(device, parent: parent)
        direct.window = made.page
        return made.id
      } catch {
        guard error == .enospc, direct.frame == nil else { throw error }
        direct.verdict = .interfaces
      }
    }
    return try iommufd.allocateVIOMMU(device, parent: parent)
  }

  /// Maps the page, and makes the guest's frame or goes on with it.
  func openDirect() throws(Refusal) {
    guard direct.verdict == .offered, let objects else { return }
    guard direct.window.out_vintf_mmap_length == Self.bytesOfPage else {
      throw Refusal(.eio, "the kernel's page of direct command queues has not 64 KiB")
    }
    do throws(Errno) {
      direct.page = try iommufd.kernel.map(
        iommufd.fd, offset: direct.window.out_vintf_mmap_offset, length: Int(Self.bytesOfPage))
    } catch {
      throw Refusal(error, trying: "map the page of direct command queues (mmap of the iommufd)")
    }
    do throws(Errno) {
      try direct.events.open(iommufd, viommu: objects.viommu, epoll: events.epoll)
    } catch {
      throw Refusal(error, trying: "allocate a queue for errors of direct command queues")
    }
    // A guest's writes fill it without allocating.
    direct.queues.reserveCapacity(1 << direct.shape.queueBits)
    if let frame = direct.frame { return frame.resume() }
    direct.frame = DirectFrame(direct.shape, self)
  }

  /// Before the vIOMMU goes.
  func closeDirect() {
    direct.frame?.withdraw()
    let queue = direct.events.close(iommufd)
    if queue != 0 { give(back: queue, "queue for errors of direct command queues") }
    if let page = direct.page { iommufd.kernel.unmap(page, length: Int(Self.bytesOfPage)) }
    direct.page = nil
    guard !direct.isFrozen else { return }
    direct.frame = nil
    direct.verdict = .noDevice
  }

  /// Why a vDEVICE was refused, where that is because of CMDQ-V.
  func directRefusal(_ errno: Errno, of stream: StreamID) -> Refusal? {
    guard direct.page != nil else { return nil }
    if errno == .einval && stream >> UInt32(DirectFrameMap.streamIDBits) != 0 {
      return Refusal(errno, "the host's direct command queues know StreamIDs of 20 bits")
    }
    guard errno == .enospc else { return nil }
    return Refusal(errno, "the host's direct command queues know no further StreamID")
  }

  /// Errors of the queues, which the guest reads of its page: only the interrupt is missing.
  func takeDirectErrors() {
    do throws(Errno) {
      guard try direct.events.take(iommufd) else { return }
    } catch {
      return fail(error, trying: "read errors of direct command queues")
    }
    if direct.frame?.interrupts == true { listener.directQueueFailed() }
  }
}

extension Nesting: DirectHardware {
  var directPage: UnsafeMutableRawPointer? { direct.page }

  func makeDirectQueue(_ index: Int, at address: UInt64, length: UInt64) -> Bool {
    retryKept()
    do throws(Errno) {
      try requireRoomToKeep()
      direct.queues.append(
        try iommufd.allocateDirectQueue(
          objects?.viommu ?? 0, index: index, at: address, length: length))
      return true
    } catch {
      fail(error, trying: "have the host's SMMU drive a command queue of the guest's")
      return false
    }
  }

  func giveBackDirectQueue(_ index: Int) {
    if let queue = direct.queues.popLast() { give(back: queue, "direct command queue") }
  }
}

/// What a VMM forwards of the guest's accesses, and maps.
extension Nesting {
  /// A page of the host's SMMU that the guest may have, for as long as a device is attached.
  public var directPageForGuest: UnsafeMutableRawPointer? { direct.page }

  /// The guest has the frame.
  public var hasDirectQueues: Bool { direct.frame != nil }

  /// How many the hardware drives now.
  public var directQueueCount: Int { direct.frame?.hardwareCount ?? 0 }

  public func readDirect(at offset: UInt64, width: Int) -> UInt64 {
    direct.frame?.read(at: offset, width: width) ?? 0
  }

  public func writeDirect(_ value: UInt64, at offset: UInt64, width: Int) {
    direct.frame?.write(value, at: offset, width: width)
  }
}
