// SPDX-License-Identifier: MIT
import SMMUSpec

/// The arithmetic of a circular queue (§3.5.1): indices are `log2Size` bits with a wrap bit above.
/// A size of 0 is a queue of one entry, whose indices are the wrap bit alone.
public struct Ring: Equatable, Sendable {
  public let base: UInt64
  public let log2Size: Int
  public let entryBytes: UInt64
  /// Index and wrap bits.
  public let mask: UInt64

  /// From a xQ_BASE register: the size is capped to what the ID registers allow, and the base is
  /// aligned to the queue's size, at least 32 bytes (§6.3.26).
  @inline(__always)
  public init(base register: UInt64, most: Int, entryBytes: UInt64) {
    log2Size = min(
      Int(truncatingIfNeeded: register[QueueBase.log2size.high, QueueBase.log2size.low]), most)
    self.entryBytes = entryBytes
    mask = UInt64.ones(log2Size + 1)
    let bytes = entryBytes &<< UInt64(truncatingIfNeeded: log2Size)
    base = (register & QueueBase.addr.mask) & ~(max(bytes, 32) &- 1)
  }

  @inline(__always)
  public var capacity: UInt64 { mask &>> 1 &+ 1 }

  /// Entries between the consumer and the producer, nil if the indices contradict each other.
  @inline(__always)
  public func count(producer: UInt64, consumer: UInt64) -> UInt64? {
    let distance = (producer &- consumer) & mask
    return distance <= capacity ? distance : nil
  }

  /// True as well where the indices contradict each other: nothing may be produced then (§3.5.1).
  @inline(__always)
  public func isFull(producer: UInt64, consumer: UInt64) -> Bool {
    (producer &- consumer) & mask >= capacity
  }

  @inline(__always)
  public func next(_ index: UInt64) -> UInt64 { (index &+ 1) & mask }

  @inline(__always)
  public func slot(_ index: UInt64) -> UInt64 { index & (capacity &- 1) }

  @inline(__always)
  public func address(_ index: UInt64) -> UInt64 { base &+ slot(index) &* entryBytes }
}
