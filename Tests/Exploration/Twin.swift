// SPDX-License-Identifier: MIT

/// What may be cached of a small guest, as plain sets, and so what an access may be answered: the
/// twin of `StaleSimulationTests` for accesses beside changes. Stream 1 has one of two contexts, a
/// context one of two tables of level 2, such a table one of two of level 3, and their leaves are
/// pages.
///
/// A word of memory has all values that may have been fetched since the command that names it last;
/// the youngest is what is there.
struct Twin {
  enum Word: Hashable {
    case stream
    case context(Int)
    case table(Int)
    case leaf(Int, page: Int)

    var isConfiguration: Bool {
      switch self {
      case .stream, .context: true
      case .table, .leaf: false
      }
    }
  }

  enum Step: Equatable {
    case set(Word, Int)
    case forgetPage(Int, leavesOnly: Bool)
    case forgetContext, forgetTranslations
    case forgetStream, forgetDescriptor
    case enable(Bool)
    /// Of the state that there is.
    case restore
  }

  static let pages = 4..<7

  private var values: [Word: [Int]] = [:]
  private var isEnabled = [true]
  /// What translations of each page may be kept.
  private var kept: [Int: Set<World.Answer>] = [:]

  init() {
    values[.stream] = [0]
    for i in 0..<2 {
      values[.context(i)] = [i]
      values[.table(i)] = [i]
      for page in Self.pages { values[.leaf(i, page: page)] = [i + 1] }
    }
    note()
  }

  /// Leaf value 0 is no page.
  static func answer(_ leaf: Int, _ page: Int) -> World.Answer {
    leaf == 0 ? .abort(event: 0x10) : .address(address(leaf, page))
  }

  static func address(_ leaf: Int, _ page: Int) -> UInt64 {
    World.data + UInt64(leaf * 16 + page) << 12
  }

  func allowed(_ page: Int) -> Set<World.Answer> {
    var all: Set<World.Answer> = isEnabled.contains(false) ? [.abort(event: 0)] : []
    if isEnabled.contains(true) { all.formUnion(kept[page]!) }
    return all
  }

  /// What walks may find, through configurations that may be kept.
  private func found(_ page: Int) -> Set<World.Answer> {
    var all: Set<World.Answer> = []
    for context in values[.stream]! {
      for first in values[.context(context)]! {
        for last in values[.table(first)]! {
          for leaf in values[.leaf(last, page: page)]! { all.insert(Self.answer(leaf, page)) }
        }
      }
    }
    return all
  }

  private mutating func note() {
    for page in Self.pages { kept[page, default: []].formUnion(found(page)) }
  }

  // MARK: Steps

  /// From here on what the step makes may be seen.
  mutating func begin(_ step: Step) {
    switch step {
    case .set(let word, let value):
      values[word]!.append(value)
      note()
    case .enable(let isOn): isEnabled.append(isOn)
    default: break
    }
  }

  /// From here on what it ends is not seen any more.
  mutating func end(_ step: Step) {
    switch step {
    case .set: break
    case .forgetPage(let page, let leavesOnly):
      settle { word in
        if case .leaf(_, page) = word { return true }
        if case .table = word { return !leavesOnly }
        return false
      }
      kept[page] = found(page)
    case .forgetContext, .forgetTranslations:
      settle { !$0.isConfiguration }
      for page in Self.pages { kept[page] = found(page) }
    case .forgetStream: settle { $0.isConfiguration }
    case .forgetDescriptor:
      settle { if case .context = $0 { true } else { false } }
    case .enable(let isOn): isEnabled = [isOn]
    case .restore:
      settle { _ in true }
      for page in Self.pages { kept[page] = found(page) }
    }
  }

  private mutating func settle(_ isMeant: (Word) -> Bool) {
    for word in values.keys where isMeant(word) { values[word] = [values[word]!.last!] }
  }
}

// MARK: Random guests

extension Twin.Step {
  static func random(_ random: inout SplitMix) -> Twin.Step {
    let page = Twin.pages.lowerBound + random.below(Twin.pages.count)
    switch random.below(16) {
    case 0..<4: return .set(.leaf(random.below(2), page: page), random.below(4))
    case 4: return .set(.table(random.below(2)), random.below(2))
    case 5: return .set(.context(random.below(2)), random.below(2))
    case 6: return .set(.stream, random.below(2))
    case 7..<10: return .forgetPage(page, leavesOnly: random.below(2) == 0)
    case 10: return .forgetContext
    case 11: return .forgetTranslations
    case 12: return .forgetStream
    case 13: return .forgetDescriptor
    case 14: return .restore
    default: return .enable(random.below(2) == 0)
    }
  }

  /// The last of them leave one answer.
  static func sequence(_ random: inout SplitMix) -> [Twin.Step] {
    (0..<6).map { _ in .random(&random) } + [.enable(true), .forgetStream, .forgetTranslations]
  }
}

extension SplitMix {
  mutating func below(_ end: Int) -> Int { Int(next() % UInt64(end)) }
}
