// SPDX-License-Identifier: MIT

/// The decisions of one run. Whatever is not given is 0: go on with the same thread, load the
/// youngest value.
struct Choices {
  private(set) var taken: [(choice: Int, of: Int)] = []
  private let given: [Int]
  private var random: SplitMix?

  init(_ given: [Int] = [], random seed: UInt64? = nil) {
    self.given = given
    random = seed.map { SplitMix(state: $0) }
  }

  /// `rarely` is how many of 256 random decisions are not 0.
  mutating func choose(_ count: Int, rarely: UInt64) -> Int {
    var choice = 0
    if taken.count < given.count {
      choice = min(given[taken.count], count - 1)
    } else if random != nil, random!.next() & 0xff < rarely {
      choice = Int(random!.next() % UInt64(count))
    }
    taken.append((choice, count))
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

  /// What replays the run: the decisions that are not 0, with their places.
  var schedule: String {
    let words = taken.enumerated().filter { $0.element.choice != 0 }
    return words.isEmpty
      ? "-" : words.map { "\($0.offset):\($0.element.choice)" }.joined(separator: ",")
  }

  init?(schedule: String) {
    var given: [Int] = []
    if schedule != "-" {
      for word in schedule.split(separator: ",") {
        let pair = word.split(separator: ":").compactMap { Int($0) }
        guard pair.count == 2, pair[0] >= given.count else { return nil }
        given += repeatElement(0, count: pair[0] - given.count) + [pair[1]]
      }
    }
    self.init(given)
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
