// SPDX-License-Identifier: MIT
// The numbers that name things in IHI 0070. Widths are those of the largest implementation; the ID
// registers narrow them.

/// Names a stream of transactions, up to 32 bits (§3.2).
public typealias StreamID = UInt32
/// Names a context within a stream, up to 20 bits (§3.2).
public typealias SubstreamID = UInt32
/// Tags stage 1 translations (§3.17).
public typealias ASID = UInt16
/// Tags what belongs to one virtual machine (§3.17).
public typealias VMID = UInt16

/// The order of sizes in IPS, S2PS and OAS: 32, 36, 40, 42, 44, 48, 52 and 56 bits (§6.3.6).
@inline(__always)
public func addressBits(_ encoding: UInt64) -> Int {
  // Nibble-packed sizes above 32, so that the function needs no memory.
  32 + Int(truncatingIfNeeded: (0x1814_100c_0a08_0400 as UInt64)[
    Int(truncatingIfNeeded: encoding & 7) * 8 + 7, Int(truncatingIfNeeded: encoding & 7) * 8])
}

/// A translation granule.
public enum Granule: UInt8, Sendable {
  case size4K = 12
  case size16K = 14
  case size64K = 16

  /// log2 of its bytes.
  @inline(__always)
  public var shift: Int { Int(rawValue) }

  /// Address bits that one level of table resolves.
  @inline(__always)
  public var stride: Int { shift - 3 }

  /// The lowest address bit that a level of table resolves.
  @inline(__always)
  public func lowBit(_ level: Int) -> Int { shift + stride * (3 - level) }

  /// CD.TG0 and STE.S2TG (§5.4, §5.2).
  @inline(__always)
  public init?(tg0 encoding: UInt64) {
    switch encoding {
    case 0: self = .size4K
    case 1: self = .size64K
    case 2: self = .size16K
    default: return nil
    }
  }

  /// CD.TG1, whose encoding differs (§5.4).
  @inline(__always)
  public init?(tg1 encoding: UInt64) {
    switch encoding {
    case 1: self = .size16K
    case 2: self = .size4K
    case 3: self = .size64K
    default: return nil
    }
  }

  /// TG of a range invalidation, a third encoding (§4.4.1.1).
  @inline(__always)
  public init?(range encoding: UInt64) {
    switch encoding {
    case 1: self = .size4K
    case 2: self = .size16K
    case 3: self = .size64K
    default: return nil
    }
  }

  /// The same encoding of this granule.
  public var rangeEncoding: UInt64 {
    switch self {
    case .size4K: 1
    case .size16K: 2
    case .size64K: 3
    }
  }
}
