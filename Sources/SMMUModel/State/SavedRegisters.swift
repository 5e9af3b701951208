// SPDX-License-Identifier: MIT
import SMMUSpec

/// A register in a saved state, found again by its offset:
///
///     u32 register offset (Page 1 folded onto Page 0) · u32 bytes (4 or 8) · u64 value
struct RegisterRecord {
  static var size: Int { 16 }

  let offset: UInt32
  let width: UInt32
  let value: UInt64

  func matches(_ row: RegisterRow) -> Bool {
    row.offset == offset && row.register.width == Int(width)
  }
}

/// Records, one after another.
struct RegisterRecords {
  private let bytes: SavedBytes

  init(_ bytes: SavedBytes) { self.bytes = bytes }

  var count: Int { bytes.count / RegisterRecord.size }

  subscript(_ index: Int) -> RegisterRecord {
    let start = index * RegisterRecord.size
    return RegisterRecord(
      offset: bytes.get(start), width: bytes.get(start + 4), value: bytes.get(start + 8))
  }
}

/// How the registers of an SMMU save, validate and restore themselves. ID registers are saved to be
/// compared.
struct SavedRegisters {
  let registers: RegisterFile
  let features: Features

  /// Whether an SMMU of these features has the part.
  func has(_ part: StatePart) -> Bool {
    for row in RegisterMap.rows where isSaved(row, of: part) { return true }
    return false
  }

  /// Whether a register is state of the part, nil for any: it exists here and follows from no
  /// other.
  @inline(never)
  private func isSaved(_ row: RegisterRow, of part: StatePart?) -> Bool {
    (part == nil || row.register.part == part) && !row.register.isDerived
      && row.implemented(features) != 0
  }

  func save(_ part: StatePart, to out: inout StateWriter) {
    for row in RegisterMap.rows where isSaved(row, of: part) {
      out.put(row.offset)
      out.put(UInt32(row.register.width))
      out.put(registers[row.register])
    }
  }

  /// The row of a record, whatever part it is state of.
  private func row(of record: RegisterRecord) -> RegisterRow? {
    for row in RegisterMap.rows where record.matches(row) && isSaved(row, of: nil) { return row }
    return nil
  }

  /// `part` nil: all of them have their registers here. A register that nobody knows is refused
  /// unless its value is the reset value, zero.
  func validate(_ records: RegisterRecords, of part: StatePart?) throws(SavedStateError) {
    var seen = SmallSet()
    for i in 0..<records.count {
      let record = records[i]
      guard let row = row(of: record) else {
        if record.value == 0 { continue }
        throw .unknown(offset: record.offset)
      }
      guard part == nil || row.register.part == part else {
        throw .unknown(offset: record.offset)
      }
      guard seen.insert(row.register.place) else { throw .repeated(offset: record.offset) }
      try validate(record, of: row)
    }
    // A saved state without ID registers could be anyone's.
    guard part == nil || part == .identification else { return }
    for row in RegisterMap.rows where isSaved(row, of: .identification) {
      guard seen.contains(row.register.place) else { throw .unknown(offset: row.offset) }
    }
  }

  private func validate(_ record: RegisterRecord, of row: RegisterRow) throws(SavedStateError) {
    if let own = RegisterMap.constant(row.register, features) {
      guard record.value == UInt64(own) else {
        throw record.difference(row.register, own)
      }
    } else if record.value & ~row.implemented(features) != 0 || row.register.isBusy(record.value) {
      throw .unknown(offset: record.offset)
    }
  }

  /// What a saved state does not have keeps its reset value.
  func reset(_ part: StatePart) {
    for row in RegisterMap.rows where isSaved(row, of: part) && part != .identification {
      registers[row.register] = row.register.reset & row.implemented(features)
    }
  }

  func restore(_ records: RegisterRecords) {
    for i in 0..<records.count {
      let record = records[i]
      if let row = row(of: record) { registers[row.register] = record.value }
    }
  }
}

extension RegisterRecord {
  /// The first field in which an ID register differs.
  fileprivate func difference(_ register: Register, _ own: UInt32) -> SavedStateError {
    let saved = UInt32(truncatingIfNeeded: value)
    guard case .identification(let id) = register else { return .unknown(offset: offset) }
    for field in id.fields {
      let theirs = UInt64(saved)[field.high, field.low], ours = UInt64(own)[field.high, field.low]
      if theirs != ours {
        return .differs(id, field: field, saved: UInt32(theirs), own: UInt32(ours))
      }
    }
    return .unknown(offset: offset)
  }
}

/// Numbers below 128: there are fewer registers.
private struct SmallSet {
  private var words: (UInt64, UInt64) = (0, 0)

  func contains(_ number: Int) -> Bool {
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: number & 63)
    return (number < 64 ? words.0 : words.1) & bit != 0
  }

  /// False if it was there.
  mutating func insert(_ number: Int) -> Bool {
    guard !contains(number) else { return false }
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: number & 63)
    if number < 64 { words.0 |= bit } else { words.1 |= bit }
    return true
  }
}

extension Register {
  /// An Update in progress, which no saved state has.
  fileprivate func isBusy(_ value: UInt64) -> Bool { self == .gbpa && value[GBPA.update.low] }

  /// Follows from another register at all times.
  fileprivate var isDerived: Bool { self == .cr0ack || self == .irqCtrlAck }
}
