// SPDX-License-Identifier: MIT
import SMMUSpec

/// Commands on their way to the host, in order. They stay until the kernel has carried all of them
/// out: doing one twice is harmless, and what a failed call did is not known.
struct InvalidationBatch {
  static var capacity: Int { 512 }
  /// Two 64-bit little-endian words each, as the kernel takes them.
  private let words: UnsafeMutablePointer<UInt64>
  private(set) var count = 0

  init() { words = .allocate(capacity: 2 * Self.capacity) }
  func deallocate() { words.deallocate() }

  var isFull: Bool { count == Self.capacity }

  mutating func append(_ command: CommandWords) {
    words[2 * count] = command.low.littleEndian
    words[2 * count + 1] = command.high.littleEndian
    count += 1
  }

  mutating func clear() { count = 0 }

  var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(words) }
}
