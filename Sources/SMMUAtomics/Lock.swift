// SPDX-License-Identifier: MIT
import CSupport

/// A lock for sections of a few dozen instructions. Who finds it held spins briefly, then sleeps;
/// the kernel lends the holder the priority of whoever waits, and hands the lock over in order of
/// priority. So nobody starves, and a waiter of SCHED_FIFO does not keep the holder from running.
public struct Lock {
  /// The holder's number, 0 if there is none; the kernel adds a flag when somebody waits.
  private let holder: UnsafeMutablePointer<Atomic<UInt32>>
  private static var spins: Int { 64 }

  public init() {
    holder = .allocate(capacity: 1)
    holder.initialize(to: Atomic(0))
  }

  public func deallocate() {
    holder.deinitialize(count: 1)
    holder.deallocate()
  }

  @inline(never)
  public func lock() {
    #if EXPLORE
      if let explorer { return explorer.lock(holder) }
    #endif
    let me = vsmmu_support_thread()
    let (isMine, _) = holder.pointee.compareExchange(
      expected: 0, desired: me, ordering: .acquiring)
    if _slowPath(!isMine) { wait(me) }
  }

  @inline(never)
  private func wait(_ me: UInt32) {
    for _ in 0..<Self.spins where holder.pointee.load(ordering: .relaxed) == 0 {
      let (isMine, _) = holder.pointee.compareExchange(
        expected: 0, desired: me, ordering: .acquiring)
      if isMine { return }
    }
    vsmmu_support_lock_slowly(word)
  }

  @inline(never)
  public func unlock() {
    #if EXPLORE
      if let explorer { return explorer.unlock(holder) }
    #endif
    let (isDone, _) = holder.pointee.compareExchange(
      expected: vsmmu_support_thread(), desired: 0, ordering: .releasing)
    if _slowPath(!isDone) { vsmmu_support_unlock_slowly(word) }
  }

  /// Lets whoever waits have it in between. For long work.
  @inline(never)
  public func giveWay() {
    unlock()
    lock()
  }

  private var word: UnsafeMutablePointer<UInt32> {
    UnsafeMutableRawPointer(holder).assumingMemoryBound(to: UInt32.self)
  }
}
