// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

/// DEVICE: a physical device that its driver has bound to an iommufd, and what it is attached to.
final class KernelDevice: KernelObject {
  let hardware: EmulatedDevice
  private let owner: IOMMUFDFile
  /// The VM that it was bound for.
  let vm: VirtualMachine?
  var vdevice: KernelVDevice?
  private(set) var attached: HWPT?
  private struct Attachment {
    let pasid: UInt32
    let hwpt: HWPT
  }
  private var pasids: [Attachment] = []

  init(_ hardware: EmulatedDevice, owner: IOMMUFDFile, for vm: VirtualMachine?) {
    self.hardware = hardware
    self.owner = owner
    self.vm = vm
    super.init()
    // Its driver's.
    users = 1
  }

  func forEachAttachment(_ body: (HWPT) -> Void) {
    if let attached { body(attached) }
    for attachment in pasids { body(attachment.hwpt) }
  }

  /// The driver lets go of it: it is detached, and its vDEVICE goes first.
  func unbind() {
    for attachment in pasids { detach(pasid: attachment.pasid) }
    detach()
    if let vdevice { owner.objects.remove(vdevice, leaving: .tombstone) }
    hardware.bound = nil
    owner.objects.remove(self, leaving: nil)
  }
}

// MARK: Attachment of the device itself

extension KernelDevice {
  /// Attaches, or replaces what is attached without a gap. On an error all is as it was.
  func attach(_ hwpt: HWPT) throws(Errno) {
    if let attached, attached.object === hwpt.object { return }
    guard pasids.isEmpty || hwpt.allowsPASIDs else { throw .einval }
    let ioas = hwpt.paging.ioas
    let isNewSpace = attached?.paging.ioas !== ioas
    if isNewSpace { try reserveWindow(of: ioas) }
    do throws(Errno) {
      let virtual = try name(in: hwpt)
      if case .paging(let paging) = hwpt { try paging.prepareAttachment() }
      hardware.virtual = virtual
    } catch {
      if isNewSpace { ioas.release(of: self) }
      throw error
    }
    hardware.install(hwpt)
    hwpt.object.users += 1
    let old = attached
    attached = hwpt
    if let old { end(old, leavesSpace: isNewSpace) }
  }

  /// The doorbells of its interrupts are mapped there.
  private func reserveWindow(of ioas: KernelIOAS) throws(Errno) {
    try ioas.reserve(
      IOVARange(first: IOMMUFD_MSI_WINDOW_FIRST, last: IOMMUFD_MSI_WINDOW_LAST), for: self)
  }

  /// The guest's name for the device, which a translating STE cannot do without.
  private func name(
    in hwpt: HWPT
  ) throws(Errno) -> (viommu: KernelVIOMMU, stream: StreamID)? {
    guard hwpt.paging.smmu === hardware.smmu else { throw .einval }
    guard case .nested(let nested) = hwpt else { return nil }
    // Stage 2 with a VM's VMID is for that VM alone.
    if owner.kernel.version == .linked && hwpt.paging.vm !== vm { throw .einval }
    if let vdevice, vdevice.viommu === nested.viommu {
      return (nested.viommu, StreamID(truncatingIfNeeded: vdevice.virtualID))
    }
    guard !nested.translates else { throw .enoent }
    return nil
  }

  func detach() {
    guard let old = attached else { return }
    attached = nil
    hardware.block()
    end(old, leavesSpace: true)
  }

  private func end(_ old: HWPT, leavesSpace: Bool) {
    if leavesSpace { old.paging.ioas.release(of: self) }
    drop(old)
  }

  private func drop(_ old: HWPT) {
    old.object.users -= 1
    guard case .paging(let paging) = old else { return }
    paging.endAttachment()
    if paging.isAutomatic && paging.users == 0 { owner.objects.remove(paging, leaving: nil) }
  }
}

// MARK: Attachment to an IOAS

extension KernelDevice {
  /// Attaches to a page table that the kernel makes, or has made before. Returns it.
  func attach(_ ioas: KernelIOAS) throws(Errno) -> PagingHWPT {
    if let shared = try attachToExisting(ioas) { return shared }
    let hwpt = try PagingHWPT.make(ioas, smmu: hardware.smmu, flags: [], for: vm, isAutomatic: true)
    owner.objects.insert(.paging(hwpt))
    do throws(Errno) {
      try attach(.paging(hwpt))
    } catch {
      owner.objects.remove(hwpt, leaving: nil)
      throw error
    }
    return hwpt
  }

  private func attachToExisting(_ ioas: KernelIOAS) throws(Errno) -> PagingHWPT? {
    var candidates: [PagingHWPT] = []
    ioas.forEachTable { if $0.isAutomatic { candidates.append($0) } }
    for candidate in candidates {
      do throws(Errno) {
        try attach(.paging(candidate))
        return candidate
      } catch {
        // Only one that does not suit the device is passed over.
        guard error == .einval else { throw error }
      }
    }
    return nil
  }
}

// MARK: Attachment of one PASID

extension KernelDevice {
  /// Counted and judged as Linux does it; the emulated devices send no DMA with host PASIDs.
  func attach(_ hwpt: HWPT, pasid: UInt32) throws(Errno) {
    if let index = pasids.firstIndex(where: { $0.pasid == pasid }),
      pasids[index].hwpt.object === hwpt.object
    {
      return
    }
    guard hwpt.allowsPASIDs, attached?.allowsPASIDs ?? true else { throw .einval }
    guard pasid > 0, UInt64(pasid) <= UInt64.ones(hardware.pasidBits),
      hwpt.paging.smmu === hardware.smmu
    else { throw .einval }
    if case .paging(let paging) = hwpt { try paging.prepareAttachment() }
    hwpt.object.users += 1
    detach(pasid: pasid)
    pasids.append(Attachment(pasid: pasid, hwpt: hwpt))
  }

  func detach(pasid: UInt32) {
    guard let index = pasids.firstIndex(where: { $0.pasid == pasid }) else { return }
    let old = pasids.remove(at: index).hwpt
    drop(old)
  }
}
