// SPDX-License-Identifier: MIT
import SMMUAtomics

/// Knows which accesses are in progress, so that a CMD_SYNC can wait for those that may use what
/// was invalidated before it (§3.21.1, §4.7.3).
///
/// Each thread counts itself in and out in a cache line of its own, in the count of the current
/// epoch's parity. Waiting turns the epoch twice and waits for the parity left behind each time:
/// the second turn catches a thread that read the epoch before the first one but counted after it.
struct AccessGuard {
  private static var slots: Int { 64 }
  /// Words from one slot to the next: two cache lines, as prefetchers fetch pairs.
  private static var stride: Int { 16 }

  /// The epoch, and the set of slots that were ever used: waiting looks at those alone.
  private let epoch: UnsafeMutablePointer<Atomic<UInt64>>
  private let used: UnsafeMutablePointer<Atomic<UInt64>>
  private let counts: UnsafeMutablePointer<Atomic<UInt64>>

  init() {
    epoch = .allocate(capacity: 2)
    used = epoch + 1
    for i in 0..<2 { (epoch + i).initialize(to: Atomic(0)) }
    counts = .allocate(capacity: Self.slots * Self.stride)
    for i in 0..<Self.slots * Self.stride { (counts + i).initialize(to: Atomic(0)) }
  }

  func deallocate() {
    epoch.deallocate()
    counts.deallocate()
  }

  /// Threads differ in their stacks.
  @inline(__always)
  private var slot: Int {
    var local: UInt8 = 0
    return withUnsafeMutablePointer(to: &local) { pointer in
      let page = UInt64(UInt(bitPattern: pointer)) >> 16
      return Int(truncatingIfNeeded: (page &* 0x9e37_79b9_7f4a_7c15) >> 58)
    }
  }

  /// Counts this thread in; the token counts it out again, on any thread.
  @inline(__always)
  func begin() -> UInt64 {
    let parity = Int(truncatingIfNeeded: epoch.pointee.load(ordering: .relaxed) & 1)
    let slot = slot
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: slot)
    // Before the count: whoever does not see this slot waits for no access that has read anything.
    if _slowPath(used.pointee.load(ordering: .relaxed) & bit == 0) {
      used.pointee.bitwiseOr(bit, ordering: .sequentiallyConsistent)
    }
    let index = slot &* Self.stride &+ parity
    counts[index].wrappingAdd(1, ordering: .sequentiallyConsistent)
    // The count must be visible before anything of the access is read. On x86 the locked addition
    // sees to that; an exclusive pair of arm64 does not.
    #if !arch(x86_64) || EXPLORE
      atomicMemoryFence(ordering: .sequentiallyConsistent)
    #endif
    return UInt64(truncatingIfNeeded: index)
  }

  /// Total: a token that `begin` never returned cannot reach outside the table.
  @inline(__always)
  func end(_ token: UInt64) {
    let index = Int(truncatingIfNeeded: token) & (Self.slots * Self.stride - 1)
    counts[index].wrappingSubtract(1, ordering: .releasing)
  }

  /// Returns when every access that began before the call has ended; true if that took waiting. One
  /// thread at a time.
  @discardableResult
  func drain(_ machine: any Machine) -> Bool {
    var hasWaited = false
    // Whatever was invalidated is so for an access that is not counted yet when counts are read.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    for _ in 0..<2 {
      let old = Int(truncatingIfNeeded: epoch.pointee.load(ordering: .relaxed) & 1)
      epoch.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
      var left = used.pointee.load(ordering: .sequentiallyConsistent)
      while left != 0 {
        let slot = left.trailingZeroBitCount
        left &= left &- 1
        while counts[slot * Self.stride + old].load(ordering: .sequentiallyConsistent) != 0 {
          hasWaited = true
          machine.relax()
        }
      }
    }
    return hasWaited
  }
}
