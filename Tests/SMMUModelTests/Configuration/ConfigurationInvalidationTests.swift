// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// CMD_CFGI_*: what each removes, seen by streams that go from bypass to abort in memory.
@Suite struct ConfigurationInvalidationTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  private let guest: Guest
  private let all: [StreamID] = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 64, 100, 255]

  init() {
    guest = Guest()
    guest.start()
  }

  private func write(_ config: UInt64) {
    for stream in all { guest.machine[Guest.streamTable + UInt64(stream) * 64] = 1 | config << 1 }
  }

  /// The streams whose STE a command removes.
  private func removed(_ low: UInt64, _ high: UInt64) -> [StreamID] {
    write(4)
    guest.command((0x04, 31), Guest.sync)
    for stream in all { #expect(guest.translate(stream, 0).kind == .ok) }
    write(0)
    guest.command((low, high), Guest.sync)
    #expect(guest["GERROR"] == 0)
    return all.filter { guest.translate($0, 0).kind == .abort }
  }

  @Test("CFGI_STE removes one stream, Leaf 0 and 1 (R-285, R-286)")
  func one() {
    for leaf in [0, 1] as [UInt64] {
      for stream in all { #expect(removed(0x03 | UInt64(stream) << 32, leaf) == [stream]) }
    }
  }

  @Test("CFGI_STE_RANGE removes an aligned block of 2^(Range + 1) streams (R-287)")
  func ranges() {
    for range in 0...8 as ClosedRange<UInt64> {
      for stream in [0, 3, 37, 255] as [StreamID] {
        let size = range + 1
        #expect(
          removed(0x04 | UInt64(stream) << 32, range)
            == all.filter { UInt64($0) >> size == UInt64(stream) >> size },
          "Range \(range) of \(stream)")
      }
    }
  }

  @Test("Range 31 is all streams, whatever StreamID says (R-288, T-335)")
  func everything() {
    for stream in [0, 5, 0xffff_ffff] as [UInt64] {
      #expect(removed(0x04 | stream << 32, 31) == all)
    }
    for range in 9...30 as ClosedRange<UInt64> { #expect(removed(0x04, range) == all) }
  }

  @Test("The cost of a range does not grow with it (R-289)")
  func cost() {
    let time = processorSeconds {
      for _ in 0..<200 { guest.command((0x04, 30), (0x04, 31)) }
    }
    // 2^31 streams one by one would take minutes.
    #expect(time < 20)
  }

  @Test("A StreamID beyond SIDSIZE is no error (T-334)")
  func beyondRange() {
    let narrow = Guest(StreamTableEntryTests.features { $0[.idr1, IDR1.sidsize] = 8 })
    narrow.start()
    narrow.command((0x03 | 0x1234_5678 << 32, 1), (0x04 | 0xffff_ff00 << 32, 3), Guest.sync)
    #expect(narrow["GERROR"] == 0)
    #expect(narrow["CMDQ_CONS"] == 3)
  }

  @Test("SSec = 1 is CERROR_ILL (T-333)")
  func secure() {
    for opcode in [0x03, 0x04, 0x05, 0x06] as [UInt64] {
      let guest = Guest()
      guest.start()
      guest.command((opcode | 1 << 10, 0))
      #expect(guest["GERROR"] & 1 == 1)
    }
  }

  /// A scene with CDs 0 to 3, each valid.
  private func contexts(_ dss: UInt64 = 2) -> (Scene, UInt64) {
    let scene = Scene(.stage1)
    let table = scene.guest.allocate(4 * 64)
    for i in 0..<4 as Range<UInt64> { scene.guest.write(scene.cd, at: table + i * 64) }
    scene.change {
      $0.ste[S.s1ContextPtr] = table >> 6
      $0.ste[S.s1cdMax] = 2
      $0.ste[S.s1dss] = dss
    }
    return (scene, table)
  }

  /// Which of: no SubstreamID, 1, 2, 3 see that their CDs became invalid.
  private func seen(_ low: UInt64, _ high: UInt64) -> [SubstreamID?] {
    let (scene, table) = contexts()
    let users = [nil, 1, 2, 3] as [SubstreamID?]
    for user in users { #expect(scene.event(substream: user) == nil) }
    for i in 0..<4 as Range<UInt64> { scene.guest.machine[table + i * 64] = 0 }
    scene.guest.command((low, high), Guest.sync)
    return users.filter { scene.event(substream: $0) == .badCD }
  }

  @Test("CFGI_CD removes one CD; index 0 is that of S1DSS = 0b10 too (R-290, R-291)")
  func context() {
    for leaf in [0, 1] as [UInt64] {
      #expect(seen(0x05 | 1 << 32 | 0 << 12, leaf) == [nil])
      #expect(seen(0x05 | 1 << 32 | 2 << 12, leaf) == [2])
      #expect(seen(0x05 | 1 << 32 | 9 << 12, leaf) == [])
      #expect(seen(0x05 | 2 << 32 | 2 << 12, leaf) == [])
    }
  }

  @Test("CFGI_CD of another index than 0 does nothing without SubstreamIDs (R-293)")
  func noSubstreams() {
    let scene = Scene(.stage1, StreamTableEntryTests.features { $0[.idr1, IDR1.ssidsize] = 0 })
    #expect(scene.isFine())
    scene.guest.machine[scene.context] = 0
    scene.guest.command((0x05 | 1 << 32 | 1 << 12, 1), Guest.sync)
    #expect(scene.guest["GERROR"] == 0)
    #expect(scene.isFine())
    scene.guest.command((0x05 | 1 << 32, 1), Guest.sync)
    #expect(scene.event() == .badCD)
  }

  @Test("CFGI_CD of index 0 is right for a single CD (R-290)")
  func singleContext() {
    let scene = Scene(.stage1)
    #expect(scene.isFine())
    scene.guest.machine[scene.context] = 0
    scene.guest.command((0x05 | 1 << 32, 1), Guest.sync)
    #expect(scene.event() == .badCD)
  }

  @Test("CFGI_CD_ALL and CFGI_STE remove all CDs of a stream (R-294, R-285)")
  func allContexts() {
    #expect(seen(0x06 | 1 << 32, 0) == [nil, 1, 2, 3])
    #expect(seen(0x06 | 2 << 32, 0) == [])
    #expect(seen(0x03 | 1 << 32, 1) == [nil, 1, 2, 3])
    #expect(seen(0x04, 31) == [nil, 1, 2, 3])
  }

  @Test("A CD shared by two streams is cached for each (T-315, R-292)")
  func sharedContext() {
    let scene = Scene(.stage1)
    scene.guest.write(scene.ste, at: Guest.streamTable + 2 * 64)
    #expect(scene.isFine())
    scene.stream = 2
    #expect(scene.isFine())
    scene.guest.machine[scene.context] = 0
    scene.guest.command((0x05 | 1 << 32, 1), Guest.sync)
    #expect(scene.isFine())
    scene.stream = 1
    #expect(scene.event() == .badCD)
    scene.guest.command((0x05 | 2 << 32, 1), Guest.sync)
    scene.stream = 2
    #expect(scene.event() == .badCD)
  }

  @Test("A changed level 1 descriptor is seen after CFGI of its streams or CDs (R-286, R-291)")
  func intermediate() {
    let scene = Scene(.stage1), guest = scene.guest
    let table = guest.allocate(64), leaf = guest.allocate(4096), other = guest.allocate(4096)
    guest.machine[table] = leaf | 1
    guest.write(scene.cd, at: leaf + 64)
    scene.change {
      $0.ste[S.s1ContextPtr] = table >> 6
      $0.ste[S.s1cdMax] = 6
      $0.ste[S.s1fmt] = 1
    }
    for command in [(0x05 | 1 << 32 | 1 << 12, 0), (0x06 | 1 << 32, 0), (0x03 | 1 << 32, 1)]
      as [(UInt64, UInt64)]
    {
      guest.machine[table] = leaf | 1
      guest.command((0x04, 31), Guest.sync)
      #expect(scene.event(substream: 1) == nil)
      guest.machine[table] = other | 1
      #expect(scene.event(substream: 1) == nil)
      guest.command(command, Guest.sync)
      #expect(scene.event(substream: 1) == .badCD)
    }
    // The same for the stream table.
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = other
    guest["STRTAB_BASE_CFG"] = 8 | 6 << 6 | 1 << 16
    guest["CR0"] = 0xd
    guest.machine[table] = leaf | 1
    let one = guest.allocate(4096), two = guest.allocate(4096)
    guest.write(scene.ste, at: one + 64)
    for command in [(0x03 | 1 << 32, 0), (0x04, 5), (0x04, 31)] as [(UInt64, UInt64)] {
      guest.machine[other] = one | 7
      guest.command((0x04, 31), Guest.sync)
      #expect(scene.event(substream: 1) == nil)
      guest.machine[other] = two | 7
      #expect(scene.event(substream: 1) == nil)
      guest.command(command, Guest.sync)
      #expect(scene.event(substream: 1) == .badSTE)
    }
  }

  @Test("A new STRTAB_BASE may serve old STEs until CFGI, then not (R-378)")
  func movedTable() {
    let scene = Scene(.bypass), guest = scene.guest
    #expect(scene.isFine())
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = guest.allocate(0x4000, alignment: 0x4000)
    guest["CR0"] = 0xd
    guest.command((0x04, 31), Guest.sync)
    #expect(scene.event() == .badSTE)
  }

  @Test("Structures are judged when used, not by commands or prefetches (T-022, T-320)")
  func whenUsed() {
    let scene = Scene(.stage1), guest = scene.guest
    scene.change { $0.ste[S.v] = 0 }
    var reads = 0
    guest.machine.onRead = { _ in reads += 1 }
    guest.command(
      (0x03 | 1 << 32, 0), (0x01 | 1 << 32, 0), (0x01 | 1 << 32 | 1 << 11 | 5 << 12, 0),
      (0x02 | 1 << 32, 0x5000), (0x01 | 0xffff_ffff << 32, 0), Guest.sync)
    #expect(guest["GERROR"] == 0)
    #expect(guest.takeEvents().isEmpty)
    guest["CR0"] = 0xc
    guest.command((0x01 | 1 << 32, 0), (0x02 | 1 << 32, 0x5000), Guest.sync)
    #expect(guest["GERROR"] == 0)
    #expect(guest.takeEvents().isEmpty)
    #expect(reads == 0)
  }

  @Test("Many streams with few rows stay right (T-316)")
  func eviction() {
    var options = Options()
    options.configurationEntries = 8
    options.tlbEntries = 8
    let guest = Guest(.full, options)
    guest.start()
    let table = TableBuilder(guest)
    let pages = 64
    for i in 0..<pages {
      table.map(UInt64(i) << 12, UInt64(i + 1) << 20, TableBuilder.stage1Leaf)
    }
    for stream in 0..<64 as Range<UInt64> {
      var cd = Scene.contextDescriptor
      cd[C.asid] = stream
      cd[C.ttb0] = table.base >> 4
      cd[C.ttb1] = table.base >> 4
      let at = guest.allocate(64, alignment: 64)
      guest.write(cd, at: at)
      var ste = StreamTableEntry()
      ste[S.v] = 1
      ste[S.config] = 5
      ste[S.s1ContextPtr] = at >> 6
      guest.setSTE(StreamID(stream), ste)
    }
    var random = SeededRandom("eviction", default: 8)
    for _ in 0..<3000 {
      let page = random.below(pages)
      let answer = guest.translate(StreamID(random.below(64)), UInt64(page) << 12 | 7)
      #expect(answer.address == UInt64(page + 1) << 20 | 7)
    }
  }
}
