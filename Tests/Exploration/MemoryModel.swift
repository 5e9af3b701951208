// SPDX-License-Identifier: MIT
import SMMUAtomics

/// Which store a load may return. C11's model, run step by step as views (Kang et al., "A promising
/// semantics for relaxed-memory concurrency", without promises; sequentially consistent accesses
/// and fences as C++20 orders them):
///
/// - each place keeps its stores in order, each with the view that a reader gets from it;
/// - a load returns any store that is not older than what its thread has seen there;
/// - a releasing store hands on all that its thread has seen, an acquiring load takes that over;
///   fences do so for the relaxed accesses before and after them;
/// - what is sequentially consistent agrees on one order: the order of the steps.
///
/// Not explored: a load that returns a store which comes later in the order of steps.
struct MemoryModel {
  private struct Message {
    let value: UInt64
    /// What who reads it with acquire has seen.
    let view: View
  }

  private struct Seen {
    var now = View()
    /// What an acquire fence would add: of relaxed loads.
    var acquirable = View()
    /// As of the last release fence.
    var released = View()
  }

  private var stores: [[Message]] = []
  private var threads: [Seen]
  private var consistent = View()

  init(threads: Int) { self.threads = Array(repeating: Seen(), count: threads) }

  /// Makes a place known that holds a value which everyone has seen.
  mutating func introduce(_ place: Int, _ value: UInt64) {
    while stores.count <= place { stores.append([]) }
    if stores[place].isEmpty { stores[place] = [Message(value: value, view: View())] }
  }

  func isKnown(_ place: Int) -> Bool { place < stores.count && !stores[place].isEmpty }

  /// How many values a load may return.
  func choices(_ thread: Int, _ place: Int, _ ordering: Ordering) -> Int {
    var oldest = threads[thread].now[place]
    if ordering == .sequentiallyConsistent { oldest = max(oldest, consistent[place]) }
    return stores[place].count - Int(oldest)
  }

  /// `age` 0 is the youngest.
  mutating func load(_ thread: Int, _ place: Int, _ ordering: Ordering, age: Int) -> UInt64 {
    let time = stores[place].count - 1 - age
    let message = stores[place][time]
    threads[thread].now.raise(place, Int32(time))
    if ordering.acquires {
      threads[thread].now.join(message.view)
    } else {
      threads[thread].acquirable.join(message.view)
    }
    return message.value
  }

  /// `inherited`: the view of the store that a read-modify-write has read, whose release goes on.
  mutating func store(
    _ thread: Int, _ place: Int, _ value: UInt64, _ ordering: Ordering, inherited: View = View()
  ) {
    let time = Int32(stores[place].count)
    threads[thread].now.raise(place, time)
    var view = ordering.releases ? threads[thread].now : threads[thread].released
    view.raise(place, time)
    view.join(inherited)
    stores[place].append(Message(value: value, view: view))
    if ordering == .sequentiallyConsistent { consistent.raise(place, time) }
  }

  mutating func modify(
    _ thread: Int, _ place: Int, _ ordering: Ordering, _ change: (UInt64) -> UInt64?
  ) -> UInt64 {
    let old = load(thread, place, ordering, age: 0)
    guard let new = change(old) else { return old }
    store(thread, place, new, ordering, inherited: stores[place].last!.view)
    return old
  }

  mutating func fence(_ thread: Int, _ ordering: Ordering) {
    if ordering.acquires { threads[thread].now.join(threads[thread].acquirable) }
    if ordering == .sequentiallyConsistent {
      threads[thread].now.join(consistent)
      consistent.join(threads[thread].now)
    }
    if ordering.releases { threads[thread].released = threads[thread].now }
  }

  /// A thread has learnt, by whatever way, that another one has come this far.
  mutating func synchronize(_ thread: Int, with other: Int) {
    threads[thread].now.join(threads[other].now)
  }
}
