// SPDX-License-Identifier: MIT
import SMMUSpec

/// The event queue (§7.2, §7.4). Called by any thread whose access faulted.
extension SMMU {
  private enum Outcome { case recorded(wasEmpty: Bool), dropped, aborted }

  /// Writes a record, or drops it as the architecture says.
  func post(_ record: EventRecord) {
    eventLock.lock(machine)
    let outcome = place(record)
    eventLock.unlock()
    // Told outside the lock, after the cause is visible (§3.18).
    switch outcome {
    case .recorded(let wasEmpty):
      counters.add(.eventsRecorded)
      if wasEmpty { interrupt(.eventQueue) }
    case .dropped:
      counters.add(.eventsDropped)
      machine.report(.eventsDropped)
    case .aborted:
      counters.add(.eventsDropped)
      machine.report(.eventQueueAbort)
      raise(GlobalError.eventqAbort)
    }
  }

  private func place(_ record: EventRecord) -> Outcome {
    guard registers.flag(.cr0ack, CR0.eventqen), !isActive(GlobalError.eventqAbort) else {
      return .dropped
    }
    let ring = eventRing
    let producer = registers[.eventqProd], consumer = registers[.eventqCons]
    guard !ring.isFull(producer: producer, consumer: consumer) else {
      // §7.4: an overflow that software has not acknowledged yet is not indicated twice.
      if producer[31] == consumer[31] {
        registers.publish(.eventqProd, producer ^ QueueIndex.overflow.mask)
      }
      return .dropped
    }
    do throws(BusAbort) {
      try store(ring.address(producer), 4) { record.words[$0] }
    } catch {
      return .aborted
    }
    let wasEmpty = (producer ^ consumer) & ring.mask == 0
    registers.publish(.eventqProd, producer & QueueIndex.overflow.mask | ring.next(producer))
    return .recorded(wasEmpty: wasEmpty)
  }
}
