// SPDX-License-Identifier: MIT
import SMMUSpec

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

/// The physical address of a descriptor, and log2 of the bytes around it that lie in one piece.
struct LocatedDescriptor {
  let address: PhysicalAddress
  let size: Int
}

/// What tables are walked for, beside what faults report: where descriptors are, and where a last
/// table is noted that was come to. Known where it is called, so that it costs nothing.
enum WalkMode {
  /// Stage 1 whose tables are at physical addresses.
  case stage1
  /// Stage 1 whose tables lie behind stage 2. One that was found before is loaded from directly:
  /// stage 2 let it be read.
  case nested
  /// Stage 2 of an access.
  case output
  /// Stage 2 of a structure, or of a table of stage 1.
  case structure
}

extension TableWalker {
  /// The page walk (DDI 0487 D8.2, D8.3), from the top or from a last table that an earlier walk
  /// has found, which `key` is of.
  ///
  /// Faults come in the order of §7.3.22: at each level the load, then an invalid descriptor, then
  /// its output size.
  @inline(__always)
  func descend(
    _ mode: WalkMode, table: TranslationTable, input: UInt64, purpose: WalkPurpose,
    walk: inout Walk, from last: LastTable?, key: WalkCache.Key
  ) throws(Fault) -> Leaf {
    guard table.geometry.isUsual else {
      return try descendUnusually(
        mode, table: table, input: input, purpose: purpose, walk: &walk, from: last, key: key)
    }
    return try descendUsually(table, input: input, purpose: purpose, from: last) {
      address throws(Fault) in
      try locate(mode, address: address, walk: &walk)
    } load: { address throws(Fault) in
      try load(address, purpose: purpose, near: &walk.region)
    } found: { last in
      note(mode, last: last, key: key, walk: &walk)
    }
  }

  /// Little-endian tables of 4 KiB. `locate` says where a descriptor is, `found` is told of a last
  /// table.
  @inline(__always)
  func descendUsually(
    _ table: TranslationTable, input: UInt64, purpose: WalkPurpose, from last: LastTable?,
    locate: (UInt64) throws(Fault) -> LocatedDescriptor,
    load: (PhysicalAddress) throws(Fault) -> UInt64, found: (LastTable) -> Void
  ) throws(Fault) -> Leaf {
    let offset = input & UInt64.low(table.geometry.inputBits)
    // Valid, a table or page, and within the output size: one test.
    let checked = table.outside | 3
    if let last {
      let place = PhysicalAddress(last.base &+ (offset &>> 12 & 511) &* 8)
      let descriptor = TranslationDescriptor(try load(place))
      if _slowPath((descriptor.raw ^ 3) & checked != 0) {
        try check(descriptor, address: place, table: table, purpose: purpose, low: 12, shift: 12)
      }
      return Leaf(descriptor, offset: offset, low: 12, shift: 12, tables: last.tables)
    }
    var low = table.geometry.firstBit
    var base = table.base
    var tables: UInt64 = 0
    // The first table may have more entries than others, or fewer, but the input has no bit above.
    var index = offset &>> UInt64(truncatingIfNeeded: low)
    while true {
      let place = try locate(base &+ index &* 8)
      let word = try load(place.address)
      if _slowPath((word ^ 3) & checked != 0) {
        let descriptor = TranslationDescriptor(word)
        try check(
          descriptor, address: place.address, table: table, purpose: purpose, low: low, shift: 12)
        return Leaf(descriptor, offset: offset, low: low, shift: 12, tables: tables)
      }
      if low == 12 {
        if table.geometry.firstBit > 12 && place.size >= 12 {
          found(LastTable(place.address, tables: tables, shift: 12))
        }
        return Leaf(TranslationDescriptor(word), offset: offset, low: 12, shift: 12, tables: tables)
      }
      tables |= word
      base = word & (UInt64.ones(48) & ~UInt64.low(12))
      low &-= 9
      index = offset &>> UInt64(truncatingIfNeeded: low) & 511
    }
  }

