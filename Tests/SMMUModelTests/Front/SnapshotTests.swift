// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// A stream as its parts, to be changed and put together again.
private struct Stream {
  var magic: UInt64 = 0x0033_7655_4d4d_5356
  var version: UInt32 = 1
  var oldest: UInt32 = 1
  var records: [(offset: UInt32, bytes: UInt32, value: UInt64)] = []

  init(_ bytes: [UInt8]) {
    for start in stride(from: 24, to: bytes.count, by: 16) {
      records.append(
        (UInt32(Self.get(bytes, start, 4)), UInt32(Self.get(bytes, start + 4, 4)),
          Self.get(bytes, start + 8, 8)))
    }
  }

  static func get(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
    bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func put(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }

  /// CRC-32 by the textbook: one bit at a time, of the reflected polynomial.
  private static func crc(_ bytes: [UInt8]) -> UInt64 {
    var remainder: UInt64 = 0xffff_ffff
    for byte in bytes {
      for bit in 0..<8 {
        let isSet = (remainder ^ UInt64(byte) >> UInt64(bit)) & 1 == 1
        remainder >>= 1
        if isSet { remainder ^= 0xedb8_8320 }
      }
    }
    return remainder ^ 0xffff_ffff
  }

  var bytes: [UInt8] {
    let header =
      Self.put(magic, 8) + Self.put(UInt64(version), 4) + Self.put(UInt64(oldest), 4)
      + Self.put(UInt64(records.count), 4)
    let body = records.flatMap {
      Self.put(UInt64($0.offset), 4) + Self.put(UInt64($0.bytes), 4) + Self.put($0.value, 8)
    }
    return header + Self.put(Self.crc(header + body), 4) + body
  }

  mutating func set(_ name: String, _ value: UInt64) {
    let offset = Guest.row(name).offset
    let index = records.firstIndex { $0.offset == offset }!
    records[index].value = value
  }
}

extension SMMU {
  fileprivate func refusal(_ bytes: [UInt8]) -> SnapshotError? {
    bytes.withUnsafeBytes { data in
      do throws(SnapshotError) { try validate(data) } catch { return error }
      return nil
    }
  }

  fileprivate func restoring(_ bytes: [UInt8]) -> SnapshotError? {
    bytes.withUnsafeBytes { data in
      do throws(SnapshotError) { try restore(data) } catch { return error }
      return nil
    }
  }
}

@Suite("Snapshots")
struct SnapshotTests {
  /// A guest in the middle of its work: events waiting, an error active, commands behind it.
  private func busy() -> Guest {
    let guest = Guest.started()
    guest["GBPA"] = 1 << 31 | 0x10_2f15
    guest["IRQ_CTRL"] = 0
    guest["EVENTQ_IRQ_CFG0"] = 0x0802_0040
    guest["EVENTQ_IRQ_CFG1"] = 7
    guest["GERROR_IRQ_CFG2"] = 0x25
    guest["IRQ_CTRL"] = 4
    for i in 0..<UInt32(9) { guest.fault(i) }
    guest["EVENTQ_CONS"] = 2
    guest.command(numbered(1), Guest.illegal, numbered(2))
    return guest
  }

  @Test("restoring a saved state gives the same state on another device")
  func roundTrip() {
    let guest = busy()
    let bytes = snapshot(of: guest.smmu)
    let other = Guest()
    #expect(other.smmu.restoring(bytes) == nil)
    #expect(snapshot(of: other.smmu) == bytes)
    for row in RegisterMap.rows {
      #expect(other["\(row.name)"] == guest["\(row.name)"], "\(row.name)")
    }
    #expect(other["CR0ACK"] == 0xd)
    #expect(other["IRQ_CTRLACK"] == 4)
  }

  @Test("a restored device goes on where the saved one stopped")
  func goesOn() {
    let guest = busy()
    let bytes = snapshot(of: guest.smmu)
    // The guest's memory moves with it.
    let other = Guest()
    other.machine.host.copyMemory(
      from: guest.machine.host, byteCount: Int(guest.machine.ramSize))
    #expect(other.smmu.restoring(bytes) == nil)
    _ = other.machine.takeStale()
    #expect(other.activeErrors == 1)
    other.place(numbered(9), slot: 1)
    other.acknowledgeErrors()
    #expect(other.machine.takeNumbers() == [9, 2])
    #expect(other["EVENTQ_PROD"] == 8 | 1 << 31)
    other.fault(42)
    #expect(other.takeFaults() == [2, 3, 4, 5, 6, 7, 42])
  }

