// SPDX-License-Identifier: MIT
import SMMUSpec

/// Commands on their way to the host, in order. They stay until the kernel has carried all of them
/// out: doing one twice is harmless, and what a failed call did is not known.
struct InvalidationBatch {
  static var capacity: Int { 512 }
  private let commands: UnsafeMutablePointer<Command>
  /// Two 64-bit little-endian words each, as the kernel takes them.
  private let words: UnsafeMutablePointer<UInt64>
  private(set) var count = 0

  init() {
    commands = .allocate(capacity: Self.capacity)
    commands.initialize(repeating: .tlbiNSNHAll, count: Self.capacity)
    words = .allocate(capacity: 2 * Self.capacity)
  }

  func deallocate() {
    commands.deallocate()
    words.deallocate()
  }

  var isFull: Bool { count == Self.capacity }

  mutating func append(_ command: Command) {
    commands[count] = command
    count += 1
  }

  mutating func clear() { count = 0 }

  /// Without the commands that name a stream. The kernel refuses a StreamID that it does not know,
  /// and with it the whole batch, now and whenever it is tried again.
  mutating func discardCommands(of stream: StreamID?) {
    guard let stream else { return }
    var kept = 0
    for i in 0..<count where commands[i].contextStream != stream {
      commands[kept] = commands[i]
      kept += 1
    }
    count = kept
  }

  /// For the kernel, until the batch changes.
  var bytes: UnsafeMutableRawPointer {
    for i in 0..<count {
      let command = commands[i].words
      words[2 * i] = command.low.littleEndian
      words[2 * i + 1] = command.high.littleEndian
    }
    return UnsafeMutableRawPointer(words)
  }
}
