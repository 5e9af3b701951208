// SPDX-License-Identifier: MIT
import Foundation

/// SplitMix64: the same numbers from the same seed on every machine. A random test prints its seed,
/// and `SEED=n` in the environment replays it.
public struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  public let seed: UInt64

  public init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  /// The seed of the environment, or the given one; printed with the test's name.
  public init(_ test: String, default seed: UInt64) {
    let chosen = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? seed
    print("\(test): SEED=\(chosen)")
    self.init(seed: chosen)
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  public mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
  public mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
  public mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }
}
