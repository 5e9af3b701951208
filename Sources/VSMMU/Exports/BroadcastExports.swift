// SPDX-License-Identifier: MIT
// Section 7 of vsmmuv3_host.h.
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

@implementation @_cdecl("vsmmu_dvm")
public func vsmmu_dvm(_ vsmmu: OpaquePointer?, _ op: UnsafePointer<vsmmu_dvm_op>?) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    var copy = vsmmu_dvm_op()
    try copyIn(op, named: "op", least: 40, into: &copy)
    instance.smmu.broadcast(try TLBInvalidation(copy, hasVMIDs: instance.smmu.features.stage2))
  }
}
