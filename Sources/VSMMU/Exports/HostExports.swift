// SPDX-License-Identifier: MIT
// Sections 2, 3, 5 and 6 of vsmmuv3_host.h: the host, and what is decided with it.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

@implementation @_cdecl("vsmmu_host_open")
public func vsmmu_host_open(
  _ config: UnsafePointer<vsmmu_host_config>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ message: UnsafeMutablePointer<CChar>?, _ message_size: Int
) -> Int32 {
  do throws(Refusal) {
    guard let out else { throw .invalid("out is NULL") }
    var copy = vsmmu_host_config()
    if config != nil { try copyIn(config, named: "config", least: 8, into: &copy) }
    out.pointee = try reserving(Need.call, orThrow: .noMemory) { () throws(Refusal) in
      OpaquePointer(Unmanaged.passRetained(try Host.open(copy)).toOpaque())
    }
    Sentence().copy(to: message, message_size)
    return 0
  } catch {
    error.sentence.copy(to: message, message_size)
    return error.code
  }
}

@implementation @_cdecl("vsmmu_host_close")
public func vsmmu_host_close(_ host: OpaquePointer?) -> Int32 {
  guard let host else { return 0 }
  let handle = Unmanaged<Host>.fromOpaque(UnsafeRawPointer(host))
  guard !handle._withUnsafeGuaranteedRef({ $0.isUsed }) else { return -Errno.ebusy.code }
  handle.release()
  return 0
}

@implementation @_cdecl("vsmmu_set_host")
public func vsmmu_set_host(
  _ vsmmu: OpaquePointer?, _ host: OpaquePointer?, _ ioas: UInt32, _ parent_hwpt: UInt32
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try instance.covering { () throws(Refusal) in
      if let host {
        let place = try HostPlace(host, ioas: ioas, parent: parent_hwpt)
        return try place.join(instance.virtual, sharesVMID: instance.sharesVMID)
      }
      guard ioas == 0, parent_hwpt == 0 else {
        throw .invalid("ioas and parent_hwpt are of a host, but host is NULL")
      }
      try instance.virtual.part()
    }
  }
}

@implementation @_cdecl("vsmmu_freeze")
public func vsmmu_freeze(_ vsmmu: OpaquePointer?) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in instance.virtual.freeze() }
}

@implementation @_cdecl("vsmmu_msi_window")
public func vsmmu_msi_window(
  _ vsmmu: OpaquePointer?, _ first: UnsafeMutablePointer<UInt64>?,
  _ last: UnsafeMutablePointer<UInt64>?
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    guard let first, let last else { throw .invalid("first or last is NULL") }
    (first.pointee, last.pointee) = try instance.virtual.requireNesting(or: .enodev).messageWindow
  }
}

@implementation @_cdecl("vsmmu_get_host_counters")
public func vsmmu_get_host_counters(
  _ vsmmu: OpaquePointer?, _ counters: UnsafeMutablePointer<vsmmu_host_counters>?
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    let nesting = try instance.virtual.requireNesting()
    let found = nesting.counters
    var values = vsmmu_host_counters()
    values.devices = UInt32(instance.virtual.streams.assignedCount)
    values.invalidate_calls = found.invalidateCalls
    values.forwarded = found.forwarded
    values.withheld = found.withheld
    values.hwpts = found.nestedHWPTs
    values.attachments = found.attachments
    values.events = found.events
    values.events_lost = found.eventsLost
    values.failures = found.failures
    values.kept = UInt64(nesting.keptCount)
    values.direct_queues = UInt64(nesting.directQueueCount)
    try copyOut(values, to: counters, named: "counters", least: 8)
  }
}

@implementation @_cdecl("vsmmu_negotiation_report")
public func vsmmu_negotiation_report(
  _ vsmmu: OpaquePointer?, _ format: UInt32, _ text: UnsafeMutablePointer<CChar>?,
  _ capacity: UInt64
) -> Int64 {
  serially(vsmmu) { (instance) throws(Refusal) -> Int64 in
    guard text != nil || capacity == 0 else { throw .invalid("text is NULL") }
    return try instance.covering { () throws(Refusal) in
      let report = instance.virtual.currentReport
      let room = Int(min(capacity, UInt64(Int32.max)))
      switch format {
      case VSMMU_REPORT_TEXT: return Int64(report.writeText(to: text, capacity: room))
      case VSMMU_REPORT_JSON: return Int64(report.writeJSON(to: text, capacity: room))
      default: throw .invalid("format is no VSMMU_REPORT_*")
      }
    }
  }
}

@implementation @_cdecl("vsmmu_link_vm")
public func vsmmu_link_vm(_ vsmmu: OpaquePointer?, _ vm_fd: Int32, _ flags: UInt32) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    guard flags & ~(VSMMU_LINK_ON_DEMAND | VSMMU_LINK_TOLD) == 0 else {
      throw .invalid("flags has a bit set that this library does not know")
    }
    guard vm_fd >= 0 else { throw .invalid("vm_fd is negative") }
    try instance.covering { () throws(Refusal) in
      try instance.virtual.linkVM(
        vm_fd, onDemand: flags & VSMMU_LINK_ON_DEMAND != 0, isTold: flags & VSMMU_LINK_TOLD != 0)
    }
  }
}

@implementation @_cdecl("vsmmu_give_kvm_vfio")
public func vsmmu_give_kvm_vfio(_ vsmmu: OpaquePointer?, _ fd: Int32) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    guard fd >= 0 else { throw .invalid("fd is negative") }
    try instance.covering { () throws(Refusal) in
      try instance.virtual.requireNesting().giveVFIO(fd)
    }
  }
}

@implementation @_cdecl("vsmmu_kvm_vfio_fd")
public func vsmmu_kvm_vfio_fd(_ vsmmu: OpaquePointer?) -> Int32 {
  onHost(vsmmu) { (_, nesting) throws(Refusal) in try nesting.kvmVFIO() }
}
