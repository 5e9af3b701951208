// SPDX-License-Identifier: MIT

/// The link with a KVM VM.
extension Nesting {
  /// Links the vSMMU with a VM: before the first device, as devices are bound for a VM.
  ///
  /// `isTold`: the caller has told KVM of each device before it was bound.
  public func linkVM(
    _ fd: Int32, _ requests: VMLink.Requests, onDemand: Bool, isTold: Bool
  ) throws(Refusal) {
    guard link == nil else {
      throw Refusal(.eexist, "the vSMMU is linked with a VM already")
    }
    guard devices.isEmpty else {
      throw Refusal(.ebusy, "the vSMMU has assigned devices, which were bound for no VM")
    }
    let made = try VMLink.make(iommufd.kernel, fd, requests)
    do throws(Refusal) {
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
