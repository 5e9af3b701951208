// SPDX-License-Identifier: MIT
import SMMUSpec

/// What must always hold of VMIDs, whatever VMs, CPUs and devices do: no two live VMs share one on
/// an SMMU, a linked VM's STEs carry what KVM programs, and none is free for others while an STE or
/// the TLB may hold it.
extension Hypervisor {
  func check() -> BrokenInvariants {
    var broken = BrokenInvariants()
    checkCPUs(&broken)
    for smmu in smmus {
      checkHoldings(smmu.vmids, &broken)
      checkUse(smmu, &broken)
    }
    if vmids.pinnedNumbers != vmids.pinCount || vmids.pinCount > vmids.pinLimit {
      broken.add("pins do not add up: ", vmids.pinCount)
    }
    return broken
  }

  /// VMs that run have numbers of their own.
  private func checkCPUs(_ broken: inout BrokenInvariants) {
    var owners: [(vmid: VMID, vm: VirtualMachine)] = []
    for case let vm? in loaded {
      let vmid = vm.vmid
      if vmid == 0 || !vmids.isTaken(vmid) { broken.add("a VM runs with the free VMID ", vmid) }
      for owner in owners where owner.vmid == vmid && owner.vm !== vm {
        broken.add("two VMs run with VMID ", vmid)
      }
      owners.append((vmid, vm))
    }
  }

  private func checkHoldings(_ streams: StreamVMIDs, _ broken: inout BrokenInvariants) {
    for (i, holding) in streams.holdings.enumerated() {
      let vmid = holding.vmid
      if vmid == 0 || Int(vmid) >= 1 << streams.bits {
        broken.add("an SMMU uses what is no VMID of its own: ", vmid)
      }
      for other in streams.holdings[..<i] where other.vmid == vmid {
        broken.add("two stages 2 share VMID ", vmid)
      }
      guard let holder = holding.holder else { continue }
      if !vmids.isPinned(vmid) || !vmids.isTaken(vmid) {
        broken.add("an SMMU uses a VMID that is not pinned: ", vmid)
      }
      if vmids.vmid(of: holder) != vmid {
        broken.add("KVM programs another VMID than the STEs': ", vmid)
      }
      for case let vm? in loaded where vm.vmid == vmid && vm.identity !== holder {
        broken.add("a VM runs with the VMID of another's devices: ", vmid)
      }
    }
  }

  /// What STEs and the TLB name is held.
  private func checkUse(_ smmu: PhysicalSMMU, _ broken: inout BrokenInvariants) {
    typealias S = StreamTableEntry
    // V, and a Config with stage 2.
    let mask = S.v.mask | 6 << 1
    smmu.eachEntry { slot in
      guard slot[0] & mask == mask else { return }
      let vmid = VMID(truncatingIfNeeded: slot[2] & S.s2vmid.mask)
      if !smmu.vmids.isHeld(vmid) { broken.add("an STE names the free VMID ", vmid) }
    }
    smmu.eachCachedVMID { vmid in
      if !smmu.vmids.isHeld(vmid) { broken.add("the TLB holds the free VMID ", vmid) }
    }
  }
}
