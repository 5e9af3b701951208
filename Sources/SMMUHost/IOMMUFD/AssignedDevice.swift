// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// A device of the host's that the guest has behind this vSMMU.
struct AssignedDevice {
  var stream: StreamID
  /// The open VFIO character device; ours.
  let fd: Int32
  /// Its id in the iommufd.
  let id: UInt32
  var vdevice: UInt32
  /// It was bound for the VM that the vSMMU is linked with.
  let isLinked: Bool
  /// What it is attached to now; nil: not to what the guest asks for, because the kernel failed.
  var current: AssignedStream?
  /// The nested HWPT of its own, 0 = one of the shared.
  var nested: UInt32 = 0
}

/// Attaching what a stream needs.
extension HostSMMU {
  public func index(of stream: StreamID) -> Int? {
    let place = place(of: stream)
    return place < devices.count && devices[place].stream == stream ? place : nil
  }

  /// Where the devices from this StreamID on begin.
  func place(of stream: StreamID) -> Int {
    var low = 0
    var high = devices.count
    while low < high {
      let middle = (low + high) / 2
      if devices[middle].stream < stream { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Makes a device's attachment what the guest asks for now; nothing is done if it is already. On
  /// a failure the device aborts, or has what it had if not even that can be done.
  @discardableResult
  func follow(_ index: Int) -> Bool {
    follow(index, smmu.assignment(of: devices[index].stream))
  }

  /// The same for who has looked: an STE is fetched once, as another vCPU may be changing it.
  func follow(_ index: Int, _ wanted: AssignedStream) -> Bool {
    guard wanted != devices[index].current else { return true }
    do throws(Errno) {
      try attach(index, wanted)
      return true
    } catch {
      fail(error, "attach what a stream's STE asks for", stream: devices[index].stream)
    }
    devices[index].current = nil
    do throws(Errno) { try attach(index, .abort) } catch {
      fail(error, "attach the abort HWPT in its place", stream: devices[index].stream)
    }
    // It is not what was asked for, so that the next look tries again.
    devices[index].current = nil
    return false
  }

  func attach(_ index: Int, _ wanted: AssignedStream) throws(Errno) {
    guard let objects else { throw .enodev }
    retryKept()
    // A renumbering that failed may have taken it.
    if devices[index].vdevice == 0 {
      devices[index].vdevice = try iommufd.allocateVDevice(
        objects.viommu, devices[index].id, stream: devices[index].stream)
    }
    var nested: UInt32 = 0
    let target: UInt32
    switch wanted {
    case .abort: target = objects.abort
    case .bypass: target = objects.bypass
    case .stage1(let word0, let word1):
      try requireRoomToKeep()
      // The guest was told that nothing stalls.
      let stall = hostStalls ? StreamTableEntry.s1stalld.mask : 0
      nested = try iommufd.allocateNested(devices[index].id, objects.viommu, word0, word1 | stall)
      counters.nestedHWPTs &+= 1
      target = nested
    }
    do throws(Errno) { try iommufd.attach(devices[index].fd, to: target) } catch {
      if nested != 0 { give(back: nested, "nested HWPT") }
      throw error
    }
    counters.attachments &+= 1
    if devices[index].nested != 0 { give(back: devices[index].nested, "nested HWPT") }
    devices[index].nested = nested
    devices[index].current = wanted
    if nested != 0 { mayHoldTranslations = true }
  }

  /// No DMA of a device passes any more; throws if the kernel leaves no way to that.
  func disconnect(_ device: AssignedDevice) throws(Errno) {
    do throws(Errno) { try iommufd.detach(device.fd) } catch {
      // Once more: else the objects that it is attached to could not go.
      try iommufd.detach(device.fd)
    }
  }

  /// Gives back what a device has that is disconnected.
  func release(_ device: AssignedDevice) {
    if device.nested != 0 { give(back: device.nested, "nested HWPT") }
    if device.vdevice != 0 { give(back: device.vdevice, "vDEVICE") }
    link?.remove(device.fd)
    try? iommufd.kernel.close(device.fd)
  }
}