  @Test("commands that waited are consumed by the restore")
  func pendingCommands() {
    var options = Options()
    options.commandBudget = 1
    let guest = Guest.started(.full, options)
    guest.command(Guest.illegal)
    guest.place(numbered(1), slot: 0)
    guest.place(numbered(2), slot: 1)
    guest["CMDQ_PROD"] = 2
    var stream = Stream(snapshot(of: guest.smmu))
    stream.set("GERRORN", 1)
    let other = Guest()
    other.machine.host.copyMemory(
      from: guest.machine.host, byteCount: Int(guest.machine.ramSize))
    #expect(other.smmu.restoring(stream.bytes) == nil)
    #expect(other.machine.takeNumbers() == [1, 2])
  }

  @Test("the caches start cold, and those who keep copies hear of it")
  func coldCaches() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    #expect(streams.reads(1) == streams.first)
    let bytes = snapshot(of: guest.smmu)
    streams.remap()
    #expect(streams.reads(1) == streams.first)
    _ = guest.machine.takeStale()
    #expect(guest.smmu.restoring(bytes) == nil)
    #expect(guest.machine.stale.contains(.translations(.everything)))
    #expect(streams.reads(1) == streams.second)
  }

  @Test("random states survive", arguments: 0..<8)
  func random(round: Int) {
    var random = SeededRandom("random states", default: UInt64(round))
    let guest = Guest()
    // No queue is enabled, so that nothing else than the writes happens.
    for row in RegisterMap.rows where row.register != .cr0 && row.register != .irqCtrl {
      guest["\(row.name)"] = random.next()
    }
    guest["CR0"] = random.next() & 1
    let bytes = snapshot(of: guest.smmu)
    let other = Guest()
    #expect(other.smmu.restoring(bytes) == nil)
    #expect(snapshot(of: other.smmu) == bytes)
  }

  @Test("the format is the one of the documentation")
  func format() {
    let guest = busy()
    let bytes = snapshot(of: guest.smmu)
    #expect(Stream(bytes).bytes == bytes)
    #expect(Array(bytes[0..<8]) == Array("VSMMUv3\0".utf8))
    #expect(Array(bytes[8..<16]) == [1, 0, 0, 0, 1, 0, 0, 0])
    let records = Stream(bytes).records
    for record in records {
      let row = RegisterMap.rows.first { $0.offset == record.offset }
      #expect(row.map { UInt32($0.width) } == record.bytes)
    }
    #expect(records.contains { $0.offset == 0xa8 && $0.value == 8 | 1 << 31 })
    // Acknowledgements follow from their registers.
    #expect(!records.contains { $0.offset == 0x24 || $0.offset == 0x54 })
  }

