// SPDX-License-Identifier: MIT
import SMMUAtomics

/// Makes "forget all that belongs to X" a single store: each entry of a cache is stamped with the
/// time at which its look-up in memory began, each X with the time of its last invalidation, and an
/// entry older than its X is dead.
///
/// Several X share a stamp where there are more of them than stamps; forgetting more than asked is
/// always right. One thread at a time makes changes; others may read and fill meanwhile.
struct InvalidationClock {
  /// The time, then the stamps.
  private let words: UnsafeMutablePointer<Atomic<UInt32>>
  private let stamps: Int

  init(stamps: Int) {
    self.stamps = stamps
    words = .allocate(capacity: stamps + 1)
    for i in 0...stamps { (words + i).initialize(to: Atomic(0)) }
    reopen()
  }

  func deallocate() { words.deallocate() }

  /// Sampled before a look-up in memory; what it finds may be kept only if no time has passed.
  @inline(__always)
  var now: UInt32 { words[0].load(ordering: .acquiring) }

  /// Whether no time has passed since: for whoever has claimed what is to be kept.
  @inline(__always)
  func isNow(_ time: UInt32) -> Bool { words[0].load(ordering: .sequentiallyConsistent) == time }

  /// When the X of that stamp was forgotten last.
  @inline(__always)
  subscript(_ stamp: Int) -> UInt32 { words[stamp &+ 1].load(ordering: .relaxed) }

  /// The time is about to wrap: the cache must be renewed before it advances much.
  @inline(__always)
  var isExhausted: Bool { now > .max - Self.margin }

  /// How often it may advance between two looks at `isExhausted`.
  static var margin: UInt32 { 64 }

  /// Starts a new moment. It is a CMD_SYNC's wait for accesses that orders it before them.
  @inline(__always)
  func advance() { words[0].store(now &+ 1, ordering: .releasing) }

  /// The same for whoever looks at rows afterwards: either the new moment is seen by who fills one,
  /// or the row is found claimed.
  func advanceAndFence() {
    advance()
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  /// Kills all that was looked up before the current moment and belongs to `stamp`.
  func expire(_ stamp: Int) { words[stamp &+ 1].store(now, ordering: .releasing) }

  /// First half of a renewal: nothing that belongs to `everything` is alive, nothing may be kept.
  func close() {
    words[Self.everything &+ 1].store(.max, ordering: .sequentiallyConsistent)
    words[0].store(Self.closed, ordering: .sequentiallyConsistent)
  }

  /// Second half, when the cache is empty and no look-up of before is left.
  func reopen() {
    for i in 1...stamps { words[i].store(0, ordering: .relaxed) }
    words[Self.everything + 1].store(1, ordering: .relaxed)
    words[0].store(1, ordering: .sequentiallyConsistent)
  }

  /// The stamp of all that there is. It is at least 1: time 0 is never alive.
  static var everything: Int { 0 }

  /// No time at which anything may be kept. Not 0: that is the time of rows that change.
  static var closed: UInt32 { .max }

  /// For tests of the wrap.
  func set(_ time: UInt32) { words[0].store(time, ordering: .relaxed) }
}
