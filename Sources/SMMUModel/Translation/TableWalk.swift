// SPDX-License-Identifier: MIT
import SMMUSpec

/// The geometry of a translation table, of either stage.
struct TranslationTable {
  let granule: Granule
  /// Bits of input address that the table resolves: 64 - TxSZ.
  let inputBits: Int
  let startLevel: Int
  let base: UInt64
  /// Output addresses beyond this many bits are an Address Size fault.
  let outputBits: Int
  let bigEndian: Bool

  /// The table's first level is `inputBits` less what the levels below resolve; its base is aligned
  /// to its size, concatenated tables included (DDI 0487 J1.1 S1TTBaseAddress, S2TTBaseAddress).
  @inline(__always)
  init(
    granule: Granule, inputBits: Int, startLevel: Int, base: UInt64, outputBits: Int,
    bigEndian: Bool
  ) {
    self.granule = granule
    self.inputBits = inputBits
    self.startLevel = startLevel
    self.base = base.aligned(down: inputBits - Self.lowBit(granule, startLevel) + 3)
    self.outputBits = outputBits
    self.bigEndian = bigEndian
  }

  /// The lowest address bit that a level of table resolves.
  @inline(__always)
  static func lowBit(_ granule: Granule, _ level: Int) -> Int {
    granule.shift + granule.stride * (3 - level)
  }

  /// The level at which `inputBits` start without concatenation (J1.1 S1StartLevel).
  @inline(__always)
  static func startLevel(_ granule: Granule, inputBits: Int) -> Int {
    3 - (inputBits - 1 - granule.shift) / granule.stride
  }
}

/// Where a walk ended.
struct Leaf {
  let descriptor: TranslationDescriptor
  /// The output of this input address.
  let address: UInt64
  /// log2 of the bytes that the leaf covers.
  let size: Int
  /// Bits [62:59] of the table descriptors above, ored.
  let tables: UInt64
}

/// Reads descriptors of a table: directly, or through stage 2.
protocol DescriptorSource {
  /// An aligned little-endian load; faults are those of the load itself.
  func descriptor(at address: UInt64) throws(Fault) -> UInt64
}

extension TranslationTable {
  /// The page walk, of both stages (DDI 0487 D8.2, D8.3). Faults come in the order of §7.3.22: at
  /// each level the load, then an invalid descriptor, then its output size.
  @inline(__always)
  func walk<Source: DescriptorSource>(
    _ input: UInt64, _ source: Source, _ purpose: WalkPurpose
  ) throws(Fault) -> Leaf {
    let offset = input & UInt64.ones(inputBits)
    var level = startLevel
    var base = base
    var top = inputBits
    var tables: UInt64 = 0
    while true {
      let low = Self.lowBit(granule, level)
      let raw = try source.descriptor(at: base &+ offset[top - 1, low] &* 8)
      let descriptor = TranslationDescriptor(bigEndian ? raw.byteSwapped : raw)
      let kind = descriptor.kind(level: level, granule: granule)
      if kind == .invalid { throw purpose.fault(.translation) }
      let from = kind == .leaf ? low : granule.shift
      let address = descriptor.address(from: from)
      let high = granule == .size64K ? descriptor.highAddress64K : 0
      if (address | high) & ~UInt64.ones(outputBits) != 0 { throw purpose.fault(.addressSize) }
      if kind == .leaf {
        return Leaf(
          descriptor: descriptor, address: address | offset & UInt64.ones(low), size: low,
          tables: tables)
      }
      tables |= descriptor.raw & (0xf &<< 59)
      base = address
      top = low
      level += 1
    }
  }
}
