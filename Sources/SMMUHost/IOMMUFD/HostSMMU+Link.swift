// SPDX-License-Identifier: MIT
import SMMUBase

/// The link with a KVM VM.
extension HostSMMU {
  /// Links the vSMMU with a VM: before the first device, as devices are bound for a VM.
  ///
  /// `isTold`: the caller has told KVM of each device before it was bound.
  public func linkVM(
    _ fd: Int32, _ requests: VMLink.Requests, onDemand: Bool, isTold: Bool
  ) throws(HostError) {
    guard link == nil else {
      throw HostError(.eexist, "the vSMMU is linked with a VM already")
    }
    guard devices.isEmpty else {
      throw HostError(.ebusy, "the vSMMU has assigned devices, which were bound for no VM")
    }
    let made = try VMLink.make(iommufd.kernel, fd, requests)
    do throws(HostError) {
      if !onDemand { try made.pin() }
    } catch {
      made.close()
      throw error
    }
    link = made
    pinsOnDemand = onDemand
    isKVMTold = isTold
  }

  public var isLinked: Bool { link != nil }

  public var broadcastEvidence: BroadcastEvidence {
    var evidence = BroadcastEvidence()
    guard let link else { return evidence }
    evidence.isLinked = true
    evidence.kernelLinks = link.canPin
    evidence.vmid = link.vmid
    evidence.pinsOnDemand = pinsOnDemand
    evidence.boundForVM =
      isKVMTold || (isCandidateLinked && !devices.contains { !$0.isLinked })
    return evidence
  }
}
