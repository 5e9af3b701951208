// SPDX-License-Identifier: MIT
import SMMUSpec

/// Commands on their way to the host, in order. They stay until the kernel has carried all of them
/// out: doing one twice is harmless, and what a failed call did is not known. Only a CMD_ATC_INV is
/// asked once.
struct InvalidationBatch {
  static var capacity: Int { 512 }
  /// With a CMD_ATC_INV: what a Linux kernel has its SMMU do at once, so that all of them are under
  /// way when one of them times out.
  static var capacityWithATC: Int { 63 }
  private let commands: UnsafeMutablePointer<Command>
  /// Two 64-bit little-endian words each, as the kernel takes them.
  private let words: UnsafeMutablePointer<UInt64>
  private(set) var count = 0
  /// How many CMD_ATC_INV are among them.
  private var atcCount = 0

  init() {
    commands = .allocate(capacity: Self.capacity)
    commands.initialize(repeating: .tlbiNSNHAll, count: Self.capacity)
    words = .allocate(capacity: 2 * Self.capacity)
  }

  func deallocate() {
    commands.deallocate()
    words.deallocate()
  }

  var hasATCInvalidations: Bool { atcCount != 0 }

  func hasRoom(for command: Command) -> Bool {
    let isMixed = hasATCInvalidations || command.isATCInvalidation
    return count < (isMixed ? Self.capacityWithATC : Self.capacity)
  }

  mutating func append(_ command: Command) {
    commands[count] = command
    count += 1
    if command.isATCInvalidation { atcCount += 1 }
  }

  mutating func clear() { (count, atcCount) = (0, 0) }

  /// Without the commands that name a stream. The kernel refuses a StreamID that it does not know,
  /// and with it the whole batch, now and whenever it is tried again.
  mutating func discardCommands(of stream: StreamID?) {
    if let stream { keep { $0.namedStream != stream } }
  }

  mutating func discardATCInvalidations() { keep { !$0.isATCInvalidation } }

  private mutating func keep(_ isKept: (Command) -> Bool) {
    let all = count
    clear()
    for i in 0..<all where isKept(commands[i]) { append(commands[i]) }
  }

  /// For the kernel, until the batch changes: all commands, or those that may be repeated.
  func bytes(sparingATC: Bool = false) -> (UnsafeMutableRawPointer, count: Int) {
    var written = 0
    for i in 0..<count where !sparingATC || !commands[i].isATCInvalidation {
      let command = commands[i].words
      words[2 * written] = command.low.littleEndian
      words[2 * written + 1] = command.high.littleEndian
      written += 1
    }
    return (UnsafeMutableRawPointer(words), written)
  }
}
