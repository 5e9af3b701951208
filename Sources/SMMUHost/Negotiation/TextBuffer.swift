// SPDX-License-Identifier: MIT
import SMMUBase

/// A caller's buffer that text is written to; what does not fit is counted.
struct TextBuffer {
  private let base: UnsafeMutablePointer<CChar>?
  private let capacity: Int
  private(set) var length = 0
  private var lineStart = 0

  init(_ base: UnsafeMutablePointer<CChar>?, _ capacity: Int) {
    self.base = base
    self.capacity = base == nil ? 0 : max(0, capacity)
  }

  @inline(never)
  mutating func append(byte: UInt8) {
    if length < capacity { base![length] = CChar(bitPattern: byte) }
    length += 1
    if byte == 0x0a { lineStart = length }
  }

  mutating func append(_ text: StaticString) { append(Sentence(text)) }

  @inline(never)
  mutating func append(_ sentence: Sentence) {
    var copy = self
    sentence.withCString { text in
      for i in 0..<sentence.count { copy.append(byte: UInt8(bitPattern: text[i])) }
    }
    self = copy
  }

  @inline(never)
  mutating func append(_ value: UInt64) {
    var digits = Sentence()
    digits.append(value)
    append(digits)
  }

  @inline(never)
  mutating func append(hex value: UInt64) {
    var digits = Sentence()
    digits.append(hex: value)
    append(digits)
  }

  /// Blanks up to a column of this line.
  mutating func pad(to column: Int) {
    while length - lineStart < column { append(byte: 0x20) }
  }

  /// Text that ends at a column.
  mutating func append(_ text: Sentence, endingAt column: Int) {
    pad(to: column - text.count)
    append(text)
  }

  /// The final NUL, in place of the last byte if need be. Returns the length of the whole text.
  mutating func finish() -> Int {
    if capacity > 0 { base![min(length, capacity - 1)] = 0 }
    return length
  }
}
