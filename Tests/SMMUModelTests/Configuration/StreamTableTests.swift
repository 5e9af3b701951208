// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Finding an STE. Memory is zero but for one bypassing STE, so a wrong address is C_BAD_STE.
@Suite struct StreamTableTests {
  static let base = Guest.streamTable
  let guest: Guest

  init() { guest = Guest(.wide) }

  private func narrow(_ bits: UInt32, stLevel: UInt32 = 1) -> Features {
    var f = Features.full
    f[.idr1, IDR1.sidsize] = bits
    f[.idr0, IDR0.stLevel] = stLevel
    return f
  }

  private func program(_ guest: Guest, _ base: UInt64, _ config: UInt64) {
    if guest["CR0"] == 0 { guest.start() }
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = base
    guest["STRTAB_BASE_CFG"] = config
    guest["CR0"] = 0xd
    guest.command((0x04, 31), Guest.sync)
  }

  private func bypass(_ guest: Guest, at address: UInt64) {
    guest.machine[address] = 1 | 4 << 1
    guest.machine[address + 8] = 1 << 44
  }

  private func event(_ guest: Guest, _ stream: StreamID) -> EventKind? {
    guest.translate(stream, 0x1000).event
  }

  private func config(_ log2: UInt64, split: UInt64 = 0, twoLevel: Bool = false) -> UInt64 {
    log2 | split << 6 | (twoLevel ? 1 << 16 : 0)
  }

  @Test("A linear STE is at the base plus StreamID times 64 (T-011, R-137)")
  func linear() {
    program(guest, Self.base | 0x1fc0, config(8))
    bypass(guest, at: Self.base + 200 * 64)
    #expect(event(guest, 200) == nil)
    #expect(event(guest, 199) == .badSTE)
  }

  @Test("A StreamID beyond LOG2SIZE aborts as C_BAD_STREAMID (T-009, R-142)")
  func range() {
    program(guest, Self.base, config(4))
    bypass(guest, at: Self.base + 15 * 64)
    bypass(guest, at: Self.base + 16 * 64)
    #expect(event(guest, 15) == nil)
    #expect(event(guest, 16) == .badStreamID)
    #expect(guest.translate(16, 0).kind == .abort)
    #expect(guest.takeEvents().map { $0[EventRecord.number] } == [2, 2])
  }

  @Test("RECINVSID = 0 keeps C_BAD_STREAMID out of the queue, not the abort (R-083)")
  func unrecorded() {
    guest.start(streamBits: 4)
    guest["CR0"] = 0xc
    guest["CR2"] = 0
    guest["CR0"] = 0xd
    #expect(guest.translate(16, 0).kind == .abort)
    #expect(guest.takeEvents().isEmpty)
  }

  @Test("SIDSIZE caps the range, but the base is aligned by LOG2SIZE as written (T-008, R-136)")
  func capped() {
    let guest = Guest(narrow(4))
    program(guest, Self.base + 0x4000, config(9))
    #expect(guest["STRTAB_BASE_CFG"] == 9)
    // 2^15 bytes of alignment: the base loses 0x4000.
    bypass(guest, at: Self.base + 15 * 64)
    #expect(event(guest, 15) == nil)
    #expect(event(guest, 16) == .badStreamID)
  }

  @Test("Base alignment of a linear table follows the literal LOG2SIZE (R-139)")
  func literalAlignment() {
    let guest = Guest(narrow(4))
    program(guest, Self.base + 0x4000, config(8))
    bypass(guest, at: Self.base + 0x4000 + 15 * 64)
    #expect(event(guest, 15) == nil)
  }

  @Test("LOG2SIZE 63 overflows nothing (R-143)")
  func largest() {
    for isTwoLevel in [false, true] {
      program(guest, Self.base, config(63, split: 6, twoLevel: isTwoLevel))
      let (stream, at): (StreamID, UInt64) =
        isTwoLevel ? (0x1234_5678, 0x1234_5678 >> 6 * 8) : (0x1234_5678, 0x1234_5678 * 64)
      // The base is aligned to nothing left of it.
      #expect(event(guest, stream) == .steFetch)
      let record = guest.takeEvents()[0]
      #expect(record[EventRecord.fetchAddr] << 3 == at)
    }
  }

