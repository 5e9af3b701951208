// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// Attaching what a stream needs.
extension Nesting {
  /// What becomes of a stream's DMA where the kernel fails to attach what the guest asks for.
  enum Failing {
    /// It aborts; if not even that can be had, it has what it had.
    case closes
    /// What was translated and is to be translated or bypassed goes on in the old stage 1, inside
    /// the same stage 2, until the guest's acknowledgement tries again. What else there is closes.
    case stays
  }

  /// Attaches a device to what the guest asks for now; nothing is done if it is already.
  @discardableResult
  func follow(_ index: Int, failing: Failing) -> Bool {
    follow(index, to: smmu.assignment(of: devices[index].stream), failing: failing)
  }

  /// The same for who has looked: an STE is fetched once, as another vCPU may be changing it.
  func follow(_ index: Int, to wanted: AssignedStream, failing: Failing) -> Bool {
    devices[index].state.gives(wanted) || change(index, to: wanted, failing: failing)
  }

  /// The same, even if it is already.
  @discardableResult
  func change(_ index: Int, to wanted: AssignedStream, failing: Failing) -> Bool {
    do throws(Errno) {
      try attach(index, wanted)
      return true
    } catch {
      fail(error, trying: "attach what a stream's STE asks for", stream: devices[index].stream)
    }
    let stays =
      failing == .stays && !closesFailedStreams && wanted != .abort
      && devices[index].state.hwpt != nil
    if stays { sayStays(devices[index].stream) } else { close(index) }
    // The next look tries again.
    devices[index].state = devices[index].state.failed(stays: stays)
    return false
  }

  private func close(_ index: Int) {
    do throws(Errno) { try attach(index, .abort) } catch {
      fail(error, trying: "attach the abort HWPT in its place", stream: devices[index].stream)
    }
  }

  private func sayStays(_ stream: StreamID) {
    say { sentence in
      sentence.append("stream ")
      sentence.append(UInt64(stream))
      sentence.append(" keeps the stage 1 that it had until the guest acknowledges GERROR.CMDQ_ERR")
    }
  }

  /// On an error the device has what it had.
  func attach(_ index: Int, _ wanted: AssignedStream) throws(Errno) {
    guard let objects else { throw .enodev }
    retryKept()
    // A renumbering that failed may have taken it.
    if devices[index].vdevice == 0 {
      devices[index].vdevice = try iommufd.allocateVDevice(
        for: devices[index].id, of: objects.viommu, stream: devices[index].stream)
    }
    let (table, next) = try target(for: wanted, of: devices[index], among: objects)
    do throws(Errno) { try iommufd.attach(devices[index].fd, to: table) } catch {
      if let hwpt = next.hwpt { give(back: hwpt, "nested HWPT") }
      throw error
    }
    counters.attachments &+= 1
    if let old = devices[index].state.hwpt { give(back: old, "nested HWPT") }
    devices[index].state = next
    if next.hwpt != nil { mayHoldTranslations = true }
  }

  /// What to attach it to, with the nested HWPT that it needs.
  private func target(
    for wanted: AssignedStream, of device: AssignedDevice, among objects: Objects
  ) throws(Errno) -> (table: UInt32, state: DeviceState) {
    switch wanted {
    case .abort: return (objects.abort, .abort)
    case .bypass: return (objects.bypass, .bypass)
    case .stage1(let word0, let word1):
      try requireRoomToKeep()
      // The guest was told that nothing stalls.
      let stall = hostStalls ? StreamTableEntry.s1stalld.mask : 0
      let hwpt = try iommufd.allocateNested(
        for: device.id, of: objects.viommu, ste: (word0, word1 | stall))
      counters.nestedHWPTs &+= 1
      return (hwpt, .stage1(hwpt: hwpt, made: wanted))
    }
  }

  /// No DMA of a device passes any more; throws if the kernel leaves no way to that.
  func disconnect(_ device: AssignedDevice) throws(Errno) {
    do throws(Errno) { try iommufd.detach(device.fd) } catch {
      // Once more: else the objects that it is attached to could not go.
      try iommufd.detach(device.fd)
    }
  }
}
