// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The saved form of an SMMU, little-endian:
///
///     u64 magic "VSMMUv3\0" · u32 version · u32 oldest version that can read it
///     u32 record count · u32 CRC-32 of all before and after it
///     records: u32 register offset (Page 1 folded onto Page 0) · u32 bytes (4 or 8) · u64 value
///
/// A record is a register, found again by its offset: a reader that does not know one refuses the
/// stream unless its value is the reset value, zero. No register is there twice. ID registers are
/// saved to be compared.
public enum SnapshotError: Error, Equatable, Sendable {
  case truncated, notASnapshot, damaged
  case newer(version: UInt32)
  /// A register that this device does not have, or a value that it cannot hold.
  case unknown(offset: UInt32)
  /// A register that the stream has twice.
  case repeated(offset: UInt32)
  /// An ID register that differs: in this field at first.
  case differs(IdentificationRegister, Field, saved: UInt32, own: UInt32)
}

extension SMMU {
  private static var magic: UInt64 { 0x0033_7655_4d4d_5356 }
  private static var version: UInt32 { 1 }
  private static var headerBytes: Int { 24 }
  private static var recordBytes: Int { 16 }

  /// The rows that are part of the state: all that exist here.
  private var savedRows: [RegisterRow] {
    RegisterMap.rows.filter { $0.implemented(features) != 0 && !$0.isDerived }
  }

  /// Writes the state if it fits; returns its size in bytes.
  public func save(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let rows = savedRows
    let size = Self.headerBytes + rows.count * Self.recordBytes
    guard buffer.count >= size else { return size }
    func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
      buffer.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
    for (i, row) in rows.enumerated() {
      let offset = Self.headerBytes + i * Self.recordBytes
      put(row.offset, offset)
      put(UInt32(row.width), offset + 4)
      put(registers[row.register], offset + 8)
    }
    put(Self.magic, 0)
    put(Self.version, 8)
    put(UInt32(1), 12)
    put(UInt32(rows.count), 16)
    put(Self.checksum(UnsafeRawBufferPointer(rebasing: buffer[..<size])), 20)
    return size
  }

  /// Checks a stream without applying it.
  public func validate(_ data: UnsafeRawBufferPointer) throws(SnapshotError) {
    try Self.validateFrame(data)
    let rows = savedRows
    var seen = SmallSet()
    for i in 0..<Self.recordCount(data) {
      let (offset, width, value) = Self.record(data, i)
      guard let index = rows.firstIndex(where: { $0.offset == offset && $0.width == width }) else {
        if value == 0 { continue }
        throw .unknown(offset: offset)
      }
      let row = rows[index]
      guard seen.insert(index) else { throw .repeated(offset: offset) }
      if let own = RegisterMap.constant(row.register, features) {
        guard value == UInt64(own) else {
          throw Self.difference(row.register, UInt32(truncatingIfNeeded: value), own, offset)
        }
      } else if value & ~row.implemented(features) != 0 || row.isBusy(value) {
        throw .unknown(offset: offset)
      }
    }
    try requireIdentification(data)
  }

  /// Applies a stream that `validate` accepts; the caches start cold. An access in progress
  /// meanwhile sees the old state or the new one, but never a bypass that is part of neither.
  public func restore(_ data: UnsafeRawBufferPointer) throws(SnapshotError) {
    try validate(data)
    replaceState { apply(data) }
    hardware?.everythingChanged()
    consumeCommands(options.commandBudget)
  }

  private func apply(_ data: UnsafeRawBufferPointer) {
    let rows = savedRows
    for row in rows where RegisterMap.constant(row.register, features) == nil {
      registers[row.register] = row.reset & row.implemented(features)
    }
    for i in 0..<Self.recordCount(data) {
      let (offset, width, value) = Self.record(data, i)
      guard let row = rows.first(where: { $0.offset == offset && $0.width == width }) else {
        continue
      }
      registers[row.register] = value
    }
    // Updates complete within their writes, so the acknowledgements follow (§6.3.10, §6.3.18).
    registers[.irqCtrlAck] = registers[.irqCtrl]
    registers[.cr0ack] = registers[.cr0]
  }