  /// The same for any granule and order of bytes.
  @inline(never)
  private func descendUnusually(
    _ mode: WalkMode, table: TranslationTable, input: UInt64, purpose: WalkPurpose,
    walk: inout Walk, from last: LastTable?, key: WalkCache.Key
  ) throws(Fault) -> Leaf {
    let shift = table.geometry.shift
    let entries = UInt64.low(shift &- 3)
    let offset = input & UInt64.low(table.geometry.inputBits)
    var low = last == nil ? table.geometry.firstBit : shift
    var base = last?.base ?? table.base
    var tables = last?.tables ?? 0
    var index = offset &>> UInt64(truncatingIfNeeded: low)
    if last != nil { index &= entries }
    while true {
      let place = try locate(last == nil ? mode : .stage1, address: base &+ index &* 8, walk: &walk)
      let word = try load(place.address, purpose: purpose, near: &walk.region)
      let descriptor = TranslationDescriptor(table.geometry.isBigEndian ? word.byteSwapped : word)
      try check(
        descriptor, address: place.address, table: table, purpose: purpose, low: low, shift: shift)
      if low == shift || !descriptor.raw[1] {
        if low == shift && last == nil && table.geometry.firstBit > shift && place.size >= shift {
          note(
            mode, last: LastTable(place.address, tables: tables, shift: shift), key: key,
            walk: &walk)
        }
        return Leaf(descriptor, offset: offset, low: low, shift: shift, tables: tables)
      }
      tables |= descriptor.raw
      base = descriptor.raw & (UInt64.ones(48) & ~UInt64.low(shift))
      low &-= shift &- 3
      index = offset &>> UInt64(truncatingIfNeeded: low) & entries
    }
  }

  /// Where a descriptor is in memory.
  @inline(__always)
  private func locate(
    _ mode: WalkMode, address: UInt64, walk: inout Walk
  ) throws(Fault) -> LocatedDescriptor {
    guard mode == .nested else {
      return LocatedDescriptor(address: PhysicalAddress(address), size: 64)
    }
    return try structure(IntermediateAddress(address), accessClass: .translationTable, walk: &walk)
  }

  @inline(__always)
  func load(
    _ address: PhysicalAddress, purpose: WalkPurpose, near region: inout GuestMemory.Region
  ) throws(Fault) -> UInt64 {
    do throws(BusAbort) {
      return try bus.load64(address, near: &region)
    } catch {
      throw purpose.abort(address)
    }
  }

  /// A walk came to a last table.
  @inline(__always)
  private func note(
    _ mode: WalkMode, last: LastTable, key: WalkCache.Key, walk: inout Walk
  ) {
    switch mode {
    case .stage1, .nested, .output: keep(last, key: key, epoch: walk.epoch)
    case .structure: (walk.recent, walk.recentRegion) = (last, key.region)
    }
  }

  @inline(__always)
  func keep(_ last: LastTable, key: WalkCache.Key, epoch: UInt32) {
    if cachesTables { cache.insert(key, last: last, epoch: epoch) }
  }

  /// Whether a descriptor is valid at its level, and its output within the output size.
  @inline(never)
  private func check(
    _ descriptor: TranslationDescriptor, address: PhysicalAddress, table: TranslationTable,
    purpose: WalkPurpose, low: Int, shift: Int
  ) throws(Fault) {
    let isValid = descriptor.isValid(low: low, shift: shift)
    if isValid && descriptor.raw & table.outside == 0 { return }
    observer?.descriptor = FoundDescriptor(
      level: 3 - (low - shift) / (shift - 3), address: address, value: descriptor.raw)
    throw purpose.fault(isValid ? .addressSize : .translation)
  }
}

extension Leaf {
  @inline(__always)
  fileprivate init(
    _ descriptor: TranslationDescriptor, offset: UInt64, low: Int, shift: Int, tables: UInt64
  ) {
    let within = UInt64.low(low)
    let next = UInt64.ones(48) & ~UInt64.low(shift)
    self.init(
      descriptor: descriptor, address: descriptor.raw & next & ~within | offset & within,
      size: low, tables: tables & LastTable.flags)
  }
}

extension LastTable {
  /// The table of level 3 that a descriptor is in, below others.
  @inline(__always)
  fileprivate init(_ descriptor: PhysicalAddress, tables: UInt64, shift: Int) {
    self.init(base: descriptor.raw & ~UInt64.low(shift), tables: tables & LastTable.flags)
  }
}

extension TranslationDescriptor {
  /// Whether it is a table or a leaf at the level whose lowest bit is `low`, of tables of 2^`shift`
  /// bytes. Which levels may hold blocks depends on the granule (D8.2.8 to D8.2.10), and bits [1:0]
  /// == 0b01 at level 3 are reserved.
  @inline(__always)
  fileprivate func isValid(low: Int, shift: Int) -> Bool {
    guard raw[0] else { return false }
    if raw[1] { return true }
    return low == 2 &* shift &- 3 || (shift == 12 && low == 30)
  }
}
