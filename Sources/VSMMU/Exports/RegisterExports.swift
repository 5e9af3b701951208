// SPDX-License-Identifier: MIT
// Section 4 of the header.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

/// A register access as the caller may make it; what the guest may not is the SMMU's to say.
private func check(_ offset: UInt64, _ width: UInt32) throws(Refusal) {
  guard width == 1 || width == 2 || width == 4 || width == 8 else {
    throw .invalid("width is not 1, 2, 4 or 8")
  }
  guard offset < RegisterMap.frameSize else {
    throw .invalid("offset is outside the register frame")
  }
}

@implementation @_cdecl("vsmmu_mmio_read")
public func vsmmu_mmio_read(
  _ vsmmu: OpaquePointer?, _ offset: UInt64, _ width: UInt32, _ value: UnsafeMutablePointer<UInt64>?
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try check(offset, width)
    guard let value else { throw .invalid("value is NULL") }
    instance.virtual.freeze()
    value.pointee = instance.smmu.readRegister(at: offset, width: Int(width))
  }
}

@implementation @_cdecl("vsmmu_mmio_write")
public func vsmmu_mmio_write(
  _ vsmmu: OpaquePointer?, _ offset: UInt64, _ width: UInt32, _ value: UInt64
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try check(offset, width)
    instance.virtual.freeze()
    instance.smmu.writeRegister(at: offset, width: Int(width), value: value)
  }
}

@implementation @_cdecl("vsmmu_run")
public func vsmmu_run(_ vsmmu: OpaquePointer?, _ budget: UInt32) -> Int32 {
  Int32(
    truncatingIfNeeded: serially(vsmmu) { (instance) throws(Refusal) -> Int64 in
      let commands = budget == 0 ? instance.smmu.options.commandBudget : Int(budget)
      return instance.smmu.consumeCommands(commands) ? 1 : 0
    })
}
