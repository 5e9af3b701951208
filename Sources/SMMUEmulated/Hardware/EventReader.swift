// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// The driver's end of an event queue. Calls are serialised by its owner.
final class EventReader {
  private static var bits: Int { 9 }

  private let smmu: SMMU
  private let pages: PhysicalPages
  private let ring: Ring

  init(_ smmu: SMMU) {
    self.smmu = smmu
    let bits = min(Self.bits, smmu.features.eventQueueBits)
    pages = PhysicalPages(bytes: Int(EventRecord.bytes) << bits)
    ring = Ring(base: pages.address | UInt64(bits), most: bits, entryBytes: EventRecord.bytes)
  }

  deinit { pages.deallocate() }

  /// EVENTQ_BASE, with WA.
  var base: UInt64 { pages.address | UInt64(ring.log2Size) | QueueBase.hint.mask }

  /// The records that wait, oldest first; acknowledges an overflow.
  func take() -> [EventRecord] {
    let producer = smmu[.queue(.prod, .event)]
    var consumer = smmu[.queue(.cons, .event)]
    var records: [EventRecord] = []
    while (consumer ^ producer) & ring.mask != 0 {
      var record = EventRecord()
      let slot = ring.address(consumer)
      for i in 0..<4 { record[word: i] = PhysicalWord(slot + UInt64(i) * 8).value }
      records.append(record)
      consumer = ring.next(consumer)
    }
    if consumer != smmu[.queue(.cons, .event)] || producer[31] != smmu[.queue(.cons, .event)][31] {
      smmu[.queue(.cons, .event)] = consumer & ring.mask | producer & QueueIndex.overflow.mask
    }
    return records
  }
}