  @Test("saving says how much room it needs, and writes nothing into less")
  func size() {
    let guest = Guest()
    let size = guest.smmu.save(into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
    var bytes = [UInt8](repeating: 0xaa, count: size - 1)
    let told = bytes.withUnsafeMutableBytes { guest.smmu.save(into: $0) }
    #expect(told == size)
    #expect(bytes.allSatisfy { $0 == 0xaa })
    // More room than needed stays untouched behind.
    bytes = [UInt8](repeating: 0xaa, count: size + 5)
    #expect(bytes.withUnsafeMutableBytes { guest.smmu.save(into: $0) } == size)
    #expect(bytes[size...].allSatisfy { $0 == 0xaa })
    #expect(guest.smmu.refusal(Array(bytes[..<size])) == nil)
  }

  // MARK: Refusals

  @Test("validating changes nothing")
  func validates() {
    let guest = Guest.started()
    let before = snapshot(of: guest.smmu)
    #expect(guest.smmu.refusal(snapshot(of: busy().smmu)) == nil)
    #expect(snapshot(of: guest.smmu) == before)
    #expect(guest.machine.stale == [])
  }

  @Test("damage to any one byte is refused and changes nothing")
  func damage() {
    let bytes = snapshot(of: busy().smmu)
    let guest = Guest.started()
    let before = snapshot(of: guest.smmu)
    for i in bytes.indices {
      for flip: UInt8 in [0x01, 0x80, 0xff] {
        var damaged = bytes
        damaged[i] ^= flip
        #expect(guest.smmu.restoring(damaged) != nil, "byte \(i) ^ \(flip)")
      }
    }
    #expect(snapshot(of: guest.smmu) == before)
    #expect(guest.machine.stale == [])
  }

  @Test("a stream cut short anywhere is refused as such, one with more behind it too")
  func truncation() {
    let bytes = snapshot(of: Guest().smmu)
    let smmu = Guest().smmu
    for count in 0..<bytes.count {
      #expect(smmu.refusal(Array(bytes[..<count])) == .truncated, "\(count) bytes")
    }
    #expect(smmu.refusal(bytes + [0]) == .damaged)
    #expect(smmu.refusal(bytes + [UInt8](repeating: 0, count: 16)) == .damaged)
  }

  @Test("what is no snapshot is refused as such")
  func foreign() {
    let smmu = Guest().smmu
    #expect(smmu.refusal([UInt8](repeating: 0, count: 100)) == .notASnapshot)
    var stream = Stream(snapshot(of: smmu))
    stream.magic ^= 1 << 40
    #expect(smmu.refusal(stream.bytes) == .notASnapshot)
  }

  @Test("a newer version is refused unless it says that this one can read it")
  func versions() {
    let smmu = Guest().smmu
    var stream = Stream(snapshot(of: smmu))
    stream.version = 7
    #expect(smmu.refusal(stream.bytes) == nil)
    stream.oldest = 2
    #expect(smmu.refusal(stream.bytes) == .newer(version: 7))
  }

  @Test("a huge record count is no overflow", arguments: [0x1000_0000, 0xffff_ffff] as [UInt64])
  func hugeCount(count: UInt64) {
    var bytes = snapshot(of: Guest().smmu)
    for i in 0..<4 { bytes[16 + i] = UInt8(count >> UInt64(8 * i) & 0xff) }
    #expect(Guest().smmu.refusal(bytes) == .truncated)
  }

  @Test("ID registers that differ are named by field")
  func identification() {
    let changes: [(IdentificationRegister, Field, UInt32)] = [
      (.idr0, IDR0.s2p, 0), (.idr0, IDR0.msi, 0), (.idr0, IDR0.ttendian, 2),
      (.idr1, IDR1.sidsize, 8), (.idr1, IDR1.cmdqs, 8), (.idr3, IDR3.ril, 0),
      (.idr3, IDR3.bbml, 1), (.idr5, IDR5.oas, 4), (.idr5, IDR5.gran16K, 0),
      (.iidr, IIDR.implementer, 0x43b), (.aidr, AIDR.minor, 0),
    ]
    for (register, field, value) in changes {
      var features = Features.full
      features[register, field] = value
      let other = Guest(features)
      let error = other.smmu.restoring(snapshot(of: Guest().smmu))
      let expected = SnapshotError.differs(
        register, field, saved: Features.full[register, field], own: value)
      #expect(error == expected, "\(field.name)")
    }
  }

  @Test("a value in bits that this device does not have is named by its register")
  func unknownBits() {
    let smmu = Guest().smmu
    for (name, value): (String, UInt64) in [
      ("CR0", 1 << 1), ("CR1", 1 << 12), ("STRTAB_BASE", 1 << 50), ("EVENTQ_PROD", 1 << 30),
      ("GERRORN", 1 << 3), ("GBPA", 1 << 31),
    ] {
      var stream = Stream(snapshot(of: smmu))
      stream.set(name, value)
      #expect(smmu.refusal(stream.bytes) == .unknown(offset: Guest.row(name).offset), "\(name)")
    }
  }

  @Test("an unknown register is refused unless it is zero")
  func unknownRegister() {
    let smmu = Guest().smmu
    for (offset, bytes): (UInt32, UInt32) in [(0x300, 4), (0xc0, 8), (0x20, 8), (0x90, 4)] {
      var stream = Stream(snapshot(of: smmu))
      stream.records.append((offset, bytes, 0))
      #expect(smmu.refusal(stream.bytes) == nil)
      stream.records[stream.records.count - 1].value = 1
      #expect(smmu.refusal(stream.bytes) == .unknown(offset: offset))
    }
  }

  @Test("a register that is there twice is refused, whatever the values")
  func repeatedRegister() {
    let smmu = Guest().smmu
    let whole = Stream(snapshot(of: smmu))
    #expect(whole.records.count < 128)
    for record in whole.records {
      var stream = whole
      stream.records.append(record)
      #expect(smmu.restoring(stream.bytes) == .repeated(offset: record.offset))
    }
  }

  @Test("a stream without an ID register could be anyone's")
  func missingIdentification() {
    let smmu = Guest().smmu
    for name in ["IDR0", "IDR1", "IDR3", "IDR5", "AIDR"] {
      var stream = Stream(snapshot(of: smmu))
      stream.records.removeAll { $0.offset == Guest.row(name).offset }
      #expect(
        smmu.refusal(stream.bytes) == .unknown(offset: Guest.row(name).offset), "\(name)")
    }
  }

  @Test("a register that is missing has its reset value")
  func missingRegister() {
    let guest = busy()
    var stream = Stream(snapshot(of: guest.smmu))
    stream.records.removeAll { $0.offset == 0x44 || $0.offset == 0xb8 }
    let other = busy()
    #expect(other.smmu.restoring(stream.bytes) == nil)
    #expect(other["GBPA"] == 0x1000)
    #expect(other["EVENTQ_IRQ_CFG1"] == 0)
    #expect(other["EVENTQ_IRQ_CFG0"] == 0x0802_0040)
  }
}
