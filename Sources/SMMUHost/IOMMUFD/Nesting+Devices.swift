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
    do throws(AttachmentError) { try attach(index, wanted(index)) } catch {
      _ = streams.remove(at: index)
      // One with a StreamID has met this with its vDEVICE.
      if error.errno == .einval && error.operation == nil && device.stream == nil {
        throw Self.otherSMMU
      }
      throw error.refusal(
        trying: "attach the device",
        request: "attach the device (IOMMU_HWPT_ALLOC, VFIO_DEVICE_ATTACH_IOMMUFD_PT)")
    }
    if isFirst { eventQueueChanged() }
  }

  /// Takes a device away. With the last one, what they shared goes too.
  func detachDevice(_ name: DeviceName) throws(Refusal) {
    let index = try streams.require(name)
    do throws(AttachmentError) { try disconnect(devices[index]) } catch {
      throw error.refusal(
        trying: "detach the device",
        request: domain.lentParent == nil
          ? "detach the device (VFIO_DEVICE_DETACH_IOMMUFD_PT)"
          : "attach the device to parent_hwpt (VFIO_DEVICE_ATTACH_IOMMUFD_PT)")
    }
    // What it has faulted with is its own, not its successor's.
    takeAllEvents()
    batch.discardCommands(of: devices[index].stream)
    removeBARs(of: devices[index])
    release(streams.remove(at: index))
  }

  /// Once no stage 2 is left that may name the VMID.
  func unpinIfUnused() {
    if pinsOnDemand && objects == nil && devices.isEmpty && kept.isEmpty { unpin() }
  }

  /// The guest has given the device another StreamID, which no other device has, or taken away
  /// what it had (nil). The kernel learns a vSID when a vDEVICE is made and when a device is
  /// attached, so it leaves the guest's stream for the time between.
  func renumberDevice(_ index: Int, to other: StreamID?) throws(Refusal) {
    do throws(Refusal) {
      try leaveStream(index)
      if let other { try giveVDevice(index, for: other) }
    } catch {
      change(index, to: wanted(index), failing: .closes)
      throw error
    }
    var device = streams.remove(at: index)
    device.stream = other
    let place = streams.insert(device)
    // Attached to the abort HWPT it has no vSID; bypass and translation give it the new one.
    if other != nil { change(place, to: wanted(place), failing: .closes) }
  }

  /// No DMA, and no vDEVICE.
  private func leaveStream(_ index: Int) throws(Refusal) {
    do throws(AttachmentError) { try attach(index, .abort) } catch {
      throw error.refusal(
        trying: "attach the abort HWPT meanwhile",
        request: "attach the abort HWPT meanwhile (VFIO_DEVICE_ATTACH_IOMMUFD_PT)")
    }
    takeAllEvents()
    // To attach it again makes the SMMU forget its contexts.
    batch.discardCommands(of: devices[index].stream)
    guard devices[index].vdevice != 0 else { return }
    do throws(Errno) { try iommufd.destroy(devices[index].vdevice) } catch {
      throw Refusal(error, trying: "take the vDEVICE of the StreamID away")
    }
    devices[index].vdevice = 0
  }

  private func giveVDevice(_ index: Int, for stream: StreamID) throws(Refusal) {
    do throws(Errno) {
      devices[index].vdevice = try iommufd.allocateVDevice(
        for: devices[index].id, of: objects?.viommu ?? 0, stream: stream)
    } catch {
      throw Refusal(error, trying: "make a vDEVICE for the new StreamID")
    }
  }

  /// Function-level reset. The kernel parks the device meanwhile and attaches what it had, but the
  /// device's BARs it has revoked. Without its file that is the owner's to do; it is attached anew
  /// then.
  func resetDevice(_ name: DeviceName) throws(Refusal) {
    let index = try streams.require(name)
    guard devices[index].fd >= 0 else { return try attachAgain(index) }
    defer { renewBARs(of: devices[index]) }
    do throws(Errno) { try iommufd.reset(devices[index].fd) } catch {
      throw Refusal(error, trying: "reset the device (VFIO_DEVICE_RESET)")
    }
    follow(index, failing: .closes)
  }

  private func attachAgain(_ index: Int) throws(Refusal) {
    do throws(AttachmentError) { try attach(index, wanted(index)) } catch {
      // The next look tries again.
      devices[index].state = devices[index].state.failed()
      throw error.refusal(
        trying: "attach the device again", request: "attach the device again (IOMMU_HWPT_ALLOC)")
    }
  }

  func deviceFile(_ name: DeviceName) throws(Refusal) -> Int32 {
    let fd = devices[try streams.require(name)].fd
    guard fd >= 0 else { throw Self.noFile }
    return fd
  }

  static var noFile: Refusal {
    Refusal(.enodev, "the device was given without its file (VSMMU_DEVICE_FD)")
  }

  func information(of name: DeviceName) throws(Refusal) -> DeviceInformation {
    let device = devices[try streams.require(name)]
    return DeviceInformation(
      stream: device.stream, id: device.id, vdevice: device.vdevice, viommu: objects?.viommu ?? 0,
      parent: objects?.parent ?? 0, attachment: attachment(device.state),
      isFailed: device.state.isFailed, facts: device.facts)
  }

  private func attachment(_ state: DeviceState) -> DeviceInformation.Attachment {
    guard let objects else { return .nothing }
    return switch state {
    case .absent, .failed(.nothing): .nothing
    case .abort, .failed(.abort): .abort(hwpt: objects.abort)
    case .bypass, .failed(.bypass): .bypass(hwpt: objects.bypass)
    case .stage1(let hwpt, _), .failed(.stage1(let hwpt, _, _)): .stage1(hwpt: hwpt)
    }
  }
}
