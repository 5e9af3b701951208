// SPDX-License-Identifier: MIT
// Section 3 of the header.
import CSupport
import CVSMMU
import SMMUAtomics
import SMMUBase
import SMMUModel
import VSMMUShared

@implementation @_cdecl("vsmmu_create")
public func vsmmu_create(
  _ config: UnsafePointer<vsmmu_config>?, _ ops: UnsafePointer<vsmmu_ops>?,
  _ opaque: UnsafeMutableRawPointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ message: UnsafeMutablePointer<CChar>?, _ message_size: Int
) -> Int32 {
  do throws(Refusal) {
    guard let out else { throw .invalid("out is NULL") }
    Thread.watchForks()
    var configCopy = vsmmu_config()
    try copyIn(config, named: "config", least: 8, into: &configCopy)
    var opsCopy = vsmmu_ops()
    try copyIn(ops, named: "ops", least: 8, into: &opsCopy)
    out.pointee = try reserving(Need.call, orThrow: .noMemory) { () throws(Refusal) in
      InstanceHandle.make(try Instance.make(configCopy, ops: opsCopy, opaque: opaque))
    }
    Sentence().copy(to: message, message_size)
    return 0
  } catch {
    error.sentence.copy(to: message, message_size)
    return error.code
  }
}

@implementation @_cdecl("vsmmu_destroy")
public func vsmmu_destroy(_ vsmmu: OpaquePointer?) {
  guard let vsmmu else { return }
  InstanceHandle.destroy(vsmmu)
}

@implementation @_cdecl("vsmmu_reset")
public func vsmmu_reset(_ vsmmu: OpaquePointer?) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in instance.smmu.reset() }
}

@implementation @_cdecl("vsmmu_error_message")
public func vsmmu_error_message(
  _ vsmmu: OpaquePointer?, _ message: UnsafeMutablePointer<CChar>?, _ message_size: Int
) -> Int32 {
  guard let vsmmu else { return vsmmu_support_einval }
  return with(vsmmu) { $0.copyRefusal(to: message, message_size) }
}
