// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

extension HostSMMU {
  /// The file that is readable while events are waiting.
  public func eventFile() throws(HostError) -> Int32 {
    do throws(Errno) { return try events.open() } catch {
      throw HostError(error, trying: "make an epoll instance")
    }
  }

  /// Moves waiting events to the guest's queue; returns how many. That the kernel lost some is for
  /// the host's operator: the guest's own queue did not overflow.
  public func takeEvents() throws(HostError) -> Int {
    var count = 0
    retryEventQueue()
    do throws(Errno) {
      let lost = try events.take(iommufd) { record in
        // A device that has gone meanwhile is no longer the guest's.
        let stream = StreamID(truncatingIfNeeded: record[EventRecord.streamID])
        guard index(of: stream) != nil else { return }
        smmu.record(record)
        count += 1
      }
      counters.events &+= UInt64(count)
      if lost > 0 { tellLost(lost) }
      return count
    } catch {
      throw HostError(error, trying: "read the vIOMMU's events")
    }
  }

  /// On a thread that has no caller to tell; false after a failure.
  public func takeEventsQuietly() -> Bool {
    do throws(HostError) {
      _ = try takeEvents()
      return true
    } catch {
      fail(error.errno, "read the vIOMMU's events")
      return false
    }
  }

  /// A queue that could not be had when the guest turned its own on.
  func retryEventQueue() {
    if objects != nil && smmu.eventQueue.isOn && !events.isOn { eventQueueChanged() }
  }

  private func tellLost(_ lost: UInt64) {
    counters.eventsLost &+= lost
    listener.hostSays(
      Sentence(or: "the host kernel lost events of the guest's devices") { sentence in
        sentence.append("the host kernel lost ")
        sentence.append(lost)
        sentence.append(" events of the guest's devices before they could be read")
      })
  }
}
