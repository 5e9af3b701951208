// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec

/// Where a device comes from.
public enum DeviceSource {
  /// A path that is opened here.
  case path(UnsafePointer<CChar>)
  /// An open VFIO character device of the caller's.
  case file(Int32)
  /// The same, bound to this iommufd as that id.
  case bound(Int32, id: UInt32)
}

/// Hot-plug and unplug.
extension HostSMMU {
  /// A device that is bound, before anything else knows of it. The file is ours: opened here, or a
  /// duplicate, so that the caller may close its own at any time.
  private struct Candidate {
    let fd: Int32
    let id: UInt32
    /// KVM was told of it before it was bound.
    let isLinked: Bool
  }

  /// Puts a device behind the vSMMU. `accept` is told what its host SMMU is and refuses what the
  /// guest's ID registers cannot be. On an error nothing has changed.
  public func attachDevice(
    _ stream: StreamID, _ source: DeviceSource,
    accept: (HostDevice) throws(HostError) -> Void
  ) throws(HostError) {
    guard index(of: stream) == nil else {
      throw HostError(.eexist, "a device has this StreamID already")
    }
    retryKept()
    do throws(Errno) { try requireRoomToKeep() } catch {
      throw HostError(error, "the host kernel keeps objects that it would not destroy")
    }
    let candidate = try bind(source)
    do throws(HostError) {
      // Before any STE may name the VMID.
      try link?.pin()
      try admit(stream, candidate, accept)
    } catch {
      abandon(candidate.fd)
      unpinIfUnused()
      throw error
    }
  }

  private func bind(_ source: DeviceSource) throws(HostError) -> Candidate {
    let fd = try file(of: source)
    do throws(HostError) {
      if case .bound(_, let id) = source { return Candidate(fd: fd, id: id, isLinked: false) }
      try link?.add(fd)
      return Candidate(fd: fd, id: try bind(fd), isLinked: link?.tellsKVM ?? false)
    } catch {
      abandon(fd)
      throw error
    }
  }

  private func file(of source: DeviceSource) throws(HostError) -> Int32 {
    switch source {
    case .path(let path):
      do throws(Errno) { return try iommufd.kernel.open(path) } catch {
        throw HostError(error, trying: "open the VFIO character device")
      }
    case .file(let open), .bound(let open, _):
      do throws(Errno) { return try iommufd.kernel.duplicate(open) } catch {
        throw HostError(error, trying: "duplicate the VFIO character device's descriptor")
      }
    }
  }

  private func abandon(_ fd: Int32) {
    link?.remove(fd)
    try? iommufd.kernel.close(fd)
  }

  private func bind(_ fd: Int32) throws(HostError) -> UInt32 {
    do throws(Errno) { return try iommufd.bind(fd) } catch {
      throw HostError(error, trying: "bind the device to the iommufd (VFIO_DEVICE_BIND_IOMMUFD)")
    }
  }

  private func admit(
    _ stream: StreamID, _ candidate: Candidate,
    _ accept: (HostDevice) throws(HostError) -> Void
  ) throws(HostError) {
    let information: IOMMUFD.HardwareInformation
    do throws(Errno) { information = try iommufd.hardwareInformation(candidate.id) } catch {
      throw HostError(
        error, trying: "tell of the device's SMMU (IOMMU_GET_HW_INFO); is it of another iommufd?")
    }
    guard information.isSMMUv3 else {
      throw HostError(.einval, "the device is behind an IOMMU that is no Arm SMMUv3")
    }
    let isFirst = objects == nil
    if isFirst {
      objects = try makeObjects(for: candidate.id)
      // Of the physical SMMU, which the first device decides.
      let stallModel = UInt64(information.registers.idr.0)[
        IDR0.stallModel.high, IDR0.stallModel.low]
      repeatsInvalidations =
        information.registers.flags & IOMMUFD_ARM_SMMUV3_REPEAT_TLBI_CFGI != 0
      hostStalls = stallModel == 0
    }
    do throws(HostError) {
      let vdevice = try makeVDevice(stream, candidate.id)
      do throws(HostError) {
        // Last but for the attachment: the ID registers change with it.
        isCandidateLinked = candidate.isLinked
        defer { isCandidateLinked = true }
        try accept(
          HostDevice(
            information.registers, capabilities: information.capabilities,
            maxPASIDBits: Int(information.pasidBits)))
        try insert(
          AssignedDevice(
            stream: stream, fd: candidate.fd, id: candidate.id, vdevice: vdevice,
            isLinked: candidate.isLinked))
      } catch {
        give(back: vdevice, "vDEVICE of a refused device")
        throw error
      }
    } catch {
      if isFirst { destroyObjects() }
      throw error
    }
    if isFirst { eventQueueChanged() }
  }

