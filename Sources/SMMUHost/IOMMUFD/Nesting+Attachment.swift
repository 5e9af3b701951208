// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// Attaching what a stream needs.
extension Nesting {
  /// Attaches a device to what the guest asks for now; nothing is done if it is already. On a
  /// failure the device aborts, or has what it had if not even that can be done.
  @discardableResult
  func follow(_ index: Int) -> Bool {
    follow(index, smmu.assignment(of: devices[index].stream))
  }

  /// The same for who has looked: an STE is fetched once, as another vCPU may be changing it.
  func follow(_ index: Int, _ wanted: AssignedStream) -> Bool {
    devices[index].state.gives(wanted) || change(index, to: wanted)
  }

  /// The same, even if it is already.
  @discardableResult
  func change(_ index: Int, to wanted: AssignedStream) -> Bool {
    do throws(Errno) {
      try attach(index, wanted)
      return true
    } catch {
      fail(error, trying: "attach what a stream's STE asks for", stream: devices[index].stream)
    }
    do throws(Errno) { try attach(index, .abort) } catch {
      fail(error, trying: "attach the abort HWPT in its place", stream: devices[index].stream)
    }
    // The next look tries again.
    devices[index].state = devices[index].state.failed
    return false
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
      // A device that may not use ATS shall not be believed to.
      let denied = device.facts.mayUseATS ? 0 : StreamTableEntry.eats.mask
      let hwpt = try iommufd.allocateNested(
        for: device.id, of: objects.viommu, ste: (word0, (word1 | stall) & ~denied))
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
