// SPDX-License-Identifier: MIT
// Section 4 of vsmmuv3_host.h: assigned devices.
import CKernel
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUSpec
import VSMMUShared

extension vsmmu_device {
  fileprivate var checkedSource: DeviceSource {
    get throws(Refusal) {
      let known =
        VSMMU_DEVICE_FD | VSMMU_DEVICE_BOUND | VSMMU_DEVICE_UNNUMBERED | VSMMU_DEVICE_NEEDS_ATS
      guard flags & ~known == 0 else {
        throw .invalid("device.flags has a bit set that this library does not know")
      }
      guard reserved == 0 else { throw .invalid("device.reserved is not 0") }
      let hasFile = flags & VSMMU_DEVICE_FD != 0
      guard !hasFile || fd >= 0 else {
        throw .invalid("device.flags has VSMMU_DEVICE_FD, but device.fd is negative")
      }
      if flags & VSMMU_DEVICE_BOUND != 0 { return .bound(hasFile ? fd : nil, id: devid) }
      if hasFile { return .file(fd) }
      guard let path else { throw .invalid("device.path is NULL") }
      return .path(path)
    }
  }

  fileprivate var checkedStream: StreamID? {
    get throws(Refusal) {
      guard flags & VSMMU_DEVICE_UNNUMBERED != 0 else { return stream }
      guard stream == 0 else {
        throw .invalid("device.flags has VSMMU_DEVICE_UNNUMBERED, but device.stream is not 0")
      }
      return nil
    }
  }
}

extension DeviceName {
  /// A StreamID, or VSMMU_BY_DEVID.
  static func named(_ device: UInt64) throws(Refusal) -> DeviceName {
    let number = UInt32(truncatingIfNeeded: device)
    switch device >> 32 {
    case 0: return .stream(number)
    case 1: return .id(number)
    default: throw .invalid("device is neither a StreamID nor VSMMU_BY_DEVID")
    }
  }
}

/// Runs a serial call about a device.
private func serially(
  _ vsmmu: OpaquePointer?, on device: UInt64,
  _ body: (VirtualSMMU, DeviceName) throws(Refusal) -> Int32
) -> Int32 {
  Int32(
    truncatingIfNeeded: serially(vsmmu) { (instance) throws(Refusal) -> Int64 in
      let name = try DeviceName.named(device)
      return try instance.covering { () throws(Refusal) in
        Int64(try body(instance.virtual, name))
      }
    })
}

@implementation @_cdecl("vsmmu_device_attach")
public func vsmmu_device_attach(
  _ vsmmu: OpaquePointer?, _ device: UnsafeMutablePointer<vsmmu_device>?
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    var copy = vsmmu_device()
    try copyIn(device.map { UnsafePointer($0) }, named: "device", least: 12, into: &copy)
    let source = try copy.checkedSource
    let stream = try copy.checkedStream
    let needsATS = copy.flags & VSMMU_DEVICE_NEEDS_ATS != 0
    let id = try instance.covering { () throws(Refusal) in
      try instance.virtual.attach(source, as: stream, needsATS: needsATS)
    }
    // Of a smaller struct it is behind the end.
    if let device, copy.size >= 20 { device.pointee.devid = id }
  }
}

@implementation @_cdecl("vsmmu_device_detach")
public func vsmmu_device_detach(_ vsmmu: OpaquePointer?, _ device: UInt64) -> Int32 {
  serially(vsmmu, on: device) { (virtual, name) throws(Refusal) in
    try virtual.detach(name)
    return 0
  }
}

@implementation @_cdecl("vsmmu_device_renumber")
public func vsmmu_device_renumber(
  _ vsmmu: OpaquePointer?, _ device: UInt64, _ other: UInt64
) -> Int32 {
  serially(vsmmu, on: device) { (virtual, name) throws(Refusal) in
    guard other == VSMMU_UNNUMBERED || other >> 32 == 0 else {
      throw .invalid("other is neither a StreamID nor VSMMU_UNNUMBERED")
    }
    let stream = other == VSMMU_UNNUMBERED ? nil : StreamID(truncatingIfNeeded: other)
    try virtual.renumber(name, to: stream)
    return 0
  }
}

@implementation @_cdecl("vsmmu_device_reset")
public func vsmmu_device_reset(_ vsmmu: OpaquePointer?, _ device: UInt64) -> Int32 {
  serially(vsmmu, on: device) { (virtual, name) throws(Refusal) in
    try virtual.resetDevice(name)
    return 0
  }
}

@implementation @_cdecl("vsmmu_device_fd")
public func vsmmu_device_fd(_ vsmmu: OpaquePointer?, _ device: UInt64) -> Int32 {
  serially(vsmmu, on: device) { (virtual, name) throws(Refusal) in try virtual.deviceFile(name) }
}

@implementation @_cdecl("vsmmu_get_device_info")
public func vsmmu_get_device_info(
  _ vsmmu: OpaquePointer?, _ device: UInt64, _ info: UnsafeMutablePointer<vsmmu_device_info>?
) -> Int32 {
  serially(vsmmu, on: device) { (virtual, name) throws(Refusal) in
    let found = vsmmu_device_info(try virtual.information(of: name))
    try copyOut(found, to: info, named: "info", least: 8)
    return 0
  }
}

extension vsmmu_device_info {
  fileprivate init(_ found: DeviceInformation) {
    self.init()
    let facts = found.facts
    flags = VSMMU_INFO_COHERENT
    add(VSMMU_INFO_NUMBERED, if: found.stream != nil)
    add(VSMMU_INFO_MAY_STALL, if: facts.mayStall)
    add(VSMMU_INFO_PASID_EXECUTE, if: facts.has(IOMMUFD_HW_CAP_PASID_EXEC))
    add(VSMMU_INFO_PASID_PRIVILEGED, if: facts.has(IOMMUFD_HW_CAP_PASID_PRIV))
    add(VSMMU_INFO_ATS, if: facts.mayUseATS)
    add(VSMMU_INFO_ATS_REQUIRED, if: facts.needsATS)
    add(VSMMU_INFO_FAILED, if: found.isFailed)
    devid = found.id
    stream = found.stream ?? 0
    (vdevice, viommu, parent) = (found.vdevice, found.viommu, found.parent)
    (attached, hwpt) = Self.numbers(found.attachment)
    pasid_bits = UInt32(truncatingIfNeeded: facts.maxPASIDBits)
    idr = facts.information.idr
    (iidr, aidr) = (facts.information.iidr, facts.information.aidr)
  }

  // Not inlined: flags in a row would become a tree of all their combinations.
  @inline(never)
  private mutating func add(_ flag: UInt32, if holds: Bool) {
    if holds { flags |= flag }
  }

  private static func numbers(
    _ attachment: DeviceInformation.Attachment
  ) -> (attached: UInt32, hwpt: UInt32) {
    switch attachment {
    case .nothing: (VSMMU_ATTACHED_NOTHING, 0)
    case .abort(let hwpt): (VSMMU_ATTACHED_ABORT, hwpt)
    case .bypass(let hwpt): (VSMMU_ATTACHED_BYPASS, hwpt)
    case .stage1(let hwpt): (VSMMU_ATTACHED_STAGE1, hwpt)
    }
  }
}

extension DeviceFacts {
  /// One of IOMMUFD_HW_CAP_*.
  fileprivate func has(_ capability: UInt32) -> Bool { capabilities & UInt64(capability) != 0 }
}