  @Test("FMT 2 and 3 are linear, and FMT follows each write (T-010, R-134)")
  func formats() {
    bypass(guest, at: Self.base + 3 * 64)
    for format in [0, 2, 3] as [UInt64] {
      program(guest, Self.base, config(8, split: 6, twoLevel: true))
      #expect(event(guest, 3) == .badStreamID)
      program(guest, Self.base, config(8, split: 6) | format << 16)
      #expect(event(guest, 3) == nil, "FMT \(format)")
    }
  }

  @Test("Without ST_LEVEL the table is linear whatever FMT says (T-010)")
  func noLevels() {
    let guest = Guest(narrow(6, stLevel: 0))
    program(guest, Self.base, config(6, split: 6, twoLevel: true))
    bypass(guest, at: Self.base + 3 * 64)
    #expect(event(guest, 3) == nil)
  }

  @Test(
    "SPLIT is 6, 8 or 10, and 6 for any other value (T-012, R-135)",
    arguments: 0...31 as ClosedRange<UInt64>)
  func splits(split: UInt64) {
    let effective = split == 8 || split == 10 ? split : 6
    program(guest, Self.base, config(16, split: split, twoLevel: true))
    let second = guest.allocate(64 << effective, alignment: 64 << effective)
    let stream: UInt64 = 5 << effective | 33
    guest.machine[Self.base + 5 * 8] = second | (effective + 1)
    bypass(guest, at: second + 33 * 64)
    #expect(event(guest, StreamID(stream)) == nil)
  }

  @Test("A level 1 descriptor is at the base plus 8 times the upper StreamID bits (T-013, R-140)")
  func levelOne() {
    program(guest, Self.base | 0xfc0, config(16, split: 8, twoLevel: true))
    // 2^8 descriptors: bits [10:0] of the base do not count.
    let table = (Self.base | 0xfc0) & ~0x7ff
    let second = guest.allocate(64 << 8, alignment: 64 << 8)
    guest.machine[table + 0xab * 8] = second | 9
    bypass(guest, at: second + 0xcd * 64)
    #expect(event(guest, 0xabcd) == nil)
    #expect(event(guest, 0xaacd) == .badStreamID)
  }

  @Test("The level 1 table is aligned to at least 64 bytes (R-138)")
  func levelOneAlignment() {
    program(guest, Self.base | 0x40, config(7, split: 6, twoLevel: true))
    let second = guest.allocate(64 << 6, alignment: 64 << 6)
    guest.machine[Self.base + 0x40 + 8] = second | 7
    bypass(guest, at: second)
    #expect(event(guest, 64) == nil)
  }

  @Test("SPLIT at or above LOG2SIZE has a single level 1 descriptor (R-141)")
  func singleDescriptor() {
    program(guest, Self.base, config(5, split: 10, twoLevel: true))
    let second = guest.allocate(64 << 5, alignment: 64 << 10)
    guest.machine[Self.base] = second | 6
    bypass(guest, at: second + 31 * 64)
    #expect(event(guest, 31) == nil)
    #expect(event(guest, 32) == .badStreamID)
  }

