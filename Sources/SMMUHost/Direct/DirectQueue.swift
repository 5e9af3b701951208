// SPDX-License-Identifier: MIT
import SMMUSpec

/// A queue of the guest's frame as its registers say, while the hardware does not have it. Where it
/// has, those that the user may access are in the hardware's page.
struct DirectQueue {
  var allocation: UInt32 = 0
  var base: UInt64 = 0
  var consumerBase: UInt64 = 0
  var cons: UInt32 = 0
  var prod: UInt32 = 0
  var config: UInt32 = 0
  var gerror: UInt32 = 0
  var gerrorn: UInt32 = 0
  /// The kernel refused it, and the guest has changed nothing since.
  var isRefused = false

  /// The interface's queue `index` is this one: no other order has an effect.
  func isAllocated(as index: Int) -> Bool {
    let map = UInt64(allocation)
    return map[DirectAllocation.allocated.low] && map[DirectAllocation.interface] == 0
      && map[DirectAllocation.queue] == UInt64(index)
  }

  var address: UInt64 { base & DirectQueueBase.address.mask }

  /// Bytes of its memory; the kernel judges whether a size is one.
  var length: UInt64 { 16 &<< base[DirectQueueBase.log2Size] }

  /// What the hardware is given back as: nothing of a run is left.
  mutating func stop() { (cons, prod, config) = (0, 0, 0) }

  /// The error is active, once.
  mutating func refuse() {
    isRefused = true
    let bit = UInt32(truncatingIfNeeded: DirectQueueFields.initError.mask)
    gerror = gerrorn ^ bit
  }
}
