// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// Hot-plug and unplug.
extension Nesting {
  /// Attaches a prepared device to what its stream needs now. On an error it is still prepared.
  func commit(_ device: AssignedDevice) throws(Refusal) {
    let isFirst = devices.isEmpty
    let index = streams.insert(device)
    do throws(Errno) { try attach(index, smmu.assignment(of: device.stream)) } catch {
      devices.remove(at: index)
      throw Refusal(error, trying: "attach the device (VFIO_DEVICE_ATTACH_IOMMUFD_PT)")
    }
    if isFirst { eventQueueChanged() }
  }

  /// Takes a device away. With the last one, what they shared goes too.
  func detachDevice(_ stream: StreamID) throws(Refusal) {
    let index = try streams.require(stream)
    do throws(Errno) { try disconnect(devices[index]) } catch {
      throw Refusal(error, trying: "detach the device (VFIO_DEVICE_DETACH_IOMMUFD_PT)")
    }
    // What it has faulted with is its own, not its successor's.
    takeAllEvents()
    batch.discardCommands(of: stream)
    removeBARs(of: devices[index])
    release(devices.remove(at: index))
  }

  /// Once no stage 2 is left that may name the VMID.
  func unpinIfUnused() {
    if pinsOnDemand && objects == nil && devices.isEmpty && kept.isEmpty { link?.unpin() }
  }

  /// The guest has given the device another StreamID, which no other device has. The kernel learns
  /// a vSID when a vDEVICE is made and when a device is attached, so it leaves the guest's stream
  /// for the time between.
  func renumberDevice(_ stream: StreamID, to other: StreamID) throws(Refusal) {
    let index = try streams.require(stream)
    do throws(Errno) {
      try attach(index, .abort)
      takeAllEvents()
      // To attach it again makes the SMMU forget its contexts.
      batch.discardCommands(of: stream)
      try iommufd.destroy(devices[index].vdevice)
      devices[index].vdevice = 0
      devices[index].vdevice = try iommufd.allocateVDevice(
        for: devices[index].id, of: objects?.viommu ?? 0, stream: other)
    } catch {
      change(index, to: smmu.assignment(of: stream), failing: .closes)
      throw Refusal(error, trying: "make a vDEVICE for the new StreamID")
    }
    var device = devices.remove(at: index)
    device.stream = other
    // Attached to the abort HWPT it has no vSID; bypass and translation give it the new one.
    change(streams.insert(device), to: smmu.assignment(of: other), failing: .closes)
  }

  /// Function-level reset. The kernel parks the device meanwhile and attaches what it had, but the
  /// device's BARs it has revoked.
  func resetDevice(_ stream: StreamID) throws(Refusal) {
    let index = try streams.require(stream)
    defer { renewBARs(of: devices[index]) }
    do throws(Errno) { try iommufd.reset(devices[index].fd) } catch {
      throw Refusal(error, trying: "reset the device (VFIO_DEVICE_RESET)")
    }
    follow(index, failing: .closes)
  }

  func deviceFile(_ stream: StreamID) throws(Refusal) -> Int32 {
    devices[try streams.require(stream)].fd
  }
}
