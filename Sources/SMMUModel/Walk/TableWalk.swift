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
  /// Bits of a descriptor that are an address beyond the output size.
  @inline(__always)
  var outside: UInt64 {
    let beyond = ~UInt64.ones(outputBits)
    // Of a 64K granule [15:12] too, as address bits [51:48]: without 52-bit addresses they are no
    // RES0, as D8.15.1 deprecates ignoring them.
    return beyond & UInt64.ones(48) | (shift == 16 ? beyond &>> 36 & 0xf000 : 0)
  }

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
    self.base = base & ~UInt64.low(bits)
  }

  /// None.
  @inline(__always)
  init() { (geometry, base) = (TableGeometry(raw: 0), 0) }
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

extension SMMU {
  /// A walk of tables at physical addresses, of stage 1 or stage 2.
  func walk(
    _ table: TranslationTable, _ input: UInt64, _ tag: TranslationTag, _ purpose: WalkPurpose,
    _ walker: inout Walker
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input, table, tag)
    let last = options.cachesTables ? walks.lookUp(key) : nil
    let shift = table.geometry.shift
    // What is usual has fewer variables.
    guard shift == 12 else {
      return try descend(table, input, purpose, &walker, key, last, shift: shift) { address, _ in
        (address, 64)
      }
    }
    return try descend(table, input, purpose, &walker, key, last, shift: 12) { address, _ in
      (address, 64)
    }
  }

  /// A walk of stage 1 tables that lie behind stage 2 (§3.3.2). One that was found before is loaded
  /// from directly: stage 2 let it be read.
  func walkNested(
    _ table: TranslationTable, _ input: UInt64, _ tag: TranslationTag, _ walker: inout Walker
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input, table, tag)
    let last = options.cachesTables ? walks.lookUp(key) : nil
    let shift = table.geometry.shift
    return try descend(table, input, .stage1, &walker, key, last, shift: shift) {
      (address, walker) throws(Fault) in
      if last != nil { return (address, 64) }
      return try structure(address, .translationTable, &walker)
    }
  }

  /// The page walk (DDI 0487 D8.2, D8.3), from the top or from a last table that an earlier walk
  /// has found. Faults come in the order of §7.3.22: at each level the load, then an invalid
  /// descriptor, then its output size. `locate` gives the physical address of a descriptor, and
  /// log2 of the bytes around it that lie in one piece.
  @inline(__always)
  private func descend(
    _ start: TranslationTable, _ input: UInt64, _ purpose: WalkPurpose, _ walker: inout Walker,
    _ key: WalkCache.Key, _ last: LastTable?, shift: Int,
    _ locate: (UInt64, inout Walker) throws(Fault) -> (address: UInt64, size: Int)
  ) throws(Fault) -> Leaf {
    let geometry = start.geometry
    let stride = shift &- 3
    let entries = UInt64.low(stride)
    let outside = geometry.outside
    let next = UInt64.ones(48) & ~UInt64.low(shift)
    let offset = input & UInt64.low(geometry.inputBits)
    var level = last == nil ? geometry.startLevel : 3
    var low = shift &+ stride &* (3 &- level)
    var base = last?.base ?? start.base
    var tables = last?.tables ?? 0
    // The first table may have more entries than others, or fewer, but the input has no bit above.
    var mask = last == nil ? UInt64.max : entries
    while true {
      let index = offset &>> UInt64(truncatingIfNeeded: low) & mask
      let (address, size) = try locate(base &+ index &* 8, &walker)
      let word: UInt64
      do throws(BusAbort) {
        word = try load64(address, near: &walker.region)
      } catch {
        throw purpose.abort(address)
      }
      let descriptor = TranslationDescriptor(geometry.isBigEndian ? word.byteSwapped : word)
      let kind = descriptor.kind(level: level, shift: shift)
      if kind == .invalid { throw purpose.fault(.translation) }
      if descriptor.raw & outside != 0 { throw purpose.fault(.addressSize) }
      if kind == .leaf {
        if level == 3 && last == nil && geometry.startLevel < 3 && size >= shift
          && options.cachesTables
        {
          let place = address & ~UInt64.low(shift)
          walker.found(LastTable(base: place, tables: tables & (0xf &<< 59)), key, self)
        }
        let within = UInt64.low(low)
        return Leaf(
          descriptor: descriptor, address: descriptor.raw & next & ~within | offset & within,
          size: low, tables: tables & (0xf &<< 59))
      }
      tables |= descriptor.raw
      base = descriptor.raw & next
      mask = entries
      low &-= stride
      level &+= 1
    }
  }
}
