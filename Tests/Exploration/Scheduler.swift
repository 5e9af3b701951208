// SPDX-License-Identifier: MIT
import CExploration
import SMMUAtomics

/// How far from the plain order a search goes.
struct Bounds {
  /// Switches away from a thread that could go on.
  var preemptions = 2
  /// Loads that return another value than the youngest.
  var oldLoads = 0
}

/// Runs threads one step at a time, in an order that `Choices` decide. A step is an access to an
/// atomic word that several threads share, a lock, a wait.
final class Scheduler: Explorer {
  private enum State: Equatable {
    case ready, done
    case waits(lock: UInt)
    case sleeps(word: UInt)
    /// Until another thread has changed something.
    case relaxes
  }

  private let places: Places
  private var bounds: Bounds
  private(set) var choices: Choices
  private var memory: MemoryModel
  private var states: [State]
  private var bodies: [() -> Void]
  private var current = 0
  private var holders: [UInt: Int] = [:]
  private(set) var failure: String?
  private(set) var steps = 0
  private var idleRelaxes = 0
  /// Told of each step, where a run is replayed.
  private let tell: ((String) -> Void)?

  private static let stepsMost = 100_000

  init(
    _ places: Places, _ bounds: Bounds, _ choices: Choices, _ bodies: [() -> Void],
    tell: ((String) -> Void)?
  ) {
    self.places = places
    self.bounds = bounds
    self.choices = choices
    self.bodies = bodies
    self.tell = tell
    memory = MemoryModel(threads: bodies.count)
    states = bodies.map { _ in .ready }
  }

  /// Returns when all threads are done, or one has failed.
  func run() {
    places.beginRun()
    explorer = self
    Self.current = self
    for i in bodies.indices {
      fiber_start(
        UInt32(i),
        { Unmanaged<Scheduler>.fromOpaque($0!)._withUnsafeGuaranteedRef { $0.runThread() } },
        Unmanaged.passUnretained(self).toOpaque())
    }
    current = choices.choose(bodies.count, .next, step: 0, rarely: 128)
    fiber_resume(UInt32(current))
    explorer = nil
    Self.current = nil
    // The threads' stacks are not unwound: what they hold is let go of here.
    bodies = []
  }

  private func runThread() {
    bodies[current]()
    states[current] = .done
    hasChanged()
    if states.allSatisfy({ $0 == .done }) { return }
    switchAway()
  }

  /// Ends the run. Does not return.
  func fail(_ message: String) {
    if failure == nil { failure = message }
    fiber_leave()
  }

  /// The one that runs.
  nonisolated(unsafe) static var current: Scheduler?

  var thread: Int { current }
  var threadNumber: UInt32 { UInt32(current) + 1 }

  /// A step of the scene's own.
  func pause() {
    count()
    decide()
  }

  /// This thread knows what the last one, which changes things, has done up to now.
  func synchronizeWithLast() { memory.synchronize(current, with: states.count - 1) }

  // MARK: Who runs

  private func canRun(_ thread: Int) -> Bool {
    switch states[thread] {
    case .ready: true
    case .done, .sleeps, .relaxes: false
    case .waits(let lock): holders[lock] == nil
    }
  }

  private var others: [Int] { states.indices.filter { $0 != current && canRun($0) } }

  private func count() {
    steps += 1
    if steps > Self.stepsMost { fail("no end after \(steps) steps") }
  }

  /// Before a step that another thread can see.
  private func decide() {
    guard bounds.preemptions > 0 else { return }
    let others = others
    guard !others.isEmpty else { return }
    let choice = choices.choose(others.count + 1, .preempt, step: steps, rarely: 24)
    guard choice > 0 else { return }
    bounds.preemptions -= 1
    go(to: others[choice - 1])
  }

  /// This thread cannot go on.
  private func switchAway() {
    let others = others
    guard !others.isEmpty else {
      if canRun(current) { return }
      return fail("stuck: \(states.map { "\($0)" }.joined(separator: ", "))")
    }
    let choice =
      others.count == 1 ? 0 : choices.choose(others.count, .next, step: steps, rarely: 128)
    go(to: others[choice])
  }

  private func go(to thread: Int) {
    let me = current
    current = thread
    states[thread] = .ready
    tell?("thread \(thread) runs")
    fiber_resume(UInt32(thread))
    current = me
  }

  /// Threads that wait for any change look again.
  private func hasChanged() {
    idleRelaxes = 0
    for i in states.indices where i != current && states[i] == .relaxes { states[i] = .ready }
  }

  // MARK: Steps

