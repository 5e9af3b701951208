// SPDX-License-Identifier: MIT

extension UInt64 {
  /// Bits `high` down to `low`, as the architecture writes them: `word[55, 6]`.
  public subscript(_ high: Int, _ low: Int) -> UInt64 {
    @inline(__always) get {
      (self &>> UInt64(truncatingIfNeeded: low)) & UInt64.ones(high - low + 1)
    }
    @inline(__always) set {
      let mask = UInt64.ones(high - low + 1) &<< UInt64(truncatingIfNeeded: low)
      self = self & ~mask | (newValue &<< UInt64(truncatingIfNeeded: low)) & mask
    }
  }

  /// One bit.
  public subscript(_ bit: Int) -> Bool {
    @inline(__always) get { (self &>> UInt64(truncatingIfNeeded: bit)) & 1 != 0 }
    @inline(__always) set { self[bit, bit] = newValue ? 1 : 0 }
  }

  /// A field of a register.
  public subscript(_ field: Field) -> UInt64 {
    @inline(__always) get { self[field.high, field.low] }
    @inline(__always) set { self[field.high, field.low] = newValue }
  }

  /// The low `count` bits set; total over 0 and anything beyond 64.
  @inline(__always)
  public static func ones(_ count: Int) -> UInt64 {
    count >= 64 ? .max : count <= 0 ? 0 : (1 &<< UInt64(truncatingIfNeeded: count)) &- 1
  }

  /// The same where `count` is known to be 0 to 63.
  @inline(__always)
  public static func low(_ count: Int) -> UInt64 {
    (1 &<< UInt64(truncatingIfNeeded: count)) &- 1
  }

  /// The low `count` bits cleared.
  @inline(__always)
  public func aligned(down count: Int) -> UInt64 { self & ~UInt64.ones(count) }
}

/// A named run of bits in a register, structure, command or record. Bit numbers are those of the
/// architecture, counted from bit 0 of the whole layout; a field never crosses a 64-bit word.
public struct Field: Equatable, Sendable {
  public let name: StaticString
  // Small, as there are many tables of fields.
  private let highBit: UInt16
  private let lowBit: UInt16

  @inline(__always)
  public init(_ name: StaticString, _ high: Int, _ low: Int) {
    self.name = name
    highBit = UInt16(truncatingIfNeeded: high)
    lowBit = UInt16(truncatingIfNeeded: low)
  }

  @inline(__always)
  public var high: Int { Int(highBit) }
  @inline(__always)
  public var low: Int { Int(lowBit) }

  @inline(__always)
  public init(_ name: StaticString, _ bit: Int) { self.init(name, bit, bit) }

  public var width: Int { high - low + 1 }

  /// The field's bits within the 64-bit word that holds it.
  @inline(__always)
  public var mask: UInt64 { UInt64.ones(high - low + 1) &<< UInt64(truncatingIfNeeded: low & 63) }

  public static func == (a: Field, b: Field) -> Bool { a.high == b.high && a.low == b.low }
}

/// Anything that is a row of little-endian 64-bit words with named fields.
public protocol Layout {
  /// Bits in the whole layout.
  static var width: Int { get }
  /// Every field, reserved ones included: together they cover each bit once.
  static var fields: [Field] { get }
  init()
  subscript(word index: Int) -> UInt64 { get set }
}

extension Layout {
  public subscript(_ field: Field) -> UInt64 {
    @inline(__always) get { self[word: field.high >> 6][field.high & 63, field.low & 63] }
    @inline(__always) set {
      self[word: field.high >> 6][field.high & 63, field.low & 63] = newValue
    }
  }

  /// A one-bit field.
  @inline(__always)
  public func flag(_ field: Field) -> Bool { self[word: field.low >> 6][field.low & 63] }
}
