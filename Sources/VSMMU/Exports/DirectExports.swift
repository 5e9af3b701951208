// SPDX-License-Identifier: MIT
// Section 8 of vsmmuv3_host.h: command queues of the host's that the guest drives.
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUSpec
import VSMMUShared

/// The host side of a vSMMU whose guest has direct command queues.
private func requireDirect(_ instance: Instance) throws(Refusal) -> Nesting {
  guard let nesting = instance.virtual.nesting, nesting.hasDirectQueues else {
    throw Refusal(.enodev, "the guest has no direct command queues (vsmmu_negotiation_report)")
  }
  return nesting
}

@implementation @_cdecl("vsmmu_direct_page")
public func vsmmu_direct_page(
  _ vsmmu: OpaquePointer?, _ page: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
  _ length: UnsafeMutablePointer<UInt64>?
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    guard let page, let length else { throw .invalid("page or length is NULL") }
    guard let found = try requireDirect(instance).directPageForGuest else {
      throw Refusal(.enodev, "no device is attached, and with it no page of the host's SMMU")
    }
    (page.pointee, length.pointee) = (found, DirectFrameMap.pageSize)
  }
}

/// The frame that an access may be to, which the guest has seen then.
private func frame(
  of instance: Instance, at offset: UInt64, width: UInt32
) throws(Refusal) -> Nesting {
  guard width == 1 || width == 2 || width == 4 || width == 8 else {
    throw .invalid("width is not 1, 2, 4 or 8")
  }
  guard offset < DirectFrameMap.size else { throw .invalid("offset is outside the frame") }
  let nesting = try requireDirect(instance)
  instance.virtual.freeze()
  return nesting
}

@implementation @_cdecl("vsmmu_direct_read")
public func vsmmu_direct_read(
  _ vsmmu: OpaquePointer?, _ offset: UInt64, _ width: UInt32, _ value: UnsafeMutablePointer<UInt64>?
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    guard let value else { throw .invalid("value is NULL") }
    value.pointee = try frame(of: instance, at: offset, width: width).readDirect(
      at: offset, width: Int(width))
  }
}

@implementation @_cdecl("vsmmu_direct_write")
public func vsmmu_direct_write(
  _ vsmmu: OpaquePointer?, _ offset: UInt64, _ width: UInt32, _ value: UInt64
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try frame(of: instance, at: offset, width: width).writeDirect(
      value, at: offset, width: Int(width))
  }
}