  func load(_ place: Place) -> UInt64 {
    count()
    guard let shared = places.shared(place.address, thread: current, writes: false) else {
      return place.value
    }
    decide()
    memory.introduce(shared, place.value)
    let ordering = place.site.effective
    var age = 0
    let choices = memory.choices(current, shared, ordering)
    if bounds.oldLoads > 0 && choices > 1 {
      age = self.choices.choose(choices, .load, step: steps, rarely: 48)
      if age > 0 { bounds.oldLoads -= 1 }
    }
    let value = memory.load(current, shared, ordering, age: age)
    told(place, "load", value, age)
    return value
  }

  func store(_ place: Place, _ value: UInt64) {
    count()
    if let shared = places.shared(place.address, thread: current, writes: true) {
      decide()
      memory.introduce(shared, place.value)
      memory.store(current, shared, value, place.site.effective)
      told(place, "store", value, 0)
    }
    place.value = value
    hasChanged()
  }

  func modify(_ place: Place, _ change: (UInt64) -> UInt64?) -> UInt64 {
    count()
    guard let shared = places.shared(place.address, thread: current, writes: true) else {
      let old = place.value
      if let new = change(old) { place.value = new }
      hasChanged()
      return old
    }
    decide()
    memory.introduce(shared, place.value)
    let old = memory.modify(current, shared, place.site.effective, change)
    if let new = change(old) {
      place.value = new
      hasChanged()
    }
    told(place, "modify", place.value, 0)
    return old
  }

  func fence(_ site: Site) {
    memory.fence(current, site.effective)
    tell?("  thread \(current) fence \(site.text)")
  }

  func lock(_ lock: UnsafeMutableRawPointer) {
    count()
    let key = UInt(bitPattern: lock)
    let shared = places.shared(lock, thread: current, writes: true)
    if shared != nil { decide() }
    while holders[key] != nil {
      if holders[key] == current { fail("a thread locks twice") }
      states[current] = .waits(lock: key)
      switchAway()
    }
    states[current] = .ready
    holders[key] = current
    tell?("  thread \(current) locks")
    guard let shared else { return }
    memory.introduce(shared, 0)
    _ = memory.load(current, shared, .acquiring, age: 0)
  }

  func unlock(_ lock: UnsafeMutableRawPointer) {
    count()
    let key = UInt(bitPattern: lock)
    let shared = places.shared(lock, thread: current, writes: true)
    if shared != nil { decide() }
    holders[key] = nil
    tell?("  thread \(current) unlocks")
    guard let shared else { return }
    memory.introduce(shared, 0)
    memory.store(current, shared, 0, .releasing)
  }

  func relax() {
    states[current] = .relaxes
    if others.isEmpty {
      // It may not have looked since the last change.
      idleRelaxes += 1
      if idleRelaxes > 3 { fail("stuck: \(states.map { "\($0)" }.joined(separator: ", "))") }
    } else {
      switchAway()
    }
    states[current] = .ready
  }

  func sleep(_ word: UnsafeMutableRawPointer, while value: UInt64) {
    count()
    decide()
    // The kernel looks at the word and puts the thread to sleep in one step.
    guard UInt64(word.load(as: UInt32.self)) == value else { return }
    tell?("  thread \(current) sleeps")
    states[current] = .sleeps(word: UInt(bitPattern: word))
    switchAway()
  }

  func wake(_ word: UnsafeMutableRawPointer) {
    count()
    decide()
    tell?("  thread \(current) wakes")
    for i in states.indices where states[i] == .sleeps(word: UInt(bitPattern: word)) {
      states[i] = .ready
    }
  }

  private func told(_ place: Place, _ verb: String, _ value: UInt64, _ age: Int) {
    guard let tell else { return }
    let old = age == 0 ? "" : ", \(age) stores old"
    tell("  thread \(current) \(verb) \(place.site.text): 0x\(String(value, radix: 16))\(old)")
  }
}

extension Place {
  var value: UInt64 {
    get {
      switch bytes {
      case 1: UInt64(address.load(as: UInt8.self))
      case 4: UInt64(address.load(as: UInt32.self))
      default: address.load(as: UInt64.self)
      }
    }
    nonmutating set {
      switch bytes {
      case 1: address.storeBytes(of: UInt8(truncatingIfNeeded: newValue), as: UInt8.self)
      case 4: address.storeBytes(of: UInt32(truncatingIfNeeded: newValue), as: UInt32.self)
      default: address.storeBytes(of: newValue, as: UInt64.self)
      }
    }
  }
}

extension Site {
  var text: String { "\(file):\(line) \(effective)" }

  /// The ordering, or a weaker one where a run is to show what it is good for.
  var effective: Ordering { Weakening.current?.weakened(self) ?? ordering }
}

/// One site whose ordering is taken away: some scene must then fail, or the ordering is not needed.
struct Weakening {
  let site: String

  nonisolated(unsafe) static var current: Weakening?

  func weakened(_ site: Site) -> Ordering {
    "\(site.file):\(site.line)" == self.site ? .relaxed : site.ordering
  }
}
