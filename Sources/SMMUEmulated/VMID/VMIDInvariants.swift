// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// Broken rules, counted; the first one in words.
struct VMIDViolations {
  private(set) var count = 0
  private(set) var first = Sentence()

  mutating func add(_ text: StaticString, _ vmid: VMID) {
    count += 1
    guard count == 1 else { return }
    first.append(text)
    first.append(UInt64(vmid))
  }
}

/// What must always hold of VMIDs, whatever VMs, CPUs and devices do: no two live VMs share one on
/// an SMMU, a linked VM's STEs carry what KVM programs, and none is free for others while an STE or
/// the TLB may hold it.
extension Hypervisor {
  func check() -> VMIDViolations {
    var violations = VMIDViolations()
    checkCPUs(&violations)
    for smmu in smmus {
      checkHoldings(smmu.vmids, &violations)
      checkUse(smmu, &violations)
    }
    if vmids.pinnedNumbers != vmids.pinCount || vmids.pinCount > vmids.pinLimit {
      violations.add("pins do not add up: ", VMID(truncatingIfNeeded: vmids.pinCount))
    }
    return violations
  }

  /// VMs that run have numbers of their own.
  private func checkCPUs(_ violations: inout VMIDViolations) {
    var owners: [(vmid: VMID, vm: VirtualMachine)] = []
    for case let vm? in loaded {
      let vmid = vm.vmid
      if vmid == 0 || !vmids.isTaken(vmid) { violations.add("a VM runs with the free VMID ", vmid) }
      for owner in owners where owner.vmid == vmid && owner.vm !== vm {
        violations.add("two VMs run with VMID ", vmid)
      }
      owners.append((vmid, vm))
    }
  }

  private func checkHoldings(_ streams: StreamVMIDs, _ violations: inout VMIDViolations) {
    for (i, holding) in streams.holdings.enumerated() {
      let vmid = holding.vmid
      if vmid == 0 || Int(vmid) >= 1 << streams.bits {
        violations.add("an SMMU uses what is no VMID of its own: ", vmid)
      }
      for other in streams.holdings[..<i] where other.vmid == vmid {
        violations.add("two stages 2 share VMID ", vmid)
      }
      guard let holder = holding.holder else { continue }
      if !vmids.isPinned(vmid) || !vmids.isTaken(vmid) {
        violations.add("an SMMU uses a VMID that is not pinned: ", vmid)
      }
      if vmids.vmid(of: holder) != vmid {
        violations.add("KVM programs another VMID than the STEs': ", vmid)
      }
      for case let vm? in loaded where vm.vmid == vmid && vm.identity !== holder {
        violations.add("a VM runs with the VMID of another's devices: ", vmid)
      }
    }
  }

  /// What STEs and the TLB name is held.
  private func checkUse(_ smmu: PhysicalSMMU, _ violations: inout VMIDViolations) {
    typealias S = StreamTableEntry
    // V, and a Config with stage 2.
    let mask = S.v.mask | 6 << 1
    smmu.eachEntry { slot in
      guard slot[0] & mask == mask else { return }
      let vmid = VMID(truncatingIfNeeded: slot[2] & S.s2vmid.mask)
      if !smmu.vmids.isHeld(vmid) { violations.add("an STE names the free VMID ", vmid) }
    }
    smmu.eachCachedVMID { vmid in
      if !smmu.vmids.isHeld(vmid) { violations.add("the TLB holds the free VMID ", vmid) }
    }
  }
}
