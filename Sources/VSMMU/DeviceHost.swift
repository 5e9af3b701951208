// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

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
    smmu.hardware = side.asHardware
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
    let before = (smmu.features, hosts, report)
    do throws(HostError) {
      try requireHost().attachDevice(stream, source) { (device) throws(HostError) in
        try accept(AssignedHost(stream: stream, device: device))
      }
    } catch {
      // The registers may have followed a device that then could not be attached.
      adopt(before.0)
      (hosts, report) = (before.1, before.2)
      throw error.refusal
    }
  }

  func detach(_ stream: StreamID) throws(Refusal) {
    try hosted { () throws(HostError) in try requireHost().detachDevice(stream) }
    hosts.removeAll { $0.stream == stream }
    guard !isFrozen, let report = try? negotiate(hosts) else { return }
    adopt(report.chosen)
    self.report = report
  }

  func renumber(_ stream: StreamID, to other: StreamID) throws(Refusal) {
    guard !streams.contains(other) else {
      throw Refusal(
        -Errno.eexist.code, Sentence("the other StreamID was given to vsmmu_stream_add"))
    }
    try hosted { () throws(HostError) in try requireHost().renumberDevice(stream, to: other) }
    for i in hosts.indices where hosts[i].stream == stream { hosts[i].stream = other }
  }

  /// An emulated device. KVM's CPUs do not reach the TLB of software, so they do not go together
  /// with broadcast TLB maintenance that comes from a link.
  func addStream(_ stream: StreamID) throws(Refusal) {
    if hostSide?.index(of: stream) != nil {
      throw Refusal(-Errno.eexist.code, Sentence("an assigned device has this StreamID"))
    }
    let isFirst = streams.isEmpty
    guard isFirst, hostSide?.isLinked == true, smmu.features[.idr0, IDR0.btm] != 0 else {
      try streams.add(stream)
      return
    }
    guard !isFrozen else {
      throw Refusal(
        -Errno.eopnotsupp.code,
        Sentence("the guest has seen IDR0.BTM = 1, and KVM's CPUs reach no emulated device"))
    }
    try streams.add(stream)
    do throws(HostError) {
      let report = try negotiate(hosts)
      adopt(report.chosen)
      self.report = report
    } catch {
      try streams.remove(stream)
      throw error.refusal
    }
  }

  // MARK: ID registers

  /// What the ID registers are, and why.
  func currentReport() throws(Refusal) -> NegotiationReport {
    var current = report ?? Negotiation.decide(asked: asked, hosts: [])
    current.isFrozen = isFrozen
    return current
  }

  /// To link a VM is to ask for broadcast TLB maintenance.
  private func negotiate(_ hosts: [AssignedHost]) throws(HostError) -> NegotiationReport {
    var wanted = asked
    if hostSide?.isLinked == true && !hosts.isEmpty { wanted[.idr0, IDR0.btm] = 1 }
    return Negotiation.decide(
      asked: wanted, hosts: hosts.map { $0.device }, stage2Bits: try hostSide?.stage2Bits() ?? 0,
      broadcast: evidence)
  }

  private var evidence: BroadcastEvidence {
    var evidence = hostSide?.broadcastEvidence ?? BroadcastEvidence()
    evidence.hasEmulatedStreams = !streams.isEmpty
    evidence.kvmVMIDBits = Int(hostHandle?.config.vmid_bits ?? 0)
    evidence.cpuASIDBits = Int(hostHandle?.config.asid_bits ?? 0)
    return evidence
  }

  /// Makes the ID registers what this device's host can do too, or refuses it.
  private func accept(_ host: AssignedHost) throws(HostError) {
    if isFrozen {
      let violation = Negotiation.violation(
        of: smmu.features, by: host.device, stage2Bits: try hostSide?.stage2Bits() ?? 0,
        broadcast: evidence)
      if let violation { throw HostError(.eopnotsupp, violation.sentence) }
    } else {
      let report = try negotiate(hosts + [host])
      if report.refusal != nil { throw HostError(.eopnotsupp, report.refusalSentence) }
      adopt(report.chosen)
      self.report = report
    }
    hosts.append(host)
  }

  /// Resets the registers, so only where something changes.
  private func adopt(_ features: Features) {
    if smmu.features != features { smmu.renegotiate(features) }
  }
}

/// An assigned device, and what its kernel tells of it.
struct AssignedHost {
  var stream: StreamID
  let device: HostDevice
}
