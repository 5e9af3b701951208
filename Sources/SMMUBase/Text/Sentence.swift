// SPDX-License-Identifier: MIT

/// Text for people: the library has no String elsewhere. Three words, so that an error which
/// carries one is cheap to pass on: a literal takes no memory, and text that is put together is on
/// the heap, shared by copies until one of them grows, or in a frame of the stack (`onStack`).
public struct Sentence: @unchecked Sendable {
  private static var capacity: Int { 255 }
  /// What one allocates at most.
  public static var mostBytes: Int { 1024 }
  /// Ends with a NUL.
  private var start: UnsafePointer<UInt8>
  /// The count, and whether the text is in a frame.
  private var word: Int
  private var page: Page?

  public private(set) var count: Int {
    get { word & .max }
    set { word = word & .min | newValue }
  }

  private var isOnStack: Bool { word < 0 }

  /// The memory of text that is put together.
  private final class Page {
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: Sentence.capacity + 1)

    deinit { bytes.deallocate() }
  }

  public init() { self.init("") }

  /// Text that is put together where memory may be short: then `other`, which is too little.
  public init(or other: StaticString, _ write: (inout Sentence) -> Void) {
    self.init()
    guard let reserve = Reserve(bytes: Self.mostBytes) else {
      self.init(other)
      return
    }
    defer { reserve.giveBack() }
    reserve.covering { write(&self) }
  }

  public init(_ text: StaticString) {
    start = text.utf8Start
    word = text.utf8CodeUnitCount
  }

  /// Hands out an empty sentence that takes nothing of the heap: what a guest provokes is told by
  /// one. Neither it nor a copy of it may be kept.
  public static func onStack(_ body: (inout Sentence) -> Void) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity + 1) { bytes in
      guard let first = bytes.baseAddress else { return }
      first.initialize(repeating: 0, count: capacity + 1)
      var sentence = Sentence()
      sentence.start = UnsafePointer(first)
      sentence.word = .min
      body(&sentence)
    }
  }

  public mutating func append(byte: UInt8) {
    withUnsafePointer(to: byte) { append($0, 1) }
  }

  public mutating func append(_ text: StaticString) {
    append(text.utf8Start, text.utf8CodeUnitCount)
  }

  /// A piece of a caller's C string.
  public mutating func append(_ text: UnsafePointer<CChar>, _ length: Int) {
    append(UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), length)
  }

  /// Once for all the ways to append: much of the library is sentences.
  @inline(never)
  private mutating func append(_ text: UnsafePointer<UInt8>, _ length: Int) {
    let bytes = ownBytes()
    let added = min(length, Self.capacity - count)
    (bytes + count).update(from: text, count: added)
    count += added
    bytes[count] = 0
  }

  /// Memory that no other sentence shows.
  private mutating func ownBytes() -> UnsafeMutablePointer<UInt8> {
    if isOnStack { return UnsafeMutablePointer(mutating: start) }
    if isKnownUniquelyReferenced(&page), let page { return page.bytes }
    let own = Page()
    count = min(count, Self.capacity)
    own.bytes.update(from: start, count: count)
    start = UnsafePointer(own.bytes)
    page = own
    return own.bytes
  }

  @inline(never)
  public mutating func append(_ value: UInt64, radix: UInt64 = 10) {
    var unit: UInt64 = 1
    while value / unit >= radix { unit &*= radix }
    while unit != 0 {
      let digit = UInt8(truncatingIfNeeded: value / unit % radix)
      append(byte: digit < 10 ? 0x30 + digit : 0x57 + digit)
      unit /= radix
    }
  }

  @inline(never)
  public mutating func append(hex value: UInt64) {
    append("0x")
    append(value, radix: 16)
  }

  /// Copies it with its final NUL, cut to `size` bytes.
  @inline(never)
  public func copy(to buffer: UnsafeMutablePointer<CChar>?, _ size: Int) {
    guard let buffer, size > 0 else { return }
    let length = min(count, size - 1)
    withCString { buffer.update(from: $0, count: length) }
    buffer[length] = 0
  }

  public func withCString(_ body: (UnsafePointer<CChar>) -> Void) {
    withExtendedLifetime(page) {
      body(UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
    }
  }
}
