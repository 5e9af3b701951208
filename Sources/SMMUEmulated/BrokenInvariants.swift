// SPDX-License-Identifier: MIT
import SMMUBase

/// What should always hold of the emulated host and does not: how often, and the first in words.
public struct BrokenInvariants {
  public private(set) var count = 0
  public private(set) var sentence = Sentence()

  /// `number` names who it is about.
  mutating func add(_ text: StaticString, _ number: some FixedWidthInteger) {
    count += 1
    guard count == 1 else { return }
    sentence.append(text)
    sentence.append(UInt64(number))
  }

  /// What another check found.
  mutating func add(_ others: BrokenInvariants) {
    if count == 0 { sentence = others.sentence }
    count += others.count
  }
}
