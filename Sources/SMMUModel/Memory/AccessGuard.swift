// SPDX-License-Identifier: MIT
import SMMUAtomics

/// Knows which accesses are in progress, so that a CMD_SYNC can wait for those that may use what
/// was invalidated before it (§3.21.1, §4.7.3).
///
/// Each thread counts itself in and out in a cache line of its own, in the count of the current
/// phase's parity. Waiting turns the phase twice and waits for the parity left behind each time:
/// the second turn catches a thread that read the phase before the first one but counted after it.
///
/// A token is the place of the count [15:0], then what the `ledger` makes of it.
struct AccessGuard {
  private static var slots: Int { 32 }
  /// Words from one slot to the next: two cache lines, as prefetchers fetch pairs.
  private static var stride: Int { 16 }

  /// The phase, and the set of slots that were ever used: waiting looks at those alone.
  private let phase: UnsafeMutablePointer<Atomic<UInt64>>
  private let used: UnsafeMutablePointer<Atomic<UInt64>>
  private let counts: UnsafeMutablePointer<Atomic<UInt64>>
  /// Rung by whoever leaves.
  private let bell: Bell
  /// Who is inside, where that is to be checked.
  private let ledger: AccessLedger?
  /// Milliseconds after which a wait is told of.
  private let patience: UInt32

  init(patience: UInt32 = 1000, checks: Bool = false) {
    self.patience = patience
    phase = .allocate(capacity: 2)
    used = phase + 1
    for i in 0..<2 { (phase + i).initialize(to: Atomic(0)) }
    counts = .allocate(capacity: Self.slots * Self.stride)
    for i in 0..<Self.slots * Self.stride { (counts + i).initialize(to: Atomic(0)) }
    bell = Bell()
    ledger = checks ? AccessLedger() : nil
  }

  func deallocate() {
    phase.deallocate()
    counts.deallocate()
    bell.deallocate()
    ledger?.deallocate()
  }

  /// Threads that begin one after the other differ.
  @inline(__always)
  private var slot: Int { Int(truncatingIfNeeded: Thread.number) & (Self.slots &- 1) }

  /// Counts this thread in; the token counts it out again, on any thread.
  @inline(__always)
  func begin() -> UInt64 {
    let parity = Int(truncatingIfNeeded: phase.pointee.load(ordering: .relaxed) & 1)
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

  /// Total: a token that `begin` never returned cannot reach outside the table. False if nobody was
  /// counted in there: nothing is changed then.
  @inline(__always)
  @discardableResult
  func end(_ token: UInt64) -> Bool {
    let index = Int(truncatingIfNeeded: token) & (Self.slots * Self.stride - 1)
    var count = counts[index].load(ordering: .relaxed)
    while true {
      if _slowPath(count == 0) { return false }
      let (isDone, found) = counts[index].compareExchange(
        expected: count, desired: count &- 1, ordering: .sequentiallyConsistent)
      if isDone { break }
      count = found
    }
    // After the count, as the bell's argument wants it.
    bell.ring()
    return true
  }

  /// `begin` for a caller who may err, with a token that tells who began what.
  @inline(__always)
  func beginChecked() -> UInt64 {
    let place = begin()
    guard _slowPath(ledger != nil), let ledger else { return place }
    return place | ledger.enter(place)
  }

  /// `end` likewise. A wrong end is told, and ends nothing.
  @inline(__always)
  func endChecked(_ token: UInt64, _ machine: any Machine) {
    if _slowPath(ledger != nil), let ledger, !ledger.leave(token) {
      return machine.report(.accessNotOpen(thread: ledger.thread(of: token)))
    }
    if !end(token) { machine.report(.accessNotOpen(thread: 0)) }
  }

  /// Returns when every access that began before the call has ended; true if that took waiting. One
  /// thread at a time.
  @discardableResult
  func drain(_ machine: any Machine) -> Bool {
    var hasWaited = false
    // Whatever was invalidated is so for an access that is not counted yet when counts are read.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    for _ in 0..<2 {
      let old = Int(truncatingIfNeeded: phase.pointee.load(ordering: .relaxed) & 1)
      phase.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
      var left = used.pointee.load(ordering: .sequentiallyConsistent)
      while left != 0 {
        let slot = left.trailingZeroBitCount
        left &= left &- 1
        if count(slot, old) != 0 {
          hasWaited = true
          wait(slot, parity: old, machine: machine)
        }
      }
    }
    return hasWaited
  }

  private func count(_ slot: Int, _ parity: Int) -> UInt64 {
    counts[slot * Self.stride + parity].load(ordering: .sequentiallyConsistent)
  }

  /// Spins briefly, then sleeps until somebody leaves. An access that stays open is told of after a
  /// while, then again after twice as long.
  @inline(never)
  private func wait(_ slot: Int, parity: Int, machine: any Machine) {
    for _ in 0..<machine.spins where count(slot, parity) != 0 {}
    var overdue = Overdue(patience)
    while count(slot, parity) != 0 {
      machine.sleep(bell, milliseconds: overdue.left) { count(slot, parity) == 0 }
      if overdue.isDue {
        let place = UInt64(truncatingIfNeeded: slot * Self.stride + parity)
        machine.report(
          .accessOverdue(
            slot: slot, count: count(slot, parity), milliseconds: overdue.waited,
            thread: ledger?.thread(at: place) ?? 0))
        overdue.next()
      }
    }
  }
}

/// When a wait is to be told of.
private struct Overdue {
  private let since = Clock.milliseconds
  private var limit: UInt64

  init(_ patience: UInt32) { limit = UInt64(max(patience, 1)) }

  var waited: UInt64 { Clock.milliseconds &- since }
  var isDue: Bool { waited >= limit }
  var left: UInt32 { UInt32(truncatingIfNeeded: max(limit, waited + 1) - waited) }
  mutating func next() { limit = max(limit, waited) * 2 }
}
