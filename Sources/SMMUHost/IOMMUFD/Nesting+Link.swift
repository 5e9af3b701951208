// SPDX-License-Identifier: MIT
import SMMUBase

/// The link with a KVM VM.
extension Nesting {
  /// Links the vSMMU with a VM: before the first device, as devices are bound for a VM.
  ///
  /// `isTold`: the caller has told KVM of each device before it was bound.
  func linkVM(_ fd: Int32, onDemand: Bool, isTold: Bool) throws(Refusal) {
    guard link == nil else {
      throw Refusal(.eexist, "the vSMMU is linked with a VM already")
    }
    guard devices.isEmpty else {
      throw Refusal(.ebusy, "the vSMMU has assigned devices, which were bound for no VM")
    }
    let made = try VMLink.make(iommufd.kernel, vm: fd, requests: host.knowledge.requests)
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

  var isLinked: Bool { link != nil }

  /// `candidate`: a device that is prepared.
  func broadcastEvidence(with candidate: AssignedDevice?) -> BroadcastEvidence {
    var evidence = BroadcastEvidence()
    evidence.kvmVMIDBits = host.knowledge.vmidBits
    evidence.cpuASIDBits = host.knowledge.asidBits
    guard let link else { return evidence }
    evidence.isLinked = true
    evidence.kernelLinks = link.canPin
    evidence.vmid = link.vmid
    evidence.pinsOnDemand = pinsOnDemand
    // A nest parent of the VMM's was made for the VM only if the VMM has told KVM by itself.
    evidence.boundForVM =
      isKVMTold
      || domain.lentParent == nil && (candidate?.isLinked ?? true)
        && !devices.contains { !$0.isLinked }
    return evidence
  }
}
