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
  /// A device that is bound to this iommufd as that id, with its file or without; the caller
  /// attaches it, if there is a `DeviceOwner`.
  case bound(Int32?, id: UInt32)
}

/// The first half of a device's coming, which leaves it absent. Then the ID registers are decided,
/// and it is committed or released.
extension Nesting {
  /// Opens a device and learns what its host tells of it, which is more with a stage 2 that it is
  /// behind: what all devices share is made with the first one. On an error nothing has changed.
  func prepare(_ stream: StreamID?, _ source: DeviceSource) throws(Refusal) -> AssignedDevice {
    retryKept()
    do throws(Errno) { try requireRoomToKeep() } catch {
      throw Refusal(error, "the host kernel keeps objects that it would not destroy")
    }
    var device = try bind(stream, source)
    do throws(Refusal) {
      if objects == nil { try meetHost(through: device) }
      if let stream { device.vdevice = try makeVDevice(device, stream) }
      return device
    } catch {
      release(device)
      throw error
    }
  }

  /// The file is ours: opened here, or a duplicate, so that the caller may close its own at any
  /// time.
  private func bind(
    _ stream: StreamID?, _ source: DeviceSource
  ) throws(Refusal) -> AssignedDevice {
    let fd = try file(of: source)
    var isTold = false
    do throws(Refusal) {
      var isBound = false
      let id: UInt32
      if case .bound(_, let known) = source {
        guard streams.index(ofID: known) == nil else {
          throw Refusal(.eexist, "a device has this devid already")
        }
        id = known
        isBound = true
      } else {
        try link?.add(fd)
        isTold = link?.tellsKVM ?? false
        id = try bind(fd)
      }
      // Before any STE may name the VMID.
      try link?.pin()
      return AssignedDevice(
        stream: stream, fd: fd, id: id, isOwners: isBound && owner != nil, isLinked: isTold,
        facts: try facts(of: id))
    } catch {
      abandon(fd, isTold: isTold)
      throw error
    }
  }

  private func file(of source: DeviceSource) throws(Refusal) -> Int32 {
    switch source {
    case .path(let path):
      do throws(Errno) { return try iommufd.kernel.open(path) } catch {
        throw Refusal(error, trying: "open the VFIO character device")
      }
    case .bound(nil, _): return -1
    case .file(let open), .bound(let open?, _):
      do throws(Errno) { return try iommufd.kernel.duplicate(open) } catch {
        throw Refusal(error, trying: "duplicate the VFIO character device's descriptor")
      }
    }
  }

  private func bind(_ fd: Int32) throws(Refusal) -> UInt32 {
    do throws(Errno) { return try iommufd.bind(fd) } catch {
      throw Refusal(error, trying: "bind the device to the iommufd (VFIO_DEVICE_BIND_IOMMUFD)")
    }
  }

  private func facts(of id: UInt32) throws(Refusal) -> DeviceFacts {
    let found: IOMMUFD.HardwareInformation
    do throws(Errno) { found = try iommufd.hardwareInformation(id) } catch {
      throw Refusal(
        error, trying: "tell of the device's SMMU (IOMMU_GET_HW_INFO); is it of another iommufd?")
    }
    guard found.isSMMUv3 else {
      throw Refusal(.einval, "the device is behind an IOMMU that is no Arm SMMUv3")
    }
    return DeviceFacts(
      found.registers, capabilities: found.capabilities, maxPASIDBits: Int(found.pasidBits))
  }

  /// Makes what all devices share, behind the physical SMMU of this one.
  private func meetHost(through device: AssignedDevice) throws(Refusal) {
    try judgeDirect(device)
    do throws(Refusal) { objects = try makeObjects(for: device.id) } catch {
      closeDirect()
      throw error
    }
    try openDirect()
    let flags = device.facts.information.flags
    repeatsInvalidations = flags & IOMMUFD_ARM_SMMUV3_REPEAT_TLBI_CFGI != 0
    hostStalls = device.facts.value(.idr0, IDR0.stallModel) == 0
    try forgetTranslations()
  }

  /// The VMID of a lent parent, or of KVM, outlives this vIOMMU. The TLB may have translations
  /// under it from before the last device went; TLBIs of the guest since then went to nobody.
  private func forgetTranslations() throws(Refusal) {
    guard let objects, domain.lentParent != nil || link?.canPin == true else { return }
    batch.append(.tlbiNSNHAll)
    defer { batch.clear() }
    let (commands, count) = batch.bytes()
    do throws(Errno) {
      for _ in 0..<(repeatsInvalidations ? 2 : 1) {
        try iommufd.invalidate(objects.viommu, commands: commands, count: count)
      }
    } catch {
      throw Refusal(error, trying: "empty the TLB of the vSMMU's VMID (IOMMU_HWPT_INVALIDATE)")
    }
  }

  private func makeVDevice(
    _ device: AssignedDevice, _ stream: StreamID
  ) throws(Refusal) -> UInt32 {
    do throws(Errno) {
      return try iommufd.allocateVDevice(
        for: device.id, of: objects?.viommu ?? 0, stream: stream)
    } catch {
      if let refusal = directRefusal(error, of: stream) { throw refusal }
      if error == .einval { throw Self.otherSMMU }
      throw Refusal(error, trying: "make a vDEVICE for the StreamID")
    }
  }

  static var otherSMMU: Refusal {
    Refusal(.einval, "the device is behind another physical SMMU than this vSMMU's first device")
  }

  /// Gives back what a device has that is disconnected, or was never attached; with the last one,
  /// what they shared.
  func release(_ device: AssignedDevice) {
    if let hwpt = device.state.hwpt { give(back: hwpt, "nested HWPT") }
    if device.vdevice != 0 { give(back: device.vdevice, "vDEVICE") }
    abandon(device.fd, isTold: device.isLinked)
  }

  /// `isTold`: KVM was told of it here.
  private func abandon(_ fd: Int32, isTold: Bool) {
    if fd >= 0 {
      if isTold { link?.remove(fd) }
      try? iommufd.kernel.close(fd)
    }
    guard devices.isEmpty else { return }
    destroyObjects()
    unpinIfUnused()
  }
}
