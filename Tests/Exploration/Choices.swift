// SPDX-License-Identifier: MIT

/// What is decided: another thread goes on, an older value is loaded, or who is next where a thread
/// cannot go on.
enum Decision: Character {
  case preempt = "p"
  case load = "l"
  case next = "n"
}

/// The decisions of one run. Whatever is not given is 0: go on with the same thread, load the
/// youngest value.
struct Choices {
  private(set) var taken: [(choice: Int, of: Int, name: String)] = []
  private var given: [Int] = []
  private var random: SplitMix?
  /// Of a run that is replayed: what is not 0, by name.
  private var named: [String: Int] = [:]
  private(set) var isReplay = false

  init(_ given: [Int] = [], random seed: UInt64? = nil) {
    self.given = given
    random = seed.map { SplitMix(state: $0) }
  }

  /// `step` counts the accesses to atomic words, whoever shares them; `rarely` is how many of 256
  /// random decisions are not 0.
  mutating func choose(
    _ count: Int, _ decision: Decision, step: Int, rarely: UInt64
  ) -> Int {
    let name = "\(step)\(decision.rawValue)"
    var choice = 0
    if isReplay {
      choice = min(named[name] ?? 0, count - 1)
    } else if taken.count < given.count {
      choice = min(given[taken.count], count - 1)
    } else if random != nil, random!.next() & 0xff < rarely {
      choice = Int(random!.next() % UInt64(count))
    }
    taken.append((choice, count, name))
    return choice
  }

  /// The next run of a search in depth; nil if this was the last.
  var successor: Choices? {
    var next = taken
    while let last = next.popLast() {
      if last.choice + 1 < last.of { return Choices(next.map { $0.choice } + [last.choice + 1]) }
    }
    return nil
  }

  /// What replays the run: the decisions that are not 0.
  var schedule: String {
    let words = taken.filter { $0.choice != 0 }.map { "\($0.name)\($0.choice)" }
    return words.isEmpty ? "-" : words.joined(separator: ",")
  }

  init?(schedule: String) {
    isReplay = true
    if schedule == "-" { return }
    for word in schedule.split(separator: ",") {
      guard let at = word.firstIndex(where: { "pln".contains($0) }),
        let choice = Int(word[word.index(after: at)...])
      else { return nil }
      named[String(word[...at])] = choice
    }
  }
}

/// SplitMix64.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
