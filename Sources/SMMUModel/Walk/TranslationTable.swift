// SPDX-License-Identifier: MIT
import SMMUSpec

/// What is walked in tables of a kind: stage 1 alone, stage 2, or stage 1 behind stage 2.
enum WalkKind: UInt64 {
  case stage1 = 0
  case stage2 = 1
  case nested = 2
}

/// What a translation table of either stage looks like, in one word: what names it [15:0], then the
/// same in a form that is ready for use.
struct TableGeometry: Equatable, Sendable {
  let raw: UInt64

  @inline(__always)
  init(raw: UInt64) { self.raw = raw }

  /// `inputBits` are those of input address that the table resolves: 64 - TxSZ. Output addresses
  /// beyond `outputSize`, an encoding as IDR5.OAS, are an Address Size fault.
  init(
    _ kind: WalkKind, granule: Granule, inputBits: Int, startLevel: Int, outputSize: UInt64,
    bigEndian: Bool
  ) {
    var raw = UInt64(granule.shift - 12) / 2
    raw[7, 2] = UInt64(truncatingIfNeeded: inputBits)
    raw[9, 8] = UInt64(truncatingIfNeeded: startLevel)
    raw[12, 10] = outputSize
    raw[13] = bigEndian
    raw[15, 14] = kind.rawValue
    raw[21, 16] = UInt64(granule.shift)
    raw[29, 24] = UInt64(truncatingIfNeeded: inputBits)
    raw[37, 32] = UInt64(truncatingIfNeeded: granule.lowBit(startLevel))
    self.raw = raw
  }

  /// Of a table that is not used.
  @inline(__always)
  static var none: TableGeometry { TableGeometry(raw: 0) }

  /// Differs where anything does. 16 bits.
  @inline(__always) var name: UInt64 { raw & 0xffff }

  @inline(__always) var shift: Int { Int(truncatingIfNeeded: raw &>> 16 & 0xff) }
  /// Address bits that one level resolves.
  @inline(__always) var stride: Int { shift &- 3 }
  @inline(__always) var inputBits: Int { Int(truncatingIfNeeded: raw &>> 24 & 0xff) }
  /// The lowest address bit that the first level resolves.
  @inline(__always) var firstBit: Int { Int(truncatingIfNeeded: raw &>> 32 & 0xff) }
  @inline(__always) var outputBits: Int { addressBits(raw[12, 10]) }
  @inline(__always) var isBigEndian: Bool { raw[13] }

  /// Little-endian 4K tables, as most are.
  @inline(__always) var isUsual: Bool { raw & 0xff_2000 == 12 &<< 16 }

  /// Bits of a descriptor that are an address beyond the output size.
  var outside: UInt64 {
    let beyond = ~UInt64.ones(outputBits)
    // Of a 64K granule [15:12] too, as address bits [51:48]: without 52-bit addresses they are no
    // RES0, as D8.15.1 deprecates ignoring them.
    return beyond & UInt64.ones(48) | (shift == 16 ? beyond &>> 36 & 0xf000 : 0)
  }
}

/// A translation table, of either stage.
struct TranslationTable: Equatable, Sendable {
  let base: UInt64
  let geometry: TableGeometry
  /// `TableGeometry.outside`.
  let outside: UInt64

  /// The table's first level is `inputBits` less what the levels below resolve; its base is aligned
  /// to its size, concatenated tables included (DDI 0487 J1.1 S1TTBaseAddress, S2TTBaseAddress).
  init(_ geometry: TableGeometry, base: UInt64) {
    self.geometry = geometry
    self.base = base & ~UInt64.low(geometry.inputBits &- geometry.firstBit &+ 3)
    outside = geometry.outside
  }

  /// As it was kept.
  @inline(__always)
  init(base: UInt64, geometry: TableGeometry, outside: UInt64) {
    (self.base, self.geometry, self.outside) = (base, geometry, outside)
  }

  @inline(__always)
  static var none: TranslationTable { TranslationTable(base: 0, geometry: .none, outside: 0) }
}
