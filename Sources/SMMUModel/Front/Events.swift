// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The SMMU's event queue, EVENTQ. Called by any thread whose access faulted.
extension SMMU: EventSink {
  func post(_ record: EventRecord, in queue: UInt64) { post(record, of: queue) }

  /// Posts a record to the queue that it belongs to (`ControlEra.queue`), nil for the one that
  /// there is. Of a queue that is no more nothing is told.
  func post(_ record: EventRecord, of queue: UInt64? = nil) {
    var interrupt: DueInterrupt?
    eventLock.lock()
    let isGone = queue.map { $0 != control.era.queue } ?? false
    let fate = isGone ? nil : events.post(record, self)
    switch fate {
    case .recorded(_, wasEmpty: true): interrupt = due(.eventQueue)
    case .aborted: interrupt = activate(GlobalError.eventqAbort)
    case .recorded, .dropped, nil: break
    }
    eventLock.unlock()
    switch fate {
    case .recorded(let address, _):
      counters.add(.eventsRecorded)
      bus.noteWritten(PhysicalAddress(address), EventRecord.bytes)
    case .dropped:
      counters.add(.eventsDropped)
      machine.report(.eventsDropped)
    case .aborted:
      counters.add(.eventsDropped)
      machine.report(.eventQueueAbort)
    case nil: break
    }
    tell(interrupt)
  }

  /// Records were lost before they came here (`OutputQueue.noteLost`).
  func noteLost() {
    eventLock.lock()
    events.noteLost()
    eventLock.unlock()
  }
}
