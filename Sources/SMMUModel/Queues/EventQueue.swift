// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The event queue (§7.2, §7.4). Called by any thread whose access faulted.
extension SMMU: EventSink {
  private enum Outcome {
    /// Where, and the interrupt if the queue was empty.
    case recorded(PhysicalAddress, DueInterrupt?)
    case dropped
    case aborted(DueInterrupt?)
    /// The queue that it belongs to is no more.
    case gone
  }

  func post(_ record: EventRecord, in queue: UInt64) { post(record, of: queue) }

  /// Writes a record, or drops it as the architecture says. `queue` is the one that it belongs to
  /// (`ControlEra.queue`), nil for the one that there is.
  func post(_ record: EventRecord, of queue: UInt64? = nil) {
    eventLock.lock()
    let isGone = queue.map { $0 != control.era.queue } ?? false
    let outcome = isGone ? Outcome.gone : place(record)
    eventLock.unlock()
    switch outcome {
    case .recorded(let address, let interrupt):
      counters.add(.eventsRecorded)
      bus.noteWritten(address, EventRecord.bytes)
      tell(interrupt)
    case .dropped:
      counters.add(.eventsDropped)
      machine.report(.eventsDropped)
    case .aborted(let interrupt):
      counters.add(.eventsDropped)
      machine.report(.eventQueueAbort)
      tell(interrupt)
    case .gone: break
    }
  }

  /// Records were lost in a queue that hardware has before this one. Where this one is full, that
  /// is its overflow; where it has room, software must not be told of one (§7.4).
  func noteLost() {
    eventLock.lock()
    if isRecording { _ = overflows(registers[.eventqProd], registers[.eventqCons]) }
    eventLock.unlock()
  }

  private var isRecording: Bool {
    registers.flag(.cr0ack, CR0.eventqen) && !isActive(GlobalError.eventqAbort)
  }

  /// Whether a record finds no room, which is then indicated. §7.4: an overflow that software has
  /// not acknowledged yet is not indicated twice.
  private func overflows(_ producer: UInt64, _ consumer: UInt64) -> Bool {
    guard eventRing.isFull(producer: producer, consumer: consumer) else { return false }
    if producer[31] == consumer[31] {
      registers[.eventqProd] = producer ^ QueueIndex.overflow.mask
    }
    return true
  }

  private func place(_ record: EventRecord) -> Outcome {
    guard isRecording else { return .dropped }
    let ring = eventRing
    let producer = registers[.eventqProd]
    let consumer = registers[.eventqCons]
    guard !overflows(producer, consumer) else { return .dropped }
    let address = PhysicalAddress(ring.address(producer))
    do throws(BusAbort) {
      try bus.store(address, record)
    } catch {
      return .aborted(activate(GlobalError.eventqAbort))
    }
    let wasEmpty = (producer ^ consumer) & ring.mask == 0
    registers[.eventqProd] = producer & QueueIndex.overflow.mask | ring.next(producer)
    return .recorded(address, wasEmpty ? due(.eventQueue) : nil)
  }
}
