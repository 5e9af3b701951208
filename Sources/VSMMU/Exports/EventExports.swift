// SPDX-License-Identifier: MIT
// Section 6 of vsmmuv3_host.h: the events of assigned devices.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import VSMMUShared

@implementation @_cdecl("vsmmu_event_fd")
public func vsmmu_event_fd(_ vsmmu: OpaquePointer?) -> Int32 {
  onHost(vsmmu) { (_, nesting) throws(Refusal) in try nesting.eventFile() }
}

@implementation @_cdecl("vsmmu_event_run")
public func vsmmu_event_run(_ vsmmu: OpaquePointer?) -> Int32 {
  onHost(vsmmu) { (instance, nesting) throws(Refusal) in
    try instance.covering { () throws(Refusal) in Int32(try nesting.takeEvents()) }
  }
}

@implementation @_cdecl("vsmmu_event_thread")
public func vsmmu_event_thread(_ vsmmu: OpaquePointer?, _ on: UInt32) -> Int32 {
  guard let vsmmu else { return vsmmu_support_einval }
  guard on <= 1 else {
    return serially(vsmmu) { (_) throws(Refusal) -> Void in throw .invalid("on is not 0 or 1") }
  }
  guard on == 0 else { return startEventThread(vsmmu) }
  return with(vsmmu) { instance in
    // Joined outside of the lock, which the thread may be waiting for.
    var thread: EventThread?
    let code = instance.serially { () throws(Refusal) in
      // One that has outlived its host can be stopped too.
      if instance.eventThread == nil { _ = try instance.virtual.requireNesting(or: .enodev) }
      thread = instance.eventThread
      instance.eventThread = nil
      return 0
    }
    thread?.stop()
    return Int32(truncatingIfNeeded: code)
  }
}

private func startEventThread(_ vsmmu: OpaquePointer) -> Int32 {
  let file = vsmmu_event_fd(vsmmu)
  guard file >= 0 else { return file }
  return serially(vsmmu) { (instance) throws(Refusal) -> Void in
    if instance.eventThread != nil { return }
    try instance.covering { () throws(Refusal) in
      guard let thread = EventThread.start(instance, file: file) else {
        throw Refusal(vsmmu_support_enomem, Sentence("no thread for events could be started"))
      }
      instance.eventThread = thread
    }
  }
}
