// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Which of four kinds of entries a command removed, by stream.
private struct Outcome: Equatable, CustomStringConvertible {
  /// Stage 1: {VMID 1, ASID 1}, {1, 2}, {2, 1}, global of {1, 3}.
  var stage1: [Bool]
  /// Stage 2 alone of VMID 1 and 2.
  var stage2: [Bool]
  /// Nested: {VMID 1, ASID 1}.
  var nested: Bool

  var description: String { "stage 1 \(stage1), stage 2 \(stage2), nested \(nested)" }
}

/// CMD_TLBI_* as a driver sees them: Table 5 of the rules, cell by cell.
@Suite("TLB invalidation by commands")
struct InvalidationCommandTests {
  private let guest = Guest.started()
  private let streams: Streams

  init() { streams = Streams(guest) }

  private func add(_ cr0: UInt64 = 0xd) {
    guest["CR0"] = cr0
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    streams.addStage1(stream: 2, asid: 2, vmid: 1)
    streams.addStage1(stream: 3, asid: 1, vmid: 2)
    streams.addStage1(stream: 4, asid: 3, vmid: 1, global: true, shared: false)
    streams.addStage2(stream: 5, vmid: 1)
    streams.addStage2(stream: 6, vmid: 2)
    streams.addNested(stream: 7, asid: 1, vmid: 1)
  }

  /// Fills the TLB, changes all tables, sends a command and says what it removed.
  private func removed(_ command: (UInt64, UInt64), cr0: UInt64 = 0xd) -> Outcome {
    let test = InvalidationCommandTests()
    test.add(cr0)
    for stream in 1...StreamID(7) {
      #expect(test.streams.reads(stream) == test.streams.first, "stream \(stream)")
    }
    test.streams.remap()
    for stream in 1...StreamID(7) where stream < 5 || stream == 7 {
      #expect(test.streams.reads(stream) == test.streams.first, "stream \(stream) not cached")
    }
    test.streams.remapIntermediate()
    test.guest.command(command, Guest.sync)
    #expect(test.guest.activeErrors == 0)
    let isNew = (1...StreamID(7)).map { test.streams.reads($0) != test.streams.first }
    return Outcome(stage1: Array(isNew[0..<4]), stage2: Array(isNew[4..<6]), nested: isNew[6])
  }

  private func vmid(_ number: UInt64) -> UInt64 { number << 32 }
  private func asid(_ number: UInt64) -> UInt64 { number << 48 }
  private var page: UInt64 { streams.input }

