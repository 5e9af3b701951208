// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// Sets bits `high` down to `low`, counted from bit 0 of the whole structure.
public func put(_ words: inout [UInt64], _ high: Int, _ low: Int, _ value: UInt64) {
  let mask: UInt64 = (high - low == 63 ? .max : (1 << UInt64(high - low + 1)) - 1)
  let shift = UInt64(low % 64)
  words[low / 64] = words[low / 64] & ~(mask << shift) | (value & mask) << shift
}

extension SeededRandom {
  public mutating func among(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + below(range.count)
  }
  public mutating func word() -> UInt64 { next() }
  public mutating func words(_ count: Int) -> [UInt64] { (0..<count).map { _ in next() } }
}

/// Structures that are legal but otherwise as random as can be: what is ignored is garbage.
public enum RandomStructures {
  /// A CD whose halves have these sizes.
  public static func contextDescriptor(
    _ random: inout SeededRandom, _ features: Features, _ lower: (ReferenceGranule, Int),
    _ upper: (ReferenceGranule, Int), tableBits: Int, bigEndian: Bool
  ) -> [UInt64] {
    var cd = random.words(8)
    put(&cd, 31, 31, 1)
    put(&cd, 41, 41, 1)
    put(&cd, 44, 42, 0)
    put(&cd, 15, 15, bigEndian ? 1 : 0)
    put(&cd, 46, 46, features.terminateIsAbort ? 1 : random.next())
    if !features.asid16 { put(&cd, 63, 56, 0) }
    put(&cd, 35, 35, random.chance(10) ? 1 : 0)
    put(&cd, 34, 32, UInt64(random.among(1...7)))
    put(&cd, 5, 0, UInt64(lower.1))
    put(&cd, 7, 6, lower.0.tg0)
    put(&cd, 21, 16, UInt64(upper.1))
    put(&cd, 23, 22, upper.0.tg1)
    put(&cd, 14, 14, random.chance(5) ? 1 : 0)
    put(&cd, 30, 30, random.chance(5) ? 1 : 0)
    put(&cd, 119, 68, random.next() & ((1 << UInt64(tableBits - 4)) - 1))
    put(&cd, 183, 132, random.next() & ((1 << UInt64(tableBits - 4)) - 1))
    return cd
  }

  /// An STE with stage 2 of this geometry, and CDs at `contexts`.
  public static func streamTableEntry(
    _ random: inout SeededRandom, _ features: Features, config: UInt64, contexts: UInt64,
    _ granule: ReferenceGranule, sl0: UInt64, t0sz: Int, bigEndian: Bool
  ) -> [UInt64] {
    var ste = random.words(8)
    put(&ste, 0, 0, 1)
    put(&ste, 3, 1, config)
    if config & 1 == 1 {
      put(&ste, 5, 4, random.chance(50) ? 0 : 3)
      put(&ste, 55, 6, contexts >> 6)
      put(&ste, 63, 59, 0)
      put(&ste, 91, 91, 0)
    }
    // Overrides of privilege and kind would hide much; keep them rare.
    if random.chance(70) { put(&ste, 115, 112, 0) }
    if !features.vmid16 { put(&ste, 143, 136, 0) }
    guard config & 2 == 2 else { return ste }
    put(&ste, 165, 160, UInt64(t0sz))
    put(&ste, 167, 166, sl0)
    put(&ste, 175, 174, granule.tg0)
    put(&ste, 178, 176, UInt64(random.among(1...7)))
    put(&ste, 185, 179, 1)
    put(&ste, 180, 180, bigEndian ? 1 : 0)
    put(&ste, 181, 181, random.chance(10) ? 1 : 0)
    put(&ste, 182, 182, random.chance(15) ? 1 : 0)
    put(&ste, 247, 196, (random.next() & 0xf_ffff_ffff) >> 4)
    return ste
  }
}

extension ReferenceGranule {
  /// Legal stage 2 geometries: S2SL0 with the S2T0SZ that it takes.
  public func stage2Geometries(_ features: Features) -> [(sl0: UInt64, t0sz: Int)] {
    let oas = features.outputBits, most = features.smallTables ? (self == .k64 ? 47 : 48) : 39
    return (0..<4 as Range<UInt64>).flatMap { sl0 -> [(sl0: UInt64, t0sz: Int)] in
      guard let row = stage2(sl0: sl0, smallTables: features.smallTables), oas >= row.oas else {
        return []
      }
      return row.t0sz.filter { $0 >= 64 - oas && $0 <= most }.map { (sl0, $0) }
    }
  }

  public func stage1Sizes(_ features: Features) -> ClosedRange<Int> {
    16...(features.smallTables ? (self == .k64 ? 47 : 48) : 39)
  }
}