  private static func validateFrame(_ data: UnsafeRawBufferPointer) throws(SnapshotError) {
    func get(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    guard data.count >= headerBytes else { throw .truncated }
    let magic = UInt64(littleEndian: data.loadUnaligned(as: UInt64.self))
    guard magic == Self.magic else { throw .notASnapshot }
    guard get(12) <= version else { throw .newer(version: get(8)) }
    let count = Int(get(16))
    guard count <= (data.count - headerBytes) / recordBytes else { throw .truncated }
    guard data.count == headerBytes + count * recordBytes else { throw .damaged }
    guard get(20) == checksum(data) else { throw .damaged }
  }

  /// A stream without ID registers could be anyone's.
  private func requireIdentification(_ data: UnsafeRawBufferPointer) throws(SnapshotError) {
    for row in savedRows where RegisterMap.constant(row.register, features) != nil {
      var isPresent = false
      for i in 0..<Self.recordCount(data) where Self.record(data, i).offset == row.offset {
        isPresent = true
      }
      guard isPresent else { throw .unknown(offset: row.offset) }
    }
  }

  private static func recordCount(_ data: UnsafeRawBufferPointer) -> Int {
    (data.count - headerBytes) / recordBytes
  }

  private static func record(
    _ data: UnsafeRawBufferPointer, _ index: Int
  ) -> (offset: UInt32, width: Int, value: UInt64) {
    let start = headerBytes + index * recordBytes
    return (
      UInt32(littleEndian: data.loadUnaligned(fromByteOffset: start, as: UInt32.self)),
      Int(UInt32(littleEndian: data.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self))),
      UInt64(littleEndian: data.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self))
    )
  }

  /// The first field in which an ID register differs.
  private static func difference(
    _ register: Register, _ saved: UInt32, _ own: UInt32, _ offset: UInt32
  ) -> SnapshotError {
    guard let id = register.identification else { return .unknown(offset: offset) }
    for field in id.fields {
      let theirs = UInt64(saved)[field.high, field.low], ours = UInt64(own)[field.high, field.low]
      if theirs != ours {
        return .differs(id, field, saved: UInt32(theirs), own: UInt32(ours))
      }
    }
    return .unknown(offset: offset)
  }

  /// CRC-32 (IEEE 802.3) of a stream without its own place.
  private static func checksum(_ stream: UnsafeRawBufferPointer) -> UInt32 {
    var crc: UInt32 = .max
    for i in stream.indices where i / 4 != 5 {
      crc ^= UInt32(stream[i])
      for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }
}

/// Numbers below 128: there are fewer rows.
private struct SmallSet {
  private var words: (UInt64, UInt64) = (0, 0)

  /// False if it was there.
  mutating func insert(_ number: Int) -> Bool {
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: number & 63)
    let old = number < 64 ? words.0 : words.1
    if number < 64 { words.0 |= bit } else { words.1 |= bit }
    return old & bit == 0
  }
}

extension RegisterRow {
  /// An Update in progress, which no saved state has.
  fileprivate func isBusy(_ value: UInt64) -> Bool {
    register == .gbpa && value[GBPA.update.low]
  }

  /// Follows from another register at all times.
  fileprivate var isDerived: Bool { register == .cr0ack || register == .irqCtrlAck }
}

extension Register {
  fileprivate var identification: IdentificationRegister? {
    switch self {
    case .idr0: .idr0
    case .idr1: .idr1
    case .idr2: .idr2
    case .idr3: .idr3
    case .idr4: .idr4
    case .idr5: .idr5
    case .idr6: .idr6
    case .iidr: .iidr
    case .aidr: .aidr
    default: nil
    }
  }
}