  private func makeVDevice(_ stream: StreamID, _ device: UInt32) throws(HostError) -> UInt32 {
    do throws(Errno) {
      return try iommufd.allocateVDevice(objects?.viommu ?? 0, device, stream: stream)
    } catch {
      if error == .einval {
        throw HostError(
          error, "the device is behind another physical SMMU than this vSMMU's first device")
      }
      throw HostError(error, trying: "make a vDEVICE for the StreamID")
    }
  }

  private func insert(_ device: AssignedDevice) throws(HostError) {
    let place = place(of: device.stream)
    devices.insert(device, at: place)
    let wanted = smmu.assignment(of: device.stream)
    do throws(Errno) { try attach(place, wanted) } catch {
      devices.remove(at: place)
      throw HostError(error, trying: "attach the device (VFIO_DEVICE_ATTACH_IOMMUFD_PT)")
    }
  }

  /// Takes a device away. With the last one, what they shared goes too.
  public func detachDevice(_ stream: StreamID) throws(HostError) {
    let index = try require(stream)
    do throws(Errno) { try disconnect(devices[index]) } catch {
      throw HostError(error, trying: "detach the device (VFIO_DEVICE_DETACH_IOMMUFD_PT)")
    }
    // What it has faulted with is its own, not its successor's.
    takeAllEvents()
    release(devices.remove(at: index))
    batch.forget(stream)
    guard devices.isEmpty else { return }
    destroyObjects()
    unpinIfUnused()
  }

  /// Once no stage 2 is left that may name the VMID.
  func unpinIfUnused() {
    if pinsOnDemand && objects == nil && devices.isEmpty && kept.isEmpty { link?.unpin() }
  }

  /// The guest has given the device another StreamID. The kernel learns a vSID when a vDEVICE is
  /// made and when a device is attached, so it leaves the guest's stream for the time between.
  public func renumberDevice(_ stream: StreamID, to other: StreamID) throws(HostError) {
    let index = try require(stream)
    if stream == other { return }
    guard self.index(of: other) == nil else {
      throw HostError(.eexist, "a device has this StreamID already")
    }
    do throws(Errno) {
      try attach(index, .abort)
      takeAllEvents()
      // To attach it again makes the SMMU forget its contexts.
      batch.forget(stream)
      try iommufd.destroy(devices[index].vdevice)
      devices[index].vdevice = 0
      devices[index].vdevice = try iommufd.allocateVDevice(
        objects?.viommu ?? 0, devices[index].id, stream: other)
    } catch {
      restore(index)
      throw HostError(error, trying: "make a vDEVICE for the new StreamID")
    }
    var device = devices.remove(at: index)
    device.stream = other
    // Attached to the abort HWPT it has no vSID; bypass and translation give it the new one.
    device.current = nil
    let place = place(of: other)
    devices.insert(device, at: place)
    follow(place)
  }

  /// Back to the old StreamID after a failure.
  private func restore(_ index: Int) {
    devices[index].current = nil
    follow(index)
  }

  /// Function-level reset. The kernel parks the device meanwhile and attaches what it had.
  public func resetDevice(_ stream: StreamID) throws(HostError) {
    let index = try require(stream)
    do throws(Errno) { try iommufd.reset(devices[index].fd) } catch {
      throw HostError(error, trying: "reset the device (VFIO_DEVICE_RESET)")
    }
    follow(index)
  }

  public func deviceFile(_ stream: StreamID) throws(HostError) -> Int32 {
    devices[try require(stream)].fd
  }

  public var deviceCount: Int { devices.count }

  private func require(_ stream: StreamID) throws(HostError) -> Int {
    guard let index = index(of: stream) else {
      throw HostError(.enoent, "no assigned device has this StreamID")
    }
    return index
  }
}
