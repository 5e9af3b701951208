// SPDX-License-Identifier: MIT
// Section 6 of vsmmuv3_host.h: the events of assigned devices.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import VSMMUShared

@implementation @_cdecl("vsmmu_event_fd")
public func vsmmu_event_fd(_ vsmmu: OpaquePointer?) -> Int32 {
  onHost(vsmmu) { (_, side) throws(Refusal) in
    try hosted { () throws(HostError) in try side.eventFile() }
  }
}

@implementation @_cdecl("vsmmu_event_run")
public func vsmmu_event_run(_ vsmmu: OpaquePointer?) -> Int32 {
  onHost(vsmmu) { (device, side) throws(Refusal) in
    try device.covering { () throws(Refusal) in
      try hosted { () throws(HostError) in Int32(try side.takeEvents()) }
    }
  }
}

private func onHost(
  _ vsmmu: OpaquePointer?, _ body: (Device, HostSMMU) throws(Refusal) -> Int32
) -> Int32 {
  Int32(
    truncatingIfNeeded: serially(vsmmu) { (device) throws(Refusal) -> Int64 in
      guard let side = device.hostSide else {
        throw Refusal(-Errno.enodev.code, Sentence("the vSMMU was created without config.host"))
      }
      return Int64(try body(device, side))
    })
}

@implementation @_cdecl("vsmmu_event_thread")
public func vsmmu_event_thread(_ vsmmu: OpaquePointer?, _ on: UInt32) -> Int32 {
  let file = vsmmu_event_fd(vsmmu)
  guard file >= 0 else { return file }
  guard let vsmmu else { return vsmmu_support_einval }
  return on != 0
    ? serially(vsmmu) { (device) throws(Refusal) -> Void in
      if device.eventThread != nil { return }
      try device.covering { () throws(Refusal) in
        guard let thread = EventThread.start(device, file: file) else {
          throw Refusal(vsmmu_support_enomem, Sentence("no thread for events could be started"))
        }
        device.eventThread = thread
      }
    }
    : with(vsmmu) { device in
      // Joined outside of the lock, which the thread may be waiting for.
      var thread: EventThread?
      let code = device.serially { () throws(Refusal) in
        thread = device.eventThread
        device.eventThread = nil
        return 0
      }
      thread?.stop()
      return Int32(truncatingIfNeeded: code)
    }
}
