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

  /// Without the commands that name a stream. The kernel refuses a StreamID that it does not know,
  /// and with it the whole batch, now and whenever it is tried again.
  mutating func forget(_ stream: StreamID) {
    var kept = 0
    for i in 0..<count {
      let command = CommandWords(
        UInt64(littleEndian: words[2 * i]), UInt64(littleEndian: words[2 * i + 1]))
      if command.names(stream) { continue }
      words[2 * kept] = words[2 * i]
      words[2 * kept + 1] = words[2 * i + 1]
      kept += 1
    }
    count = kept
  }

  var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(words) }
}

extension CommandWords {
  /// CFGI_CD or CFGI_CD_ALL of this stream: of those that are forwarded, these name one.
  fileprivate func names(_ stream: StreamID) -> Bool {
    let opcode = UInt8(truncatingIfNeeded: low)
    return (opcode == Opcode.cfgiCD.rawValue || opcode == Opcode.cfgiCDAll.rawValue)
      && self[CommandWords.streamID] == UInt64(stream)
  }
}
