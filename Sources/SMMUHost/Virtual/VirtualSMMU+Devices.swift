// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// Assigned devices.
extension VirtualSMMU {
  /// Puts a device behind the vSMMU in three steps: what only the kernel can tell is learnt, the ID
  /// registers are decided, and the device is attached. On an error nothing has changed. Returns
  /// the device's id in the iommufd.
  ///
  /// `stream` nil: the guest has given it none yet.
  @discardableResult
  public func attach(
    _ source: DeviceSource, as stream: StreamID?, needsATS: Bool = false
  ) throws(Refusal) -> UInt32 {
    if let stream, streams.isEmulated(stream) {
      throw Refusal(.eexist, "device.stream was given to vsmmu_stream_add")
    }
    let nesting = try requireNesting()
    try requireFree(stream)
    if case .bound(nil, _) = source, nesting.owner == nil {
      throw Refusal(
        .einval, "device.flags has VSMMU_DEVICE_BOUND without VSMMU_DEVICE_FD or ops.attach")
    }
    nesting.direct.isFrozen = isFrozen
    var device = try nesting.prepare(stream, source)
    device.facts.needsATS = needsATS
    do throws(Refusal) {
      let report = try situation(with: device).admit(device.facts, at: streams.place(of: stream))
      if needsATS && (report?.chosen ?? smmu.features)[.idr0, IDR0.ats] == 0 {
        throw Refusal(
          .eopnotsupp, "device.flags has VSMMU_DEVICE_NEEDS_ATS, but IDR0.ATS is 0 here")
      }
      try nesting.commit(device)
      if let report { adopt(report) }
      return device.id
    } catch {
      nesting.release(device)
      throw error
    }
  }

  private func requireFree(_ stream: StreamID?) throws(Refusal) {
    if let stream, streams.index(of: stream) != nil {
      throw Refusal(.eexist, "a device has this StreamID already")
    }
  }

  public func detach(_ device: DeviceName) throws(Refusal) {
    let nesting = try requireNesting()
    nesting.direct.isFrozen = isFrozen
    try nesting.detachDevice(device)
    guard !isFrozen, let situation = try? situation() else { return }
    adopt(situation.decide())
  }

  /// The guest has given the device another StreamID, or none any more (nil).
  public func renumber(_ device: DeviceName, to other: StreamID?) throws(Refusal) {
    if let other, streams.isEmulated(other) {
      throw Refusal(.eexist, "the other StreamID was given to vsmmu_stream_add")
    }
    let nesting = try requireNesting()
    let index = try streams.require(device)
    if streams.assigned[index].stream == other { return }
    try requireFree(other)
    try nesting.renumberDevice(index, to: other)
  }

  public func resetDevice(_ device: DeviceName) throws(Refusal) {
    try requireNesting().resetDevice(device)
  }

  /// Puts a part of a device's BAR where other devices reach it.
  public func addBAR(_ range: BARRange, of device: DeviceName) throws(Refusal) {
    try requireNesting().addBAR(range, of: device)
  }

  public func removeBAR(_ address: UInt64) throws(Refusal) {
    try requireNesting().removeBAR(address)
  }

  /// What was revoked is there again.
  public func renewBAR(_ address: UInt64) throws(Refusal) {
    try requireNesting().renewBAR(address)
  }

  /// The open VFIO character device.
  public func deviceFile(_ device: DeviceName) throws(Refusal) -> Int32 {
    try requireNesting().deviceFile(device)
  }

  public func information(of device: DeviceName) throws(Refusal) -> DeviceInformation {
    try requireNesting().information(of: device)
  }

  /// Links the vSMMU with a VM (`Nesting.linkVM`).
  public func linkVM(_ fd: Int32, onDemand: Bool, isTold: Bool) throws(Refusal) {
    try requireNesting().linkVM(fd, onDemand: onDemand, isTold: isTold)
  }
}

/// Emulated devices.
extension VirtualSMMU {
  public func addStream(_ stream: StreamID) throws(Refusal) {
    try streams.requireUnassigned(stream)
    if nesting?.hasDirectQueues == true {
      throw Refusal(
        .eopnotsupp, "the guest has direct command queues, which reach no emulated device")
    }
    guard !(endsBroadcast && isFrozen) else {
      throw Refusal(
        .eopnotsupp, "the guest has seen IDR0.BTM = 1, and KVM's CPUs reach no emulated device")
    }
    guard endsBroadcast || endsATS else { return try streams.addEmulated(stream) }
    var situation = try situation()
    situation.broadcast.hasEmulatedStreams = true
    try streams.addEmulated(stream)
    adopt(situation.decide())
  }

  /// A first emulated device does. KVM's CPUs do not reach the TLB of software, so such devices do
  /// not go together with broadcast TLB maintenance that comes from a link.
  private var endsBroadcast: Bool {
    offersLinkedBroadcast && streams.emulatedCount == 0
  }

  /// So does it end ATS, which is its model's. To a guest that has seen IDR0.ATS = 1 it is a device
  /// that asks for no translations: a CMD_ATC_INV for it has nothing to do, and completes.
  private var endsATS: Bool { smmu.features.ats && !isFrozen && streams.emulatedCount == 0 }

  /// When this returns, no access uses anything of it.
  public func removeStream(_ stream: StreamID) throws(Refusal) {
    try streams.removeEmulated(stream)
    smmu.remove(stream: stream)
  }
}
