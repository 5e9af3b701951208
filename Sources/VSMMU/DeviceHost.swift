// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUHost
import SMMUModel
import SMMUSpec

/// A device's dealings with its host.
extension Device {
  /// At creation. On an error the device is given up by the caller.
  func join(_ handle: OpaquePointer, addressSpace: UInt32) throws(Refusal) {
    let host = Unmanaged<HostHandle>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    let side = try hosted { () throws(HostError) in
      try HostSMMU.make(host.host, smmu, machine, addressSpace: addressSpace)
    }
    host.addUser()
    hostHandle = host
    hostSide = side
    smmu.hardware = side
  }

  /// At the end of the device, while nothing else runs.
  func leaveHost() {
    eventThread?.stop()
    eventThread = nil
    smmu.hardware = nil
    hostSide?.close()
    hostSide = nil
    hostHandle?.removeUser()
    hostHandle = nil
  }

  func requireHost() throws(HostError) -> HostSMMU {
    guard let hostSide else {
      throw HostError(.einval, "the vSMMU was created without config.host")
    }
    return hostSide
  }

  func attach(_ stream: StreamID, _ source: DeviceSource) throws(Refusal) {
    guard !streams.contains(stream) else {
      throw Refusal(-Errno.eexist.code, Sentence("device.stream was given to vsmmu_stream_add"))
    }
    let (features, before) = (smmu.features, hosts)
    do throws(HostError) {
      try requireHost().attachDevice(stream, source) { (device) throws(HostError) in
        try accept(device)
      }
    } catch {
      // The registers may have followed a device that then could not be attached.
      if smmu.features != features { smmu.renegotiate(features) }
      hosts = before
      throw error.refusal
    }
  }

  func detach(_ stream: StreamID) throws(Refusal) {
    try hosted { () throws(HostError) in try requireHost().detachDevice(stream) }
    // The next one may be of another host.
    if hostSide?.deviceCount == 0 { hosts = [] }
  }

  func renumber(_ stream: StreamID, to other: StreamID) throws(Refusal) {
    guard !streams.contains(other) else {
      throw Refusal(
        -Errno.eexist.code, Sentence("the other StreamID was given to vsmmu_stream_add"))
    }
    try hosted { () throws(HostError) in try requireHost().renumberDevice(stream, to: other) }
  }

  // MARK: ID registers

  /// What is asked for: to link a VM is to ask for broadcast TLB maintenance.
  private func wanted(_ hosts: [HostDevice]) -> Features {
    var wanted = asked
    if hostSide?.isLinked == true && !hosts.isEmpty { wanted[.idr0, IDR0.btm] = 1 }
    return wanted
  }

  func negotiate(_ hosts: [HostDevice]) -> NegotiationReport {
    var report = Negotiation.decide(
      asked: wanted(hosts), hosts: hosts, stage2Bits: hostSide?.stage2Bits ?? 0,
      broadcast: hostSide?.broadcastEvidence ?? BroadcastEvidence())
    report.isFrozen = isFrozen
    return report
  }

  /// Makes the ID registers what this device's host can do too, or refuses it.
  private func accept(_ device: HostDevice) throws(HostError) {
    if isFrozen {
      let violation = Negotiation.violation(
        of: smmu.features, by: device, stage2Bits: hostSide?.stage2Bits ?? 0,
        broadcast: hostSide?.broadcastEvidence ?? BroadcastEvidence())
      if let violation { throw HostError(.eopnotsupp, violation.sentence) }
    } else {
      let report = negotiate(hosts + [device])
      if report.refusal != nil { throw HostError(.eopnotsupp, report.refusalSentence) }
      smmu.renegotiate(report.chosen)
    }
    hosts.append(device)
  }
}
