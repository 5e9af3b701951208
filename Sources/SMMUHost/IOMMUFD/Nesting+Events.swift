// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

extension Nesting {
  /// The file that is readable while events are waiting.
  public func eventFile() throws(Refusal) -> Int32 {
    do throws(Errno) {
      let file = try events.open()
      try direct.events.watch(by: file)
      return file
    } catch {
      throw Refusal(error, trying: "make an epoll instance")
    }
  }

  /// How many events one call moves.
  public static var eventsPerCall: Int { 1024 }

  /// Moves waiting events to the guest's queue, as many as one call does; returns how many were
  /// there, those of devices that have gone meanwhile among them. 0: none is left.
  public func takeEvents() throws(Refusal) -> Int {
    try takeEvents { (each) throws(Errno) in
      try events.take(iommufd, most: Self.eventsPerCall, each)
    }
  }

  /// All that a device has faulted with, before another may have its name. It takes as long as the
  /// queue is, so this is for what its host does with a device.
  func takeAllEvents() {
    _ = try? takeEvents { (each) throws(Errno) in try events.takeAll(iommufd, each) }
  }

  private func takeEvents(
    _ read: ((VEvent) -> Void) throws(Errno) -> Int
  ) throws(Refusal) -> Int {
    retryEventQueue()
    takeDirectErrors()
    var lost: UInt64 = 0
    do throws(Errno) {
      let count = try read { event in
        switch event {
        case .record(let record): pass(record)
        case .lost(let some):
          lost &+= some
          // Here, behind what came before them: whether the guest's queue was full then.
          smmu.recordLoss()
        }
      }
      if lost > 0 { tellLost(lost) }
      return count
    } catch {
      throw Refusal(error, trying: "read the vIOMMU's events")
    }
  }

  /// A device that has gone meanwhile is no longer the guest's.
  private func pass(_ record: EventRecord) {
    let stream = StreamID(truncatingIfNeeded: record[EventRecord.streamID])
    guard streams.index(of: stream) != nil else { return }
    smmu.record(record)
    counters.events &+= 1
  }

  /// On a thread that has no caller to tell; false after a failure.
  public func takeEventsQuietly() -> Bool {
    do throws(Refusal) {
      _ = try takeEvents()
      return true
    } catch {
      fail(error.errno, trying: "read the vIOMMU's events")
      return false
    }
  }

  /// A queue that could not be had when the guest turned its own on.
  func retryEventQueue() {
    if objects != nil && smmu.eventQueue.isOn && !events.isOn { eventQueueChanged() }
  }

  private func tellLost(_ lost: UInt64) {
    counters.eventsLost &+= lost
    say { sentence in
      sentence.append("the host kernel lost ")
      sentence.append(lost)
      sentence.append(" events of the guest's devices before they could be read")
    }
  }
}