  @Test("NH_ALL: stage 1 of one VMID (R-301, R-310, R-315)")
  func all() {
    #expect(
      removed((0x10 | vmid(1), 0))
        == Outcome(stage1: [true, true, false, true], stage2: [false, false], nested: true))
    #expect(
      removed((0x10 | vmid(2), 0))
        == Outcome(stage1: [false, false, true, false], stage2: [false, false], nested: false))
  }

  @Test("NH_ASID: one ASID of one VMID, ASET ignored (R-301, R-304, R-310)")
  func asid() {
    let outcome = removed((0x11 | vmid(1) | asid(1), 0))
    #expect(outcome.stage1[0] && outcome.nested)
    #expect(!outcome.stage1[1] && !outcome.stage1[2])
    #expect(outcome.stage2 == [false, false])
  }

  @Test("NH_VA: an address of one ASID, and global entries whatever their ASID (R-301, R-302)")
  func address() {
    for number: UInt64 in [1, 9] {
      let outcome = removed((0x12 | vmid(1) | asid(number), page))
      #expect(outcome.stage1 == [number == 1, false, false, true], "ASID \(number)")
      #expect(outcome.nested == (number == 1))
      #expect(outcome.stage2 == [false, false])
    }
    // Another page.
    #expect(
      removed((0x12 | vmid(1) | asid(1), page + 0x1000)).stage1 == [false, false, false, false])
  }

  @Test("NH_VAA: an address of every ASID (R-301)")
  func addressOfAll() {
    let outcome = removed((0x13 | vmid(1), page))
    #expect(outcome.stage1 == [true, true, false, true])
    #expect(outcome.nested)
  }

  @Test("S2_IPA: stage 2 of one VMID, nested entries with it (R-301, R-308)")
  func intermediate() {
    let outcome = removed((0x2a | vmid(1), page))
    #expect(outcome.stage1 == [false, false, false, false])
    #expect(outcome.stage2 == [true, false])
    #expect(outcome.nested)
  }

  @Test("S12_VMALL: both stages of one VMID (R-301, R-309)")
  func machine() {
    #expect(
      removed((0x28 | vmid(1), 0))
        == Outcome(stage1: [true, true, false, true], stage2: [true, false], nested: true))
  }

  @Test("NSNH_ALL: everything (R-301, R-265)")
  func everything() {
    #expect(
      removed((0x30, 0))
        == Outcome(stage1: [true, true, true, true], stage2: [true, true], nested: true))
  }

  @Test("without stage 2 NH_ALL clears all, whatever its VMID (R-265, R-307)")
  func stage1Only() {
    let guest = Guest.started(.linux)
    let streams = Streams(guest)
    streams.addStage1(stream: 1, asid: 1)
    #expect(streams.reads(1) == streams.first)
    streams.remap()
    #expect(streams.reads(1) == streams.first)
    guest.command((0x10 | vmid(77), 0), Guest.sync)
    #expect(streams.reads(1) == streams.second)
  }

  @Test("EL2's, where a quirk accepts them: streams with STRW = EL2 are of NS-EL1 (R-270, R-301)",
    arguments: [0x20, 0x21, 0x22, 0x23] as [UInt64])
  func el2(opcode: UInt64) {
    var options = Options()
    options.commandRules.acceptEL2 = true
    let guest = Guest(.full, options)
    guest.start()
    let streams = Streams(guest)
    // The VMID is as good as any: EL2 has none, so a driver may leave anything there.
    let contexts = streams.addStage1(stream: 1, asid: 3, vmid: 9, global: true)
    var ste = streams.entry(config: 5, contexts: contexts)
    ste[StreamTableEntry.strw] = 2
    ste[StreamTableEntry.s2vmid] = 9
    streams.put(1, ste)
    #expect(streams.reads(1) == streams.first)
    streams.remap()
    #expect(streams.reads(1) == streams.first)
    guest.command((opcode, page | 1), Guest.sync)
    #expect(guest.activeErrors == 0)
    #expect(streams.reads(1) == streams.second)
  }

  // MARK: VMW

  @Test("VMW k ignores the k low bits of the VMID, in both stages (R-057, R-058)")
  func wildcards() {
    // VMIDs 1 and 2 differ from 3 in bits 1 and 0, and from 16 in bits 4 and below.
    let cases: [(vmw: UInt64, vmid: UInt64, one: Bool, two: Bool)] = [
      (0, 3, false, false), (1, 3, false, true), (1, 0, true, false), (2, 3, true, true),
      (2, 4, false, false), (3, 4, true, true), (3, 8, false, false), (4, 15, true, true),
      (4, 16, false, false), (5, 3, false, false), (6, 3, false, false), (7, 3, false, false),
      (7, 1, true, false),
    ]
    for (vmw, number, one, two) in cases {
      let cr0 = 0xd | vmw << 6
      let all = removed((0x28 | vmid(number), 0), cr0: cr0)
      #expect(all.stage1 == [one, one, two, one], "VMW \(vmw) VMID \(number)")
      #expect(all.stage2 == [one, two], "VMW \(vmw) VMID \(number)")
      #expect(removed((0x10 | vmid(number), 0), cr0: cr0).stage1 == [one, one, two, one])
      #expect(removed((0x2a | vmid(number), page), cr0: cr0).stage2 == [one, two])
      let byASID = removed((0x11 | vmid(number) | asid(1), 0), cr0: cr0).stage1
      #expect(byASID[0] == one && byASID[2] == two)
      let byAddress = removed((0x12 | vmid(number) | asid(1), page), cr0: cr0).stage1
      #expect(byAddress[0] == one && byAddress[2] == two)
      let byAny = removed((0x13 | vmid(number), page), cr0: cr0).stage1
      #expect(byAny[0] == one && byAny[2] == two)
    }
  }

  @Test("a look-up compares the whole VMID, VMW or not (R-057)")
  func lookUpsAreExact() {
    guest["CR0"] = 0xd | 4 << 6
    streams.addStage1(stream: 1, asid: 1, vmid: 2)
    #expect(streams.reads(1) == streams.first)
    streams.remap()
    // The next VMID has tables of its own.
    streams.addStage1(stream: 2, asid: 1, vmid: 3)
    streams.remap()
    #expect(streams.reads(2) == streams.second)
    #expect(streams.reads(1) == streams.first)
  }

  // MARK: Addresses

  @Test("Leaf 0 and 1 both make a changed leaf seen (R-305)", arguments: [0, 1])
  func leaf(leaf: UInt64) {
    #expect(removed((0x12 | vmid(1) | asid(1), page | leaf)).stage1[0])
    #expect(removed((0x2a | vmid(1), page | leaf)).stage2[0])
  }

  @Test("Leaf 0 makes a changed table seen, without CFGI (R-305, R-296)", arguments: [1, 2])
  func table(level: Int) {
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    #expect(streams.reads(1) == streams.first)
    let root = guest.machine[guest.machine[Streams.place(1)] & ~0x3f & 0xff_ffff_ffff + 8] & ~0xf
    // A copy of the tables below the level, whose leaf says `second`.
    let copy = guest.allocate(4096)
    guest.machine[streams.leaf(copy, page)] = Streams.page(streams.second)
    var old = root, new = copy
    for step in 1...level {
      let index = (page >> UInt64(39 - 9 * step) & 0x1ff) * 8
      if step == level { guest.machine[old + index] = guest.machine[new + index] } else {
        old = guest.machine[old + index] & ~0xfff
        new = guest.machine[new + index] & ~0xfff
      }
    }
    #expect(streams.reads(1) == streams.first)
    guest.command((0x12 | vmid(1) | asid(1), page), Guest.sync)
    #expect(streams.reads(1) == streams.second)
  }

  @Test("a stage 2 change of where tables are is seen after TLBI alone (R-296)")
  func movedTables() {
    for command: (UInt64, UInt64) in [(0x28 | 1 << 32, 0), (0x2a | 1 << 32, 0x4000_0000)] {
      let test = InvalidationCommandTests()
      let (guest, streams) = (test.guest, test.streams)
      streams.addNested(stream: 1, asid: 1, vmid: 1)
      #expect(streams.reads(1) == streams.first)
      // Stage 2 sends 2 MiB of RAM elsewhere, to a copy with another leaf.
      let root = (guest.machine[Streams.place(1) + 24] & ~0xf) & 0xff_ffff_ffff
      let first = Guest.free & ~0x1f_ffff, second = first + (4 << 20)
      for offset in stride(from: UInt64(0), to: 2 << 20, by: 8) {
        guest.machine[second + offset] = guest.machine[first + offset]
      }
      streams.remap()
      for offset in stride(from: UInt64(0), to: 2 << 20, by: 8) {
        swap(&guest.machine[second + offset], &guest.machine[first + offset])
      }
      // The old place still says `first`, the copy `second`.
      let level2 = guest.machine[root + (first >> 30 & 0x1ff) * 8] & ~0xfff
      guest.machine[level2 + (first >> 21 & 0x1ff) * 8] =
        Streams.intermediatePage(second) & ~2
      #expect(streams.reads(1) == streams.first)
      guest.command(command, Guest.sync)
      #expect(streams.reads(1) == streams.second)
    }
  }

  @Test("an entry goes if it covers the address, whatever its size (R-306)")
  func blocks() {
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    let root = guest.machine[guest.machine[Streams.place(1)] & ~0x3f & 0xff_ffff_ffff + 8] & ~0xf
    let level2 = guest.machine[root + (page >> 30 & 0x1ff) * 8] & ~0xfff
    let entry = level2 + (page >> 21 & 0x1ff) * 8
    for (address, isHit): (UInt64, Bool) in [
      (page, true), (page & ~0x1f_ffff, true), (page | 0x1f_f000, true),
      (page + 0x20_0000, false),
    ] {
      guest.machine[entry] = Streams.page(0x8_0000_0000) & ~2
      guest.command((0x10 | vmid(1), 0), Guest.sync)
      let before = streams.reads(1)
      guest.machine[entry] = Streams.page(0x8_0020_0000) & ~2
      #expect(streams.reads(1) == before)
      guest.command((0x12 | vmid(1) | asid(1), address), Guest.sync)
      #expect((streams.reads(1) != before) == isHit, "address \(address)")
    }
  }

  @Test("ranges remove what they cover and end where they end (R-318, R-323, R-324, R-330)")
  func ranges() {
    // NUM, SCALE, TTL, start; page and both neighbours are what is asked about.
    let base = 0x12 | vmid(1) | asid(1)
    let cases: [(UInt64, UInt64, UInt64, UInt64, Bool)] = [
      (0, 0, 3, page, true), (1, 0, 0, page, true), (1, 0, 0, page - 0x1000, true),
      (1, 0, 0, page - 0x2000, false), (1, 0, 0, page + 0x1000, false),
      (3, 1, 0, page - 0x7000, true), (3, 1, 0, page - 0x8000, false),
      (31, 31, 3, 0, true), (31, 31, 0, 0xff80_0000_0000_0000, false),
      (0, 9, 0, page & ~0x1f_ffff, true),
    ]
    for (num, scale, ttl, start, isHit) in cases {
      let outcome = removed((base | num << 12 | scale << 20, start | 1 << 10 | ttl << 8))
      #expect(outcome.stage1[0] == isHit, "NUM \(num) SCALE \(scale) TTL \(ttl) at \(start)")
    }
    // Stage 2 ranges.
    #expect(removed((0x2a | vmid(1) | 1 << 12, page | 1 << 10)).stage2 == [true, false])
    #expect(removed((0x2a | vmid(1) | 1 << 12, page + 0x1000 | 1 << 10)).stage2 == [false, false])
  }

  @Test("TTL 2 with Leaf 0 removes a level 2 block and the tables above it (R-324)")
  func levelHint() {
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    let root = guest.machine[guest.machine[Streams.place(1)] & ~0x3f & 0xff_ffff_ffff + 8] & ~0xf
    let level2 = guest.machine[root + (page >> 30 & 0x1ff) * 8] & ~0xfff
    let entry = level2 + (page >> 21 & 0x1ff) * 8
    guest.machine[entry] = Streams.page(0x8_0000_0000) & ~2
    let before = streams.reads(1)
    #expect(before == 0x8_0000_0000 | page & 0x1f_ffff)
    guest.machine[entry] = Streams.page(0x8_0020_0000) & ~2
    #expect(streams.reads(1) == before)
    guest.command(
      (0x12 | vmid(1) | asid(1), page & ~0x1f_ffff | 1 << 10 | 2 << 8), Guest.sync)
    #expect(streams.reads(1) == 0x8_0020_0000 | page & 0x1f_ffff)
  }

  @Test("a range far larger than the TLB costs no more than the TLB (R-329)")
  func rangeCost() {
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    _ = streams.reads(1)
    let time = processorSeconds {
      for _ in 0..<20 {
        guest.command((0x12 | vmid(1) | asid(1) | 31 << 12 | 31 << 20, 1 << 10))
        guest.command((0x2a | vmid(1) | 31 << 12 | 31 << 20, 3 << 10))
      }
    }
    // 2^48 pages one by one would take years.
    #expect(time < 10)
  }

  @Test("a tagged address names the entry of the plain one (R-312)")
  func tagged() {
    #expect(removed((0x12 | vmid(1) | asid(1), page | 0xab << 56)).stage1[0])
  }

  // MARK: Walks and invalidations

  @Test("what was invalid is used when it becomes valid, without a command (R-313)")
  func neverCachesFaults() {
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    let root = guest.machine[guest.machine[Streams.place(1)] & ~0x3f & 0xff_ffff_ffff + 8] & ~0xf
    let leaf = streams.leaf(root, page)
    let good = guest.machine[leaf]
    // No entry, no access flag, an address beyond the output size.
    for bad in [0, good & ~(1 << 10)] {
      guest.machine[leaf] = bad
      guest.command((0x10 | vmid(1), 0), Guest.sync)
      #expect(streams.reads(1) == nil)
      guest.machine[leaf] = good
      #expect(streams.reads(1) == streams.first)
    }
  }

  @Test("a walk that an invalidation overtakes fills nothing (R-314)")
  func overtaken() {
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    let contexts = guest.machine[Streams.place(1)] & ~0x3f & 0xff_ffff_ffff
    // The level 1 table lies outside RAM, where its reading is noticed.
    let root = guest.machine[contexts + 8] & ~0xf
    let outside = guest.machine.outside.lowerBound
    let index = (page >> 30 & 0x1ff) * 8
    guest.machine[outside + index] = guest.machine[root + index]
    guest.machine[contexts + 8] = outside
    var isFirst = true
    guest.machine.onRead = { [guest, streams] address in
      guard isFirst, address == outside + index else { return }
      isFirst = false
      guest.command((0x12 | 1 << 32 | 1 << 48, streams.input))
      #expect(guest.smmu.registers[.queue(.cons, .command)] == 1)
    }
    #expect(streams.reads(1) == streams.first)
    #expect(!isFirst)
    streams.remap()
    // Had the walk filled the TLB, the old page would be seen.
    #expect(streams.reads(1) == streams.second)
  }

  @Test("invalidations act with SMMUEN = 0 (R-067, R-299)")
  func disabled() {
    streams.addStage1(stream: 1, asid: 1, vmid: 1)
    #expect(streams.reads(1) == streams.first)
    streams.remap()
    guest["CR0"] = 0xc
    guest.command((0x10 | vmid(1), 0), Guest.sync)
    guest["CR0"] = 0xd
    #expect(streams.reads(1) == streams.second)
  }

  @Test("the machine hears of each invalidation what it may forget")
  func notices() {
    let range = AddressRange(first: page, last: page | 0xfff)
    let cases: [(UInt64, UInt64, TLBInvalidation)] = [
      (0x10 | vmid(3), 0, .stage1(3)), (0x11 | vmid(3) | asid(4), 0, .asid(3, 4)),
      (0x12 | vmid(3) | asid(4), page, .address(3, asid: 4, range: range)),
      (0x13 | vmid(3), page, .address(3, asid: nil, range: range)), (0x28 | vmid(3), 0, .vmid(3)),
      (0x2a | vmid(3), page, .intermediate(3, range)), (0x30, 0, .everything),
    ]
    for (low, high, expected) in cases {
      guest.command((low, high))
      #expect(guest.machine.takeStale() == [.translations(expected)])
    }
    #expect(guest.smmu.counters[.invalidations] == UInt64(cases.count))
  }
}
