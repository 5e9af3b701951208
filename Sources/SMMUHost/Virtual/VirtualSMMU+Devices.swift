// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// Assigned devices.
extension VirtualSMMU {
  /// Puts a device behind the vSMMU in three steps: what only the kernel can tell is learnt, the ID
  /// registers are decided, and the device is attached. On an error nothing has changed.
  public func attach(_ stream: StreamID, _ source: DeviceSource) throws(Refusal) {
    guard !streams.isEmulated(stream) else {
      throw Refusal(.eexist, "device.stream was given to vsmmu_stream_add")
    }
    let nesting = try requireNesting()
    guard streams.index(of: stream) == nil else {
      throw Refusal(.eexist, "a device has this StreamID already")
    }
    nesting.direct.isFrozen = isFrozen
    let device = try nesting.prepare(stream, source)
    do throws(Refusal) {
      let report = try situation(with: device).admit(device.facts, at: streams.place(of: stream))
      try nesting.commit(device)
      if let report { adopt(report) }
    } catch {
      nesting.release(device)
      throw error
    }
  }

  public func detach(_ stream: StreamID) throws(Refusal) {
    let nesting = try requireNesting()
    nesting.direct.isFrozen = isFrozen
    try nesting.detachDevice(stream)
    guard !isFrozen, let situation = try? situation() else { return }
    adopt(situation.decide())
  }

  /// The guest has given the device another StreamID.
  public func renumber(_ stream: StreamID, to other: StreamID) throws(Refusal) {
    guard !streams.isEmulated(other) else {
      throw Refusal(.eexist, "the other StreamID was given to vsmmu_stream_add")
    }
    let nesting = try requireNesting()
    _ = try streams.require(stream)
    if stream == other { return }
    guard streams.index(of: other) == nil else {
      throw Refusal(.eexist, "a device has this StreamID already")
    }
    try nesting.renumberDevice(stream, to: other)
  }

  public func resetDevice(_ stream: StreamID) throws(Refusal) {
    try requireNesting().resetDevice(stream)
  }

  /// The open VFIO character device.
  public func deviceFile(_ stream: StreamID) throws(Refusal) -> Int32 {
    try requireNesting().deviceFile(stream)
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
    guard endsBroadcast else { return try streams.addEmulated(stream) }
    guard !isFrozen else {
      throw Refusal(
        .eopnotsupp, "the guest has seen IDR0.BTM = 1, and KVM's CPUs reach no emulated device")
    }
    var situation = try situation()
    situation.broadcast.hasEmulatedStreams = true
    try streams.addEmulated(stream)
    adopt(situation.decide())
  }

  /// A first emulated device does. KVM's CPUs do not reach the TLB of software, so such devices do
  /// not go together with broadcast TLB maintenance that comes from a link.
  private var endsBroadcast: Bool {
    nesting?.isLinked == true && streams.emulatedCount == 0 && smmu.features[.idr0, IDR0.btm] != 0
  }

  /// When this returns, no access uses anything of it.
  public func removeStream(_ stream: StreamID) throws(Refusal) {
    try streams.removeEmulated(stream)
    smmu.remove(stream: stream)
  }
}
