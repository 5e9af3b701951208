// SPDX-License-Identifier: MIT
// The reference's knowledge of table geometry: looked up, where the model computes.

/// Bits `high` down to `low` of a structure of 64-bit words, counted from bit 0 of the whole.
func bits(_ words: [UInt64], _ high: Int, _ low: Int) -> UInt64 {
  var value: UInt64 = 0
  for bit in stride(from: high, through: low, by: -1) {
    value = value << 1 | words[bit / 64] >> UInt64(bit % 64) & 1
  }
  return value
}

func bit(_ words: [UInt64], _ position: Int) -> Bool { bits(words, position, position) != 0 }

/// Whether an address has a bit at or above `size`.
func exceeds(_ address: UInt64, _ size: Int) -> Bool {
  for position in size..<64 where address >> UInt64(position) & 1 != 0 { return true }
  return false
}

/// IPS, S2PS and OAS (§5.2 S2PS): 7 is reserved and acts as 6.
func sizeBits(_ encoding: UInt64) -> Int { [32, 36, 40, 42, 44, 48, 52, 52][Int(encoding)] }

/// A granule of the reference, with the tables of D8.2.8 to D8.2.10 written out.
public enum ReferenceGranule: Int, CaseIterable, Sendable {
  case k4 = 12
  case k16 = 14
  case k64 = 16

  init?(tg0 value: UInt64) {
    switch value {
    case 0: self = .k4
    case 1: self = .k64
    case 2: self = .k16
    default: return nil
    }
  }

  init?(tg1 value: UInt64) {
    switch value {
    case 1: self = .k16
    case 2: self = .k4
    case 3: self = .k64
    default: return nil
    }
  }

  /// The lowest address bit that levels 0 to 3 resolve.
  public var low: [Int] {
    switch self {
    case .k4: [39, 30, 21, 12]
    case .k16: [47, 36, 25, 14]
    case .k64: [55, 42, 29, 16]
    }
  }

  /// Levels that may hold blocks, without 52-bit addresses.
  var blocks: Set<Int> { self == .k4 ? [1, 2] : [2] }

  /// Where a stage 1 walk starts, by TxSZ.
  public func start(txsz: Int) -> Int {
    switch self {
    case .k4: txsz <= 24 ? 0 : txsz <= 33 ? 1 : txsz <= 42 ? 2 : 3
    case .k16: txsz <= 16 ? 0 : txsz <= 27 ? 1 : txsz <= 38 ? 2 : 3
    case .k64: txsz <= 21 ? 1 : txsz <= 34 ? 2 : 3
    }
  }

  /// S2SL0 to start level and S2T0SZ range, concatenation included (tables D8-19 to D8-41), with
  /// the output size from which it exists.
  func stage2(sl0: UInt64, smallTables: Bool) -> (level: Int, t0sz: ClosedRange<Int>, oas: Int)? {
    switch (self, sl0) {
    case (.k4, 2): (0, 16...24, 44)
    case (.k4, 1): (1, 21...33, 0)
    case (.k4, 0): (2, 30...42, 0)
    case (.k4, 3): smallTables ? (3, 39...48, 0) : nil
    case (.k16, 2): (1, 16...27, 42)
    case (.k16, 1): (2, 24...38, 0)
    case (.k16, 0): (3, 35...48, 0)
    case (.k64, 2): (1, 16...21, 44)
    case (.k64, 1): (2, 18...34, 0)
    case (.k64, 0): (3, 31...47, 0)
    default: nil
    }
  }

  /// The S2SL0 encoding of a start level.
  public func sl0(level: Int) -> UInt64 {
    self == .k4 ? [2, 1, 0, 3][level] : [3, 2, 1, 0][level]
  }

  public var tg0: UInt64 { self == .k4 ? 0 : self == .k64 ? 1 : 2 }
  public var tg1: UInt64 { self == .k4 ? 2 : self == .k64 ? 3 : 1 }
}
