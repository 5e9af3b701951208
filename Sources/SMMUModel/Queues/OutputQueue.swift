// SPDX-License-Identifier: MIT
import SMMUSpec

/// A queue that the SMMU writes (§3.5, §7.2, §7.4). Calls are under the lock of its registers.
struct OutputQueue<Port: OutputQueuePort> {
  let port: Port
  let entryBytes: UInt64

  /// What became of a record.
  enum Fate {
    /// It can be read; software has read all that came before, or has not.
    case recorded(address: UInt64, wasEmpty: Bool)
    /// The queue is off, stopped or full.
    case dropped
    /// It could not be written. For the caller it is to activate the error.
    case aborted
  }

  init(_ port: Port, entryBytes: UInt64) {
    self.port = port
    self.entryBytes = entryBytes
  }

  var ring: Ring { Ring(base: port.base, most: port.log2Most, entryBytes: entryBytes) }

  var isRecording: Bool { port.isEnabled && !port.isStopped }

  /// Writes a record, or drops it as the architecture says.
  func post(_ record: some Layout, _ memory: some QueueMemory) -> Fate {
    guard isRecording else { return .dropped }
    let ring = ring
    let producer = port.producer
    let consumer = port.consumer
    guard !overflows(ring, producer: producer, consumer: consumer) else { return .dropped }
    let address = ring.address(producer)
    do throws(BusAbort) {
      try memory.store(address, record)
    } catch {
      return .aborted
    }
    port.producer = producer & QueueIndex.overflow.mask | ring.next(producer)
    return .recorded(address: address, wasEmpty: (producer ^ consumer) & ring.mask == 0)
  }

  /// Records were lost in a queue that hardware has before this one. Where this one is full, that
  /// is its overflow; where it has room, software must not be told of one (§7.4).
  func noteLost() {
    if isRecording { _ = overflows(ring, producer: port.producer, consumer: port.consumer) }
  }

  /// Whether a record finds no room, which is then indicated. §7.4: an overflow that software has
  /// not acknowledged yet is not indicated twice.
  private func overflows(_ ring: Ring, producer: UInt64, consumer: UInt64) -> Bool {
    guard ring.isFull(producer: producer, consumer: consumer) else { return false }
    if producer[31] == consumer[31] { port.producer = producer ^ QueueIndex.overflow.mask }
    return true
  }
}
