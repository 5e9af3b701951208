// SPDX-License-Identifier: MIT
import SMMUBase

/// The link with a KVM VM.
extension Nesting {
  /// Links the vSMMU with a VM: before the first device, as devices are bound for a VM.
  ///
  /// `isTold`: the caller has told KVM of each device before it was bound.
  func linkVM(_ fd: Int32, onDemand: Bool, isTold: Bool) throws(Refusal) {
    guard link == nil else { throw Self.isLinked(.eexist) }
    guard !isTold || givenVFIO == nil else {
      throw Refusal(
        .einval,
        "flags has VSMMU_LINK_TOLD, but vsmmu_give_kvm_vfio left the telling to the library")
    }
    guard devices.isEmpty else {
      throw Refusal(.ebusy, "the vSMMU has assigned devices, which were bound for no VM")
    }
    link = try VMLink.make(
      iommufd.kernel, vm: fd, requests: host.knowledge.requests, among: host.vms,
      vfio: givenVFIO, isTold: isTold, pins: !onDemand, unpinFailed: unpinFailed)
    dropGivenVFIO()
    pinsOnDemand = onDemand
    isKVMTold = isTold
  }

  private static func isLinked(_ errno: Errno) -> Refusal {
    Refusal(errno, "the vSMMU is linked with a VM already")
  }

  var isLinked: Bool { link != nil }

  /// Where the kernel fails it stays pinned, until this is tried again or the VM ends.
  func unpin() {
    do throws(Errno) { try link?.unpin() } catch { unpinFailed(error) }
  }

  private func unpinFailed(_ error: Errno) { fail(error, trying: "unpin the VM's VMID") }

  /// The VMM's KVM VFIO device, of the VM that is to be linked.
  public func giveVFIO(_ fd: Int32) throws(Refusal) {
    guard link == nil else { throw Self.isLinked(.ebusy) }
    guard givenVFIO == nil else {
      throw Refusal(.eexist, "a KVM VFIO device was given before")
    }
    do throws(Errno) { givenVFIO = try iommufd.kernel.duplicate(fd) } catch {
      throw Refusal(error, trying: "duplicate the KVM VFIO device's descriptor (fd)")
    }
  }

  func dropGivenVFIO() {
    if let givenVFIO { try? iommufd.kernel.close(givenVFIO) }
    givenVFIO = nil
  }

  /// KVM's VFIO device, by which KVM is told.
  public func kvmVFIO() throws(Refusal) -> Int32 {
    guard let link, link.tellsKVM else {
      throw Refusal(.enodev, "there is no KVM VFIO device of a linked VM")
    }
    return link.vfio
  }

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
