// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@testable import SMMUModel

/// A queue as a list: indices are counts of what was ever produced and consumed, never wrapped.
private struct NaiveRing {
  let capacity: Int
  /// The hardware index of a count: its place, and whether it went round an odd number of times.
  func index(_ count: Int) -> UInt64 {
    UInt64(count % capacity + (count / capacity % 2) * capacity)
  }
}

@Suite("Ring arithmetic")
struct RingTests {
  private func ring(_ log2: UInt64, base: UInt64 = 0x10000) -> Ring {
    Ring(base: base | log2, most: 19, entryBytes: 16)
  }

  @Test(
    "all index pairs agree with a list (R-145, R-146, R-147)", arguments: [0, 1, 2, 3, 4])
  func exhaustive(log2: Int) {
    let ring = ring(UInt64(log2))
    let naive = NaiveRing(capacity: 1 << log2)
    #expect(ring.capacity == UInt64(naive.capacity))
    #expect(ring.mask == UInt64(2 * naive.capacity - 1))
    for consumed in 0..<2 * naive.capacity {
      let consumer = naive.index(consumed)
      #expect(ring.slot(consumer) == UInt64(consumed % naive.capacity))
      #expect(ring.next(consumer) == naive.index(consumed + 1))
      for count in 0...naive.capacity {
        let producer = naive.index(consumed + count)
        #expect(ring.count(producer: producer, consumer: consumer) == UInt64(count))
        #expect(
          ring.isFull(producer: producer, consumer: consumer) == (count == naive.capacity))
      }
    }
  }

  @Test("indices further apart than the queue is long contradict each other (R-156)")
  func contradictions() {
    for log2 in 0...4 {
      let ring = ring(UInt64(log2))
      let naive = NaiveRing(capacity: 1 << log2)
      var pairs = 0
      for consumer in 0...ring.mask {
        for producer in 0...ring.mask {
          if ring.count(producer: producer, consumer: consumer) != nil { continue }
          pairs += 1
          #expect(ring.isFull(producer: producer, consumer: consumer))
        }
      }
      // 2n indices have 2n * 2n pairs, of which 2n * (n + 1) are right.
      #expect(pairs == 2 * naive.capacity * (naive.capacity - 1))
    }
  }

  @Test("bits above the wrap bit have no effect (R-154)")
  func highBits() {
    let ring = ring(3)
    for consumer in 0...ring.mask {
      for producer in 0...ring.mask {
        #expect(
          ring.count(producer: producer | 0xffff0, consumer: consumer | 0x8000_0000)
            == ring.count(producer: producer, consumer: consumer))
        #expect(
          ring.isFull(producer: producer | 0xffff0, consumer: consumer)
            == ring.isFull(producer: producer, consumer: consumer))
      }
      #expect(ring.address(consumer | 0xffff0) == ring.address(consumer))
    }
  }

  @Test("the size is capped by what the ID registers allow (R-148)")
  func caps() {
    for most in 0...19 {
      for written in 0..<UInt64(32) {
        let ring = Ring(base: written, most: most, entryBytes: 16)
        #expect(ring.log2Size == min(Int(written), most))
      }
    }
  }

  @Test("the base is aligned to the queue's size, at least 32 bytes (R-149)")
  func alignment() {
    let address: UInt64 = 0x00ff_ffff_ffff_ffe0
    for bytes: UInt64 in [16, 32] {
      for log2 in 0..<UInt64(20) {
        let ring = Ring(base: address | log2, most: 19, entryBytes: bytes)
        let size = max(bytes << log2, 32)
        #expect(ring.base == address - address % size)
        #expect(ring.address(ring.mask) == ring.base + (ring.capacity - 1) * bytes)
      }
    }
    // A size above the cap does not align more than the cap does.
    #expect(Ring(base: 0xffe0 | 31, most: 4, entryBytes: 16).base == 0xff00)
  }
}
