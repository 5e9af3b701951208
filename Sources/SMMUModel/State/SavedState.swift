// SPDX-License-Identifier: MIT

/// Bytes of a saved state, little-endian.
struct SavedBytes {
  private let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var count: Int { bytes.count }

  func get<T: FixedWidthInteger>(_ offset: Int) -> T {
    T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  subscript(_ range: Range<Int>) -> SavedBytes {
    SavedBytes(UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  /// CRC-32 (IEEE 802.3) of all but the 4 bytes at `place`.
  func checksum(without place: Int) -> UInt32 {
    var crc: UInt32 = .max
    for i in bytes.indices where i < place || i >= place + 4 {
      crc ^= UInt32(bytes[i])
      for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }
}

struct SavedSection {
  /// Of the header: u64 name · u32 version · u32 bytes that follow.
  static var headerBytes: Int { 16 }

  let name: SectionName
  let version: UInt32
  let bytes: SavedBytes
}

/// A saved state that is whole: its header, its checksum and the borders of its sections are right.
/// What the sections say is for their parts to judge.
struct SavedState {
  static var magic: UInt64 { 0x0033_7655_4d4d_5356 }
  static var version: UInt32 { 2 }
  /// The last version that has the records of all parts in place of sections.
  static var lastWithoutSections: UInt32 { 1 }
  static var headerBytes: Int { 24 }
  static var countOffset: Int { 16 }
  static var checksumOffset: Int { 20 }

  private let data: SavedBytes

  init(_ bytes: UnsafeRawBufferPointer) throws(SavedStateError) {
    data = SavedBytes(bytes)
    guard data.count >= Self.headerBytes else { throw .truncated }
    guard data.get(0) == Self.magic else { throw .notASavedState }
    guard oldestReader <= Self.version else { throw .newer(version: data.get(8)) }
    guard try end() == data.count else { throw .damaged }
    guard data.get(Self.checksumOffset) == data.checksum(without: Self.checksumOffset) else {
      throw .damaged
    }
  }

  private var oldestReader: UInt32 { data.get(12) }

  /// The records of a saved state without sections.
  var records: RegisterRecords? {
    guard oldestReader <= Self.lastWithoutSections else { return nil }
    return RegisterRecords(data[Self.headerBytes..<data.count])
  }

  /// Of a saved state with sections: the one at `place`, which then is behind it. Nil at the end.
  func section(at place: inout Int) -> SavedSection? {
    guard place < data.count else { return nil }
    let start = place + SavedSection.headerBytes
    let length: UInt32 = data.get(place + 12)
    let section = SavedSection(
      name: SectionName(characters: data.get(place)), version: data.get(place + 8),
      bytes: data[start..<start + Int(length)])
    place = start + Int(length)
    return section
  }

  /// Where the last section or record ends, by what their headers say.
  private func end() throws(SavedStateError) -> Int {
    let count: UInt32 = data.get(Self.countOffset)
    var rest = data.count - Self.headerBytes
    if oldestReader <= Self.lastWithoutSections {
      guard Int(count) <= rest / RegisterRecord.size else { throw .truncated }
      return Self.headerBytes + Int(count) * RegisterRecord.size
    }
    for _ in 0..<count {
      guard rest >= SavedSection.headerBytes else { throw .truncated }
      let length: UInt32 = data.get(data.count - rest + 12)
      rest -= SavedSection.headerBytes
      guard Int(length) <= rest else { throw .truncated }
      rest -= Int(length)
    }
    return data.count - rest
  }
}
