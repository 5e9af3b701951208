// SPDX-License-Identifier: MIT
import CSupport

/// One thread sleeps until others ring.
///
/// No ring is lost: who waits says so, then looks at what it waits for; who rings has changed that,
/// then looks whether somebody waits. All four steps are sequentially consistent, so in their one
/// order either the change comes before the look at it, and nobody sleeps, or the waiter's word
/// comes before the look at that, and the count of rings moves on: the kernel does not let a thread
/// sleep on a count that has moved since the thread has read it.
public struct Bell {
  private let isAwaited: UnsafeMutablePointer<Atomic<UInt32>>
  private let rings: UnsafeMutablePointer<Atomic<UInt32>>

  public init() {
    isAwaited = .allocate(capacity: 2)
    rings = isAwaited + 1
    for i in 0..<2 { (isAwaited + i).initialize(to: Atomic(0)) }
  }

  public func deallocate() { isAwaited.deallocate() }

  /// To be called after the change, which is sequentially consistent.
  @inline(__always)
  public func ring() {
    if _slowPath(isAwaited.pointee.load(ordering: .sequentiallyConsistent) != 0) { ringAloud() }
  }

  @inline(never)
  private func ringAloud() {
    rings.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    #if EXPLORE
      if let explorer { return explorer.wake(rings) }
    #endif
    vsmmu_support_wake(word)
  }

  /// Sleeps until the next ring, unless `isDone`; the time may be up, or there may be no reason.
  /// One thread at a time.
  public func wait(milliseconds: UInt32, unless isDone: () -> Bool) {
    let heard = rings.pointee.load(ordering: .sequentiallyConsistent)
    isAwaited.pointee.store(1, ordering: .sequentiallyConsistent)
    if !isDone() { sleep(heard, milliseconds) }
    isAwaited.pointee.store(0, ordering: .relaxed)
  }

  private func sleep(_ heard: UInt32, _ milliseconds: UInt32) {
    #if EXPLORE
      if let explorer { return explorer.sleep(rings, while: UInt64(heard)) }
    #endif
    vsmmu_support_sleep_while(word, heard, milliseconds)
  }

  private var word: UnsafeMutablePointer<UInt32> {
    UnsafeMutableRawPointer(rings).assumingMemoryBound(to: UInt32.self)
  }
}
