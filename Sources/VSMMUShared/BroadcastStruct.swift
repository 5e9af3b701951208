// SPDX-License-Identifier: MIT
// The TLBI of an emulated CPU, as C has it.
import CVSMMU
import SMMUBase
import SMMUModel
import SMMUSpec

extension TLBInvalidation {
  /// A caller's operation, checked. What the kind does not use is not looked at.
  public init(_ op: vsmmu_dvm_op, hasVMIDs: Bool) throws(Refusal) {
    guard op.flags & ~(VSMMU_DVM_VMID8 | VSMMU_DVM_ASID8) == 0 else {
      throw .invalid("op.flags has a bit set that this library does not know")
    }
    guard op.reserved == 0 else { throw .invalid("op.reserved is not 0") }
    let vmid = hasVMIDs ? try op.checkedVMID : 0
    switch op.kind {
    case VSMMU_DVM_ALL: self = .everything
    case VSMMU_DVM_VMALLS12: self = .vmid(vmid)
    case VSMMU_DVM_VMALL: self = .stage1(vmid)
    case VSMMU_DVM_ASID: self = .asid(vmid, try op.checkedASID)
    case VSMMU_DVM_VA: self = .address(vmid, asid: try op.checkedASID, range: try op.checkedRange)
    case VSMMU_DVM_VAA: self = .address(vmid, asid: nil, range: try op.checkedRange)
    case VSMMU_DVM_IPA: self = .intermediate(vmid, try op.checkedRange)
    case VSMMU_DVM_EL2: self = .nothing
    default: throw .invalid("op.kind is no VSMMU_DVM_*")
    }
  }
}

extension vsmmu_dvm_op {
  fileprivate var checkedVMID: VMID {
    get throws(Refusal) {
      // Scopes without a VMID ignore it.
      if kind == VSMMU_DVM_ALL || kind == VSMMU_DVM_EL2 { return 0 }
      let limit: UInt32 = flags & VSMMU_DVM_VMID8 != 0 ? 0xff : 0xffff
      guard vmid <= limit else { throw .invalid("op.vmid has more bits than the CPU's VMIDs") }
      return VMID(vmid)
    }
  }

  fileprivate var checkedASID: ASID {
    get throws(Refusal) {
      let limit: UInt32 = flags & VSMMU_DVM_ASID8 != 0 ? 0xff : 0xffff
      guard asid <= limit else { throw .invalid("op.asid has more bits than the CPU's ASIDs") }
      return ASID(asid)
    }
  }

  fileprivate var checkedRange: AddressRange {
    get throws(Refusal) {
      guard address <= last else { throw .invalid("op.last is below op.address") }
      return AddressRange(first: address, last: last)
    }
  }
}
