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

  /// What the guest asks of a device's stream now. Until it has given it one, there is no DMA.
  func wanted(_ index: Int) -> AssignedStream {
    devices[index].stream.map { smmu.assignment(of: $0) } ?? .abort
  }

  /// Attaches a device to what the guest asks for now; nothing is done if it is already.
  @discardableResult
  func follow(_ index: Int, failing: Failing) -> Bool {
    follow(index, to: wanted(index), failing: failing)
  }

  /// The same for who has looked: an STE is fetched once, as another vCPU may be changing it.
  func follow(_ index: Int, to wanted: AssignedStream, failing: Failing) -> Bool {
    devices[index].state.gives(wanted) || change(index, to: wanted, failing: failing)
  }

  /// The same, even if it is already.
  @discardableResult
  func change(_ index: Int, to wanted: AssignedStream, failing: Failing) -> Bool {
    do throws(AttachmentError) {
      try attach(index, wanted)
      return true
    } catch {
      fail(
        error.errno, by: error.who, trying: "attach what a stream's STE asks for",
        stream: devices[index].stream)
    }
    let stays =
      failing == .stays && !closesFailedStreams && wanted != .abort
      && devices[index].state.hwpt != nil
    if stays { sayStays(index) } else { close(index) }
    // The next look tries again.
    devices[index].state = devices[index].state.failed(stays: stays)
    return false
  }

  private func close(_ index: Int) {
    do throws(AttachmentError) { try attach(index, .abort) } catch {
      fail(
        error.errno, by: error.who, trying: "attach the abort HWPT in its place",
        stream: devices[index].stream)
    }
  }

  private func sayStays(_ index: Int) {
    say { sentence in
      sentence.append("stream ")
      sentence.append(UInt64(devices[index].stream ?? 0))
      sentence.append(" keeps the stage 1 that it had until the guest acknowledges GERROR.CMDQ_ERR")
    }
  }

  /// On an error the device has what it had.
  func attach(_ index: Int, _ wanted: AssignedStream) throws(AttachmentError) {
    let (table, next) = try asking { () throws(Errno) in try target(for: wanted, of: index) }
    do throws(AttachmentError) { try connect(devices[index], to: table) } catch {
      if let hwpt = next.hwpt { give(back: hwpt, "nested HWPT") }
      throw error
    }
    counters.attachments &+= 1
    if let old = devices[index].state.hwpt { give(back: old, "nested HWPT") }
    devices[index].state = next
    streams.noteAttachment(at: index)
    if next.hwpt != nil { mayHoldTranslations = true }
  }

  /// Requests of the kernel's.
  func asking<R>(_ body: () throws(Errno) -> R) throws(AttachmentError) -> R {
    do throws(Errno) { return try body() } catch { throw AttachmentError(error) }
  }

  /// What to attach it to, with the vDEVICE and the nested HWPT that it needs.
  private func target(
    for wanted: AssignedStream, of index: Int
  ) throws(Errno) -> (table: UInt32, state: DeviceState) {
    guard let objects else { throw .enodev }
    retryKept()
    // A renumbering that failed may have taken it.
    if devices[index].vdevice == 0, let stream = devices[index].stream {
      devices[index].vdevice = try iommufd.allocateVDevice(
        for: devices[index].id, of: objects.viommu, stream: stream)
    }
    let device = devices[index]
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

  private func connect(_ device: AssignedDevice, to table: UInt32) throws(AttachmentError) {
    guard device.isOwners, let owner else {
      return try asking { () throws(Errno) in try iommufd.attach(device.fd, to: table) }
    }
    do throws(Errno) { try owner.attach(device.id, to: table) } catch {
      throw AttachmentError(error, of: "ops.attach")
    }
  }

  /// A device leaves the vSMMU, for where the VMM has it; throws if the kernel leaves no way to
  /// that.
  func disconnect(_ device: AssignedDevice) throws(AttachmentError) {
    do throws(AttachmentError) { try sendAway(device) } catch {
      // Once more: else the objects that it is attached to could not go.
      try sendAway(device)
    }
  }

  /// To where the owner takes it, back to the nest parent that is the owner's, or nowhere.
  private func sendAway(_ device: AssignedDevice) throws(AttachmentError) {
    guard device.isOwners, let owner else {
      return try asking { () throws(Errno) in
        if let parent = domain.lentParent { return try iommufd.attach(device.fd, to: parent) }
        try iommufd.detach(device.fd)
      }
    }
    do throws(Errno) { try owner.detach(device.id) } catch {
      throw AttachmentError(error, of: "ops.detach")
    }
  }
}