  @Test("Span n covers 2^(n-1) STEs, and what it does not is no StreamID (T-014, T-015)")
  func spans() {
    for split in [6, 8, 10] as [UInt64] {
      program(guest, Self.base, config(12, split: split, twoLevel: true))
      let second = guest.allocate(64 << split, alignment: 64 << split)
      for entry in 0..<1 << split as Range<UInt64> { bypass(guest, at: second + entry * 64) }
      for span in 0...31 as ClosedRange<UInt64> {
        guest.machine[Self.base + 8] = second | span
        guest.command((0x04, 31), Guest.sync)
        let covered: UInt64 = span == 0 || span > split + 1 ? 0 : 1 << (span - 1)
        let last = (1 << split) - 1 as UInt64
        for low in [0, covered &- 1, covered, last] as [UInt64] where low <= last {
          let expected: EventKind? = low < covered ? nil : .badStreamID
          #expect(
            event(guest, StreamID(1 << split | low)) == expected, "SPLIT \(split) Span \(span)")
        }
      }
    }
  }

  @Test("A bad Span is recorded only with RECINVSID (T-015)")
  func unrecordedSpan() {
    program(guest, Self.base, config(8, split: 6, twoLevel: true))
    #expect(event(guest, 1) == .badStreamID)
    #expect(guest.takeEvents().count == 1)
    guest["CR0"] = 0xc
    guest["CR2"] = 0
    guest["CR0"] = 0xd
    #expect(guest.translate(1, 0).kind == .abort)
    #expect(guest.takeEvents().isEmpty)
  }

  @Test("L2Ptr is aligned to the size of its table (T-016)")
  func pointerAlignment() {
    program(guest, Self.base, config(8, split: 8, twoLevel: true))
    let second = guest.allocate(64 << 8, alignment: 64 << 8)
    guest.machine[Self.base] = second | 0x3fc0 | 9
    bypass(guest, at: second + 7 * 64)
    #expect(event(guest, 7) == nil)
    // Span 1: nothing but the STE's own size.
    guest.machine[Self.base] = second | 0xfc0 | 1
    guest.command((0x04, 31), Guest.sync)
    bypass(guest, at: second + 0xfc0)
    #expect(event(guest, 0) == nil)
  }

  @Test("Reserved bits of a level 1 descriptor are ignored (T-017, T-021)")
  func reservedBits() {
    program(guest, Self.base, config(6, split: 6, twoLevel: true))
    let second = guest.allocate(64 << 6, alignment: 64 << 6)
    guest.machine[Self.base] = second | 0xff << 56 | 1 << 5 | 7
    bypass(guest, at: second)
    #expect(event(guest, 0) == nil)
  }

  @Test("An L2Ptr beyond the output size is F_STE_FETCH, never low memory (T-019, R-144)")
  func pointerBeyondOutput() {
    program(guest, Self.base, config(6, split: 6, twoLevel: true))
    let second = guest.allocate(64 << 6, alignment: 64 << 6)
    bypass(guest, at: second)
    guest.machine[Self.base] = second | 1 << 48 | 7
    #expect(event(guest, 0) == .steFetch)
    #expect(guest.takeEvents()[0][EventRecord.fetchAddr] << 3 == second)
  }

  @Test("A failed read of a stream table is F_STE_FETCH, not cached (T-018, T-314, R-374)")
  func fetchAborts() {
    let outside = guest.machine.outside.lowerBound
    let machine = guest.machine
    program(guest, outside, config(8))
    bypass(guest, at: outside + 64)
    machine.aborting = [outside]
    #expect(event(guest, 1) == .steFetch)
    #expect(guest.takeEvents()[0][EventRecord.fetchAddr] << 3 == outside + 64)
    machine.aborting = []
    #expect(event(guest, 1) == nil)
    // The level 1 descriptor.
    program(guest, outside + 0x1000, config(8, split: 6, twoLevel: true))
    machine[outside + 0x1008] = (outside + 0x2000) | 7
    bypass(guest, at: outside + 0x2000)
    machine.aborting = [outside + 0x1000]
    #expect(event(guest, 64) == .steFetch)
    #expect(guest.takeEvents()[0][EventRecord.fetchAddr] << 3 == outside + 0x1008)
    machine.aborting = []
    #expect(event(guest, 64) == nil)
  }

  @Test("An invalid STE is seen anew after CFGI at the latest (T-313, R-375)")
  func invalidThenValid() {
    guest.start()
    #expect(event(guest, 9) == .badSTE)
    bypass(guest, at: Self.base + 9 * 64)
    guest.command((0x03 | 9 << 32, 1), Guest.sync)
    #expect(event(guest, 9) == nil)
  }

  @Test("Nothing of a table is read outside its range (T-317, R-370, R-373)")
  func noStrayReads() {
    let outside = guest.machine.outside.lowerBound
    var reads: [UInt64] = []
    program(guest, outside, config(4))
    guest.machine.onRead = { reads.append($0) }
    _ = event(guest, 16)
    _ = event(guest, .max)
    #expect(reads.isEmpty)
    program(guest, outside, config(8, split: 6, twoLevel: true))
    _ = event(guest, 64)
    #expect(reads == [outside + 8])
    reads = []
    // Config 0b101 in an STE that is not valid leads nowhere.
    guest.machine[outside + 8] = (outside + 0x4000) | 7
    guest.machine[outside + 0x4000] = 5 << 1 | (outside + 0x8000)
    #expect(event(guest, 64) == .badSTE)
    #expect(reads.allSatisfy { $0 < outside + 0x8000 })
  }

  @Test("STEs are read as 64-bit words, once each (T-318, R-377)")
  func words() {
    let outside = guest.machine.outside.lowerBound
    program(guest, outside, config(4))
    bypass(guest, at: outside + 128)
    var reads: [UInt64] = []
    guest.machine.onRead = { reads.append($0) }
    #expect(event(guest, 2) == nil)
    #expect(reads.sorted() == (0..<8).map { outside + 128 + $0 * 8 })
    #expect(event(guest, 2) == nil)
    #expect(reads.count == 8)
  }
}
