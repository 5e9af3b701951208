// SPDX-License-Identifier: MIT
import SMMUSpec

/// What a translation table of either stage looks like, in 14 bits: a stream's plan has it ready.
struct TableGeometry: Equatable, Sendable {
  var raw: UInt64

  @inline(__always)
  init(raw: UInt64) { self.raw = raw }

  /// `inputBits` are those of input address that the table resolves: 64 - TxSZ. Output addresses
  /// beyond `outputSize`, an encoding as IDR5.OAS, are an Address Size fault.
  init(
    granule: Granule, inputBits: Int, startLevel: Int, outputSize: UInt64, bigEndian: Bool
  ) {
    raw = UInt64(granule.shift - 12) / 2
    raw[7, 2] = UInt64(truncatingIfNeeded: inputBits)
    raw[9, 8] = UInt64(truncatingIfNeeded: startLevel)
    raw[12, 10] = outputSize
    raw[13] = bigEndian
  }

  static var width: Int { 14 }

  @inline(__always) var shift: Int { 12 &+ Int(truncatingIfNeeded: raw & 3) &* 2 }
  /// Address bits that one level resolves.
  @inline(__always) var stride: Int { shift &- 3 }
  @inline(__always) var inputBits: Int { Int(truncatingIfNeeded: raw[7, 2]) }
  @inline(__always) var startLevel: Int { Int(truncatingIfNeeded: raw[9, 8]) }
  @inline(__always) var outputBits: Int { addressBits(raw[12, 10]) }
  @inline(__always) var isBigEndian: Bool { raw[13] }
  @inline(__always) var is64K: Bool { shift == 16 }

  /// The lowest address bit that a level of table resolves.
  @inline(__always)
  func lowBit(_ level: Int) -> Int { shift &+ stride &* (3 &- level) }

}

/// A translation table, of either stage.
struct TranslationTable {
  let geometry: TableGeometry
  let base: UInt64

  /// The table's first level is `inputBits` less what the levels below resolve; its base is aligned
  /// to its size, concatenated tables included (DDI 0487 J1.1 S1TTBaseAddress, S2TTBaseAddress).
  @inline(__always)
  init(_ geometry: TableGeometry, base: UInt64) {
    self.geometry = geometry
    let bits = geometry.inputBits &- geometry.lowBit(geometry.startLevel) &+ 3
    self.base = base.aligned(down: bits)
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
  /// The table that the leaf is in, and its level.
  let table: UInt64
  let level: Int
}

/// Reads descriptors of a table: directly, or through stage 2. The SMMU is always a parameter: kept
/// in a source it would be retained for each load.
protocol DescriptorSource {
  /// An aligned little-endian load; faults are those of the load itself.
  mutating func descriptor(at address: UInt64, _ smmu: SMMU) throws(Fault) -> UInt64
  /// Where in physical memory the table is that the last load was from; nil if it is in pieces.
  func place(of table: UInt64, _ geometry: TableGeometry) -> UInt64?
}

/// A table of the last level that an earlier walk has found.
struct LastTable {
  let base: UInt64
  /// Bits [62:59] of the table descriptors above, ored.
  let tables: UInt64
}

extension TranslationTable {
  /// The page walk, of both stages (DDI 0487 D8.2, D8.3), from the top. Faults come in the order of
  /// §7.3.22: at each level the load, then an invalid descriptor, then its output size.
  @inline(__always)
  func walk<Source: DescriptorSource>(
    _ input: UInt64, _ source: inout Source, _ purpose: WalkPurpose, _ smmu: SMMU
  ) throws(Fault) -> Leaf {
    try walk(input, &source, purpose, smmu, from: geometry.startLevel, base, 0, mask: .max)
  }

  /// From a table of level 3 on.
  @inline(__always)
  func walk<Source: DescriptorSource>(
    _ input: UInt64, _ source: inout Source, _ purpose: WalkPurpose, _ smmu: SMMU,
    from last: LastTable
  ) throws(Fault) -> Leaf {
    let mask = UInt64.ones(geometry.stride)
    return try walk(input, &source, purpose, smmu, from: 3, last.base, last.tables, mask: mask)
  }

  /// `mask` selects the index into the first table.
  @inline(__always)
  private func walk<Source: DescriptorSource>(
    _ input: UInt64, _ source: inout Source, _ purpose: WalkPurpose, _ smmu: SMMU,
    from start: Int, _ first: UInt64, _ above: UInt64, mask: UInt64
  ) throws(Fault) -> Leaf {
    let shift = geometry.shift
    let stride = geometry.stride
    let beyond = ~UInt64.ones(geometry.outputBits)
    let offset = input & UInt64.ones(geometry.inputBits)
    var (level, table, tables, mask) = (start, first, above, mask)
    var low = geometry.lowBit(start)
    while true {
      let index = offset &>> UInt64(truncatingIfNeeded: low) & mask
      let raw = try source.descriptor(at: table &+ index &* 8, smmu)
      let descriptor = TranslationDescriptor(geometry.isBigEndian ? raw.byteSwapped : raw)
      let kind = descriptor.kind(level: level, shift: shift)
      if kind == .invalid { throw purpose.fault(.translation) }
      let address = descriptor.address(from: kind == .leaf ? low : shift)
      let high = geometry.is64K ? descriptor.highAddress64K : 0
      if (address | high) & beyond != 0 { throw purpose.fault(.addressSize) }
      if kind == .leaf {
        return Leaf(
          descriptor: descriptor, address: address | offset & UInt64.ones(low), size: low,
          tables: tables, table: table, level: level)
      }
      tables |= descriptor.raw & (0xf &<< 59)
      table = address
      mask = UInt64.ones(stride)
      low &-= stride
      level &+= 1
    }
  }
}

extension SMMU {
  /// A walk that begins at the last table, if an earlier one found it. A cached table is loaded
  /// from directly: stage 2 let it be read.
  @inline(__always)
  func walk<Source: DescriptorSource>(
    _ table: TranslationTable, _ input: UInt64, _ tag: TranslationTag, _ source: Source,
    _ purpose: WalkPurpose, _ epoch: UInt32
  ) throws(Fault) -> Leaf {
    let geometry = table.geometry
    let key = WalkCache.Key(input, table, tag)
    if options.cachesTables, let last = walks.lookUp(key) {
      var direct = PhysicalSource(purpose: purpose)
      return try table.walk(input, &direct, purpose, self, from: last)
    }
    var source = source
    let leaf = try table.walk(input, &source, purpose, self)
    if leaf.level == 3 && geometry.startLevel < 3,
      let place = source.place(of: leaf.table, geometry)
    {
      walks.insert(key, LastTable(base: place, tables: leaf.tables), epoch: epoch)
    }
    return leaf
  }
}
