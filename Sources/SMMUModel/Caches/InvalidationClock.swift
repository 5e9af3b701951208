// SPDX-License-Identifier: MIT
import Synchronization

/// Makes "forget all that belongs to X" a single store: each entry of a cache is stamped with the
/// time at which its look-up in memory began, each X with the time of its last invalidation, and an
/// entry older than its X is dead.
///
/// Several X share a stamp where there are more of them than stamps; forgetting more than asked is
/// always right. Changes are made under the cache's lock, reads are not.
struct InvalidationClock {
  /// The time, then the stamps.
  private let words: UnsafeMutablePointer<Atomic<UInt32>>
  private let stamps: Int

  init(stamps: Int) {
    self.stamps = stamps
    words = .allocate(capacity: stamps + 1)
    for i in 0...stamps { (words + i).initialize(to: Atomic(0)) }
  }

  func deallocate() { words.deallocate() }

  /// Sampled before a look-up in memory; what it finds may be kept only if no time has passed.
  @inline(__always)
  var now: UInt32 { words[0].load(ordering: .acquiring) }

  /// When the X of that stamp was forgotten last.
  @inline(__always)
  subscript(_ stamp: Int) -> UInt32 { words[stamp &+ 1].load(ordering: .relaxed) }

  /// Starts a new moment. False when the time wraps: the whole cache must be emptied then.
  func advance() -> Bool {
    let next = now &+ 1
    guard next != 0 else {
      for i in 1...stamps { words[i].store(0, ordering: .relaxed) }
      words[0].store(1, ordering: .sequentiallyConsistent)
      return false
    }
    words[0].store(next, ordering: .sequentiallyConsistent)
    return true
  }

  /// Kills all that was looked up before the current moment and belongs to `stamp`.
  func expire(_ stamp: Int) { words[stamp &+ 1].store(now, ordering: .sequentiallyConsistent) }

  /// For tests of the wrap.
  func set(_ time: UInt32) { words[0].store(time, ordering: .relaxed) }
}
