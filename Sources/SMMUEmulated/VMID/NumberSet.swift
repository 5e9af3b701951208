// SPDX-License-Identifier: MIT

/// A set of the numbers below a power of two of at least 64.
struct NumberSet {
  private var words: [UInt64]

  init(bits: Int) { words = Array(repeating: 0, count: 1 << (bits - 6)) }

  func contains(_ number: Int) -> Bool { words[number >> 6] >> UInt64(number & 63) & 1 != 0 }
  mutating func insert(_ number: Int) { words[number >> 6] |= 1 << UInt64(number & 63) }
  mutating func remove(_ number: Int) { words[number >> 6] &= ~(1 << UInt64(number & 63)) }

  var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// The first number from `start` on, and below `end`, that is not in the set.
  func firstAbsent(from start: Int, below end: Int) -> Int? {
    var number = start
    while number < end {
      let absent = ~words[number >> 6] >> UInt64(number & 63)
      if absent != 0 {
        let found = number + absent.trailingZeroBitCount
        return found < end ? found : nil
      }
      number = (number | 63) + 1
    }
    return nil
  }
}
