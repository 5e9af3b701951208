// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// A saved state as its parts, to be changed and put together again.
private struct EditedState {
  typealias Record = (offset: UInt32, bytes: UInt32, value: UInt64)

  struct Section {
    var name: String
    var version: UInt32 = 1
    var records: [Record] = []
    /// Behind the records.
    var tail: [UInt8] = []
  }

  var magic: UInt64 = 0x0033_7655_4d4d_5356
  var version: UInt32 = 2
  var oldest: UInt32 = 2
  var sections: [Section] = []

  init(_ bytes: [UInt8]) {
    var start = 24
    while start < bytes.count {
      let name = bytes[start..<start + 8].prefix { $0 != 0 }
      var section = Section(name: String(decoding: name, as: UTF8.self))
      section.version = UInt32(Self.get(bytes, start + 8, 4))
      let end = start + 16 + Int(Self.get(bytes, start + 12, 4))
      for record in stride(from: start + 16, to: end, by: 16) {
        section.records.append(
          (UInt32(Self.get(bytes, record, 4)), UInt32(Self.get(bytes, record + 4, 4)),
            Self.get(bytes, record + 8, 8)))
      }
      sections.append(section)
      start = end
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

  private static func put(_ records: [Record]) -> [UInt8] {
    records.flatMap {
      put(UInt64($0.offset), 4) + put(UInt64($0.bytes), 4) + put($0.value, 8)
    }
  }

  private func sealed(_ count: Int, _ body: [UInt8]) -> [UInt8] {
    let header =
      Self.put(magic, 8) + Self.put(UInt64(version), 4) + Self.put(UInt64(oldest), 4)
      + Self.put(UInt64(count), 4)
    return header + Self.put(Self.crc(header + body), 4) + body
  }

  var bytes: [UInt8] {
    let body = sections.flatMap { section in
      let content = Self.put(section.records) + section.tail
      return Array(section.name.utf8) + [UInt8](repeating: 0, count: 8 - section.name.utf8.count)
        + Self.put(UInt64(section.version), 4) + Self.put(UInt64(content.count), 4) + content
    }
    return sealed(sections.count, body)
  }

  /// The same as libraries before 2 wrote it: the records of all sections, in the order of offsets.
  var old: [UInt8] {
    var state = self
    (state.version, state.oldest) = (1, 1)
    return state.sealed(records.count, Self.put(records))
  }

  var records: [Record] { sections.flatMap(\.records) }

  /// Calls `body` with the section that has the register.
  mutating func change(_ name: String, _ body: (inout Section, Int) -> Void) {
    let offset = Guest.row(name).offset
    for i in sections.indices {
      guard let index = sections[i].records.firstIndex(where: { $0.offset == offset }) else {
        continue
      }
      return body(&sections[i], index)
    }
    Issue.record("no record of \(name)")
  }

  mutating func set(_ name: String, _ value: UInt64) {
    change(name) { $0.records[$1].value = value }
  }

  mutating func remove(_ name: String) { change(name) { $0.records.remove(at: $1) } }
}

extension SMMU {
  fileprivate func refusal(_ bytes: [UInt8]) -> SavedStateError? {
    bytes.withUnsafeBytes { data in
      do throws(SavedStateError) { try validate(data) } catch { return error }
      return nil
    }
  }

  fileprivate func restoring(_ bytes: [UInt8]) -> SavedStateError? {
    bytes.withUnsafeBytes { data in
      do throws(SavedStateError) { try restore(data) } catch { return error }
      return nil
    }
  }
}

@Suite("Save and restore")
struct SaveRestoreTests {
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
    let bytes = savedState(of: guest.smmu)
    let other = Guest()
    #expect(other.smmu.restoring(bytes) == nil)
    #expect(savedState(of: other.smmu) == bytes)
    for row in RegisterMap.rows {
      #expect(other[row.register.name] == guest[row.register.name], "\(row.register.name)")
    }
    #expect(other["CR0ACK"] == 0xd)
    #expect(other["IRQ_CTRLACK"] == 4)
  }

  @Test("a restored device goes on where the saved one stopped")
  func goesOn() {
    let guest = busy()
    let bytes = savedState(of: guest.smmu)
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
    var state = EditedState(savedState(of: guest.smmu))
    state.set("GERRORN", 1)
    let other = Guest()
    other.machine.host.copyMemory(
      from: guest.machine.host, byteCount: Int(guest.machine.ramSize))
    #expect(other.smmu.restoring(state.bytes) == nil)
    #expect(other.machine.takeNumbers() == [1, 2])
  }

  @Test("the caches start cold, and those who keep copies hear of it")
  func coldCaches() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    #expect(streams.reads(1) == streams.first)
    let bytes = savedState(of: guest.smmu)
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
      guest[row.register.name] = random.next()
    }
    guest["CR0"] = random.next() & 1
    let bytes = savedState(of: guest.smmu)
    let other = Guest()
    #expect(other.smmu.restoring(bytes) == nil)
    #expect(savedState(of: other.smmu) == bytes)
  }

  @Test("the format is the one of the documentation")
  func format() {
    let guest = busy()
    let bytes = savedState(of: guest.smmu)
    let state = EditedState(bytes)
    #expect(state.bytes == bytes)
    #expect(Array(bytes[0..<8]) == Array("VSMMUv3\0".utf8))
    #expect(Array(bytes[8..<20]) == [2, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0])
    #expect(state.sections.map(\.name) == ["ID", "CONTROL", "CMDQ", "EVENTQ"])
    #expect(state.sections.allSatisfy { $0.version == 1 })
    for record in state.records {
      let row = RegisterMap.rows.first { $0.offset == record.offset }
      #expect(row.map { UInt32($0.register.width) } == record.bytes)
    }
    #expect(state.sections[3].records.contains { $0.offset == 0xa8 && $0.value == 8 | 1 << 31 })
    #expect(state.sections[2].records.map(\.offset) == [0x90, 0x98, 0x9c])
    // Acknowledgements follow from their registers.
    #expect(!state.records.contains { $0.offset == 0x24 || $0.offset == 0x54 })
  }

  @Test("a saved state of records, as libraries wrote before there were sections, is read")
  func oldFormat() {
    let guest = busy()
    let bytes = savedState(of: guest.smmu)
    let other = Guest()
    #expect(other.smmu.restoring(EditedState(bytes).old) == nil)
    #expect(savedState(of: other.smmu) == bytes)
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
    let before = savedState(of: guest.smmu)
    #expect(guest.smmu.refusal(savedState(of: busy().smmu)) == nil)
    #expect(savedState(of: guest.smmu) == before)
    #expect(guest.machine.stale == [])
  }

  @Test("damage to any one byte is refused and changes nothing", arguments: [false, true])
  func damage(isOld: Bool) {
    let state = EditedState(savedState(of: busy().smmu))
    let bytes = isOld ? state.old : state.bytes
    let guest = Guest.started()
    let before = savedState(of: guest.smmu)
    for i in bytes.indices {
      for flip: UInt8 in [0x01, 0x80, 0xff] {
        var damaged = bytes
        damaged[i] ^= flip
        #expect(guest.smmu.restoring(damaged) != nil, "byte \(i) ^ \(flip)")
      }
    }
    #expect(savedState(of: guest.smmu) == before)
    #expect(guest.machine.stale == [])
  }

  @Test(
    "a saved state cut short anywhere is refused as such, one with more behind it too",
    arguments: [false, true])
  func truncation(isOld: Bool) {
    let state = EditedState(savedState(of: Guest().smmu))
    let bytes = isOld ? state.old : state.bytes
    let smmu = Guest().smmu
    for count in 0..<bytes.count {
      #expect(smmu.refusal(Array(bytes[..<count])) == .truncated, "\(count) bytes")
    }
    #expect(smmu.refusal(bytes + [0]) == .damaged)
    #expect(smmu.refusal(bytes + [UInt8](repeating: 0, count: 16)) == .damaged)
  }

  @Test("what is no saved state is refused as such")
  func foreign() {
    let smmu = Guest().smmu
    #expect(smmu.refusal([UInt8](repeating: 0, count: 100)) == .notASavedState)
    var state = EditedState(savedState(of: smmu))
    state.magic ^= 1 << 40
    #expect(smmu.refusal(state.bytes) == .notASavedState)
  }

  @Test("a newer version is refused unless it says that this one can read it")
  func versions() {
    let smmu = Guest().smmu
    var state = EditedState(savedState(of: smmu))
    state.version = 7
    #expect(smmu.refusal(state.bytes) == nil)
    state.oldest = 3
    #expect(smmu.refusal(state.bytes) == .newer(version: 7))
    state = EditedState(savedState(of: smmu))
    state.oldest = 1
    #expect(smmu.refusal(state.bytes) == .damaged)
  }

  @Test(
    "a huge count is no overflow", arguments: [0x1000_0000, 0xffff_ffff] as [UInt64],
    [false, true])
  func hugeCount(count: UInt64, isOld: Bool) {
    let state = EditedState(savedState(of: Guest().smmu))
    var bytes = isOld ? state.old : state.bytes
    for i in 0..<4 { bytes[16 + i] = UInt8(count >> UInt64(8 * i) & 0xff) }
    #expect(Guest().smmu.refusal(bytes) == .truncated)
  }

  @Test(
    "a length that leads out of the saved state is no overflow",
    arguments: [0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff] as [UInt64])
  func hugeLength(length: UInt64) {
    var bytes = savedState(of: Guest().smmu)
    for i in 0..<4 { bytes[24 + 12 + i] = UInt8(length >> UInt64(8 * i) & 0xff) }
    #expect(Guest().smmu.refusal(bytes) == .truncated)
  }

  // MARK: Sections

  @Test("an unknown section is refused by its name, empty or not, wherever it is")
  func unknownSection() {
    let smmu = Guest().smmu
    let whole = EditedState(savedState(of: smmu))
    for place in 0...whole.sections.count {
      for name in ["STALLS", "ID2", "PRIQUEUE", "id", ""] {
        for records in [[], [(0x20, 4, 0)]] as [[EditedState.Record]] {
          var state = whole
          state.sections.insert(.init(name: name, records: records), at: place)
          #expect(smmu.restoring(state.bytes) == .unknownSection(Self.name(name)), "\(name)")
        }
      }
    }
  }

  private static func name(_ text: String) -> SectionName {
    SectionName(characters: text.utf8.reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }

  @Test("each section is there once, in its place, of a version that is known")
  func sections() {
    let smmu = Guest().smmu
    let whole = EditedState(savedState(of: smmu))
    for (i, section) in whole.sections.enumerated() {
      let name = Self.name(section.name)
      var state = whole
      state.sections[i].version = 2
      #expect(smmu.restoring(state.bytes) == .newerSection(name, version: 2))
      state.sections[i].version = 0
      #expect(smmu.restoring(state.bytes) == .malformedSection(name))
      for place in i + 1...whole.sections.count {
        state = whole
        state.sections.insert(section, at: place)
        #expect(smmu.restoring(state.bytes) == .repeatedSection(name))
        state.sections.remove(at: i)
        let error = smmu.restoring(state.bytes)
        #expect(error == (place == i + 1 ? nil : .misplacedSection(name)))
      }
      state = whole
      state.sections.remove(at: i)
      #expect(smmu.restoring(state.bytes) == .missingSection(name))
    }
  }

  @Test("a section of a part that this device lacks is allowed to say nothing")
  func sectionOfNothing() {
    let smmu = Guest().smmu
    var state = EditedState(savedState(of: smmu))
    state.sections.append(.init(name: "PRIQ", records: [(0xc0, 8, 0), (0xc8, 4, 0)]))
    #expect(smmu.refusal(state.bytes) == nil)
    state.sections[4].records[1].value = 1
    #expect(smmu.refusal(state.bytes) == .unknown(offset: 0xc8))
  }

  @Test("a section consists of whole records")
  func malformedSections() {
    let smmu = Guest().smmu
    let whole = EditedState(savedState(of: smmu))
    for (i, section) in whole.sections.enumerated() {
      for count in 1..<16 {
        var state = whole
        state.sections[i].tail = [UInt8](repeating: 0, count: count)
        #expect(
          smmu.restoring(state.bytes) == .malformedSection(Self.name(section.name)))
      }
    }
  }

  @Test("a register in the section of another part is refused, its reset value too")
  func misplacedRegister() {
    let smmu = Guest().smmu
    let whole = EditedState(savedState(of: smmu))
    for (i, section) in whole.sections.enumerated() {
      for record in section.records {
        for j in whole.sections.indices where j != i {
          var state = whole
          state.remove(RegisterMap.rows.first { $0.offset == record.offset }!.register.name)
          state.sections[j].records.append(record)
          let error = smmu.restoring(state.bytes)
          // Where an ID register is missing that is found first.
          #expect(error == .unknown(offset: record.offset))
        }
      }
    }
  }

  @Test("the page request queue has a section where there is one")
  func pageRequestQueue() {
    var features = Features.full
    features[.idr0, IDR0.ats] = 1
    features[.idr0, IDR0.pri] = 1
    let guest = Guest(features)
    guest["PRIQ_CONS"] = 3
    let bytes = savedState(of: guest.smmu)
    #expect(EditedState(bytes).sections.map(\.name) == ["ID", "CONTROL", "CMDQ", "EVENTQ", "PRIQ"])
    let other = Guest(features)
    #expect(other.smmu.restoring(bytes) == nil)
    #expect(other["PRIQ_CONS"] == 3)
  }

  // MARK: Registers

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
      let error = other.smmu.restoring(savedState(of: Guest().smmu))
      let expected = SavedStateError.differs(
        register, field: field, saved: Features.full[register, field], own: value)
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
      var state = EditedState(savedState(of: smmu))
      state.set(name, value)
      #expect(smmu.refusal(state.bytes) == .unknown(offset: Guest.row(name).offset), "\(name)")
    }
  }

  @Test("an unknown register is refused unless it is zero")
  func unknownRegister() {
    let smmu = Guest().smmu
    for (offset, bytes): (UInt32, UInt32) in [(0x300, 4), (0xc0, 8), (0x20, 8), (0x90, 4)] {
      for i in 0..<4 {
        var state = EditedState(savedState(of: smmu))
        state.sections[i].records.append((offset, bytes, 0))
        #expect(smmu.refusal(state.bytes) == nil)
        #expect(smmu.refusal(state.old) == nil)
        state.sections[i].records[state.sections[i].records.count - 1].value = 1
        #expect(smmu.refusal(state.bytes) == .unknown(offset: offset))
        #expect(smmu.refusal(state.old) == .unknown(offset: offset))
      }
    }
  }

  @Test("a register that is there twice is refused, whatever the values")
  func repeatedRegister() {
    let smmu = Guest().smmu
    let whole = EditedState(savedState(of: smmu))
    #expect(whole.records.count < 128)
    for (i, section) in whole.sections.enumerated() {
      for record in section.records {
        var state = whole
        state.sections[i].records.append(record)
        #expect(smmu.restoring(state.bytes) == .repeated(offset: record.offset))
        #expect(smmu.restoring(state.old) == .repeated(offset: record.offset))
      }
    }
  }

  @Test("a saved state without an ID register could be anyone's")
  func missingIdentification() {
    let smmu = Guest().smmu
    for name in ["IDR0", "IDR1", "IDR3", "IDR5", "AIDR"] {
      var state = EditedState(savedState(of: smmu))
      state.remove(name)
      let error = SavedStateError.unknown(offset: Guest.row(name).offset)
      #expect(smmu.refusal(state.bytes) == error, "\(name)")
      #expect(smmu.refusal(state.old) == error, "\(name)")
    }
  }

  @Test("a register that is missing has its reset value", arguments: [false, true])
  func missingRegister(isOld: Bool) {
    let guest = busy()
    var state = EditedState(savedState(of: guest.smmu))
    state.remove("GBPA")
    state.remove("EVENTQ_IRQ_CFG1")
    let other = busy()
    #expect(other.smmu.restoring(isOld ? state.old : state.bytes) == nil)
    #expect(other["GBPA"] == 0x1000)
    #expect(other["EVENTQ_IRQ_CFG1"] == 0)
    #expect(other["EVENTQ_IRQ_CFG0"] == 0x0802_0040)
  }
}
