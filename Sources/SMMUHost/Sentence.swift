// SPDX-License-Identifier: MIT

/// Text for people, built without a heap: the library has no String elsewhere.
public struct Sentence: Sendable {
  private static var capacity: Int { 255 }
  private var bytes = InlineArray<256, UInt8>(repeating: 0)
  public private(set) var count = 0

  public init() {}
  public init(_ text: StaticString) { append(text) }

  public mutating func append(byte: UInt8) {
    guard count < Self.capacity else { return }
    bytes[count] = byte
    count += 1
  }

  public mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { for byte in $0 { append(byte: byte) } }
  }

  /// A piece of a caller's C string.
  public mutating func append(_ text: UnsafePointer<CChar>, _ length: Int) {
    for i in 0..<length { append(byte: UInt8(bitPattern: text[i])) }
  }

  public mutating func append(_ value: UInt64, radix: UInt64 = 10) {
    var digits = InlineArray<20, UInt8>(repeating: 0)
    var length = 0
    var rest = value
    repeat {
      let digit = UInt8(rest % radix)
      digits[length] = digit < 10 ? 0x30 + digit : 0x57 + digit
      length += 1
      rest /= radix
    } while rest != 0
    while length > 0 {
      length -= 1
      append(byte: digits[length])
    }
  }

  public mutating func append(hex value: UInt64) {
    append("0x")
    append(value, radix: 16)
  }

  /// Copies it with its final NUL, cut to `size` bytes.
  public func copy(to buffer: UnsafeMutablePointer<CChar>?, _ size: Int) {
    guard let buffer, size > 0 else { return }
    let length = min(count, size - 1)
    for i in 0..<length { buffer[i] = CChar(bitPattern: bytes[i]) }
    buffer[length] = 0
  }

  public func withCString(_ body: (UnsafePointer<CChar>) -> Void) {
    var copy = bytes
    copy[count] = 0
    withUnsafeBytes(of: &copy) { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
  }
}
