// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Finding a CD. All memory around it is zero, so a wrong address is C_BAD_CD.
@Suite struct ContextTableTests {
  typealias S = StreamTableEntry

  private func scene(
    _ mode: Scene.Mode = .stage1, table: UInt64, max: UInt64, format: UInt64, dss: UInt64 = 2
  ) -> Scene {
    let scene = Scene(mode)
    point(scene, table: table, max: max, format: format, dss: dss)
    return scene
  }

  private func point(
    _ scene: Scene, table: UInt64, max: UInt64, format: UInt64, dss: UInt64 = 2
  ) {
    scene.ste[S.s1ContextPtr] = table >> 6
    scene.ste[S.s1cdMax] = max
    scene.ste[S.s1fmt] = format
    scene.ste[S.s1dss] = dss
    scene.apply()
  }

  @Test("A linear table has its CD at 64 times the SubstreamID, format 3 too (T-089)")
  func linear() {
    for format in [0, 3] as [UInt64] {
      let scene = Scene(.stage1)
      let table = scene.guest.allocate(64 << 10, alignment: 64 << 10)
      scene.guest.write(scene.cd, at: table + 777 * 64)
      point(scene, table: table, max: 10, format: format)
      #expect(scene.event(substream: 777) == nil)
      #expect(scene.event(substream: 776) == .badCD)
    }
  }

  @Test("Without SubstreamIDs the CD is at S1ContextPtr (T-225)")
  func single() {
    let scene = Scene(.stage1)
    #expect(scene.isFine())
    scene.ste[S.s1ContextPtr] = (scene.context + 64) >> 6
    scene.apply()
    let record = scene.access().1[0]
    #expect(record[EventRecord.number] == 0x0a)
    #expect(record[EventRecord.ssv] == 0)
  }

  @Test(
    "Two levels with 4K and 64K leaves are found by 6 and 10 bits (T-090, T-091)",
    arguments: [(1, 6), (2, 10)] as [(UInt64, UInt64)])
  func twoLevels(format: UInt64, leafBits: UInt64) {
    let scene = Scene(.stage1), guest = scene.guest
    for max in [leafBits - 1, leafBits, leafBits + 4, 20] {
      let upper = max > leafBits ? max - leafBits : 0
      let table = guest.allocate(8 << upper, alignment: Swift.max(64, 8 << upper))
      let leaf = guest.allocate(64 << leafBits, alignment: 64 << leafBits)
      let index = (1 << max) - 1 as UInt64
      let first = index >> leafBits, second = index & ((1 << leafBits) - 1)
      guest.machine[table + first * 8] = leaf | 1
      guest.write(scene.cd, at: leaf + second * 64)
      point(scene, table: table, max: max, format: format)
      #expect(scene.event(substream: SubstreamID(index)) == nil, "S1CDMax \(max)")
      #expect(scene.event(substream: SubstreamID(index ^ 2)) == .badCD)
      if upper > 0 { #expect(scene.event(substream: 1) == .badSubstreamID) }
    }
  }

  @Test("Bits of a 64K leaf's pointer below 64K do not count (T-091)")
  func leafAlignment() {
    let scene = Scene(.stage1), guest = scene.guest
    let table = guest.allocate(64), leaf = guest.allocate(0x1_0000, alignment: 0x1_0000)
    guest.machine[table] = leaf | 0xf000 | 0xffe | 1 | 0xff << 56
    guest.write(scene.cd, at: leaf + 5 * 64)
    point(scene, table: table, max: 4, format: 2)
    #expect(scene.event(substream: 5) == nil)
  }

  @Test("Bits of S1ContextPtr below the table's size do not count (T-092)")
  func tableAlignment() {
    let scene = Scene(.stage1), guest = scene.guest
    // Linear: [S1CDMax + 5:6].
    let linear = guest.allocate(64 << 5, alignment: 64 << 6)
    guest.write(scene.cd, at: linear + 64 * 9)
    point(scene, table: linear | 0x7c0, max: 5, format: 0)
    #expect(scene.event(substream: 9) == nil)
    // S1Fmt 1: [S1CDMax - 4:6] above 9; none at 9.
    for (max, format, mask) in [
      (9, 1, 0), (10, 1, 0x40), (12, 1, 0x1c0), (13, 2, 0), (14, 2, 0x40), (16, 2, 0x1c0),
    ] as [(UInt64, UInt64, UInt64)] {
      let leaf = guest.allocate(0x1_0000, alignment: 0x1_0000)
      let table = guest.allocate(0x1000)
      point(scene, table: table | 0x1c0, max: max, format: format)
      let base = table | 0x1c0 & ~mask
      guest.machine[base] = leaf | 1
      guest.write(scene.cd, at: leaf + 64 * 9)
      #expect(scene.event(substream: 9) == nil, "S1CDMax \(max) S1Fmt \(format)")
    }
  }

  @Test("An invalid level 1 descriptor is C_BAD_SUBSTREAMID, its pointer unused (T-093, R-371)")
  func invalidLevelOne() {
    let scene = Scene(.stage1), guest = scene.guest
    let outside = guest.machine.outside.lowerBound
    let table = guest.allocate(64)
    guest.machine[table] = outside
    point(scene, table: table, max: 4, format: 1)
    var reads = 0
    guest.machine.onRead = { _ in reads += 1 }
    let (answer, records) = scene.access(substream: 3)
    #expect(answer.kind == .abort)
    #expect(records[0][EventRecord.number] == 0x08)
    #expect(records[0][EventRecord.substreamID] == 3)
    // By S1DSS = 0b10 the record has SubstreamID 0.
    let other = scene.access().1[0]
    #expect(other[EventRecord.number] == 0x08)
    #expect(other[EventRecord.substreamID] == 0)
    #expect(reads == 0)
  }

  @Test("A level 1 pointer beyond the output size is C_BAD_SUBSTREAMID, nested too (T-039)")
  func pointerBeyondOutput() {
    for mode in [Scene.Mode.stage1, .nested] {
      let scene = Scene(mode), guest = scene.guest
      let offset = mode == .nested ? Scene.intermediate : 0
      let table = guest.allocate(64)
      guest.machine[table] = 1 << 48 | (scene.context &+ offset) | 1
      point(scene, table: table &+ offset, max: 4, format: 1)
      #expect(scene.event(substream: 0) == .streamDisabled)
      #expect(scene.event(substream: 1) == .badSubstreamID)
      guest.machine[table] = (scene.context &+ offset) | 1
      scene.invalidateAll()
      #expect(scene.event() == nil)
    }
  }

  @Test("An external abort on either level is F_CD_FETCH with its address (T-095, T-306)")
  func aborts() {
    let scene = Scene(.stage1), guest = scene.guest
    let outside = guest.machine.outside.lowerBound
    guest.machine[outside + 8] = (outside + 0x1000) | 1
    guest.write(scene.cd, at: outside + 0x1000 + 64)
    point(scene, table: outside, max: 7, format: 1)
    for (page, address) in [(0, 8), (0x1000, 0x1040)] as [(UInt64, UInt64)] {
      guest.machine.aborting = [outside + page]
      let (answer, records) = scene.access(substream: 65)
      #expect(answer.kind == .abort)
      #expect(records[0][EventRecord.number] == 0x09)
      #expect(records[0][EventRecord.fetchAddr] << 3 == outside + address)
      #expect(records[0][EventRecord.inputAddr] == 0)
    }
    guest.machine.aborting = []
    // T-314: not cached.
    #expect(scene.event(substream: 65) == nil)
  }

  @Test("Nested: tables and CDs are IPAs, read as data through stage 2 (T-094, T-040, T-305)")
  func nested() {
    let scene = Scene(.nested), guest = scene.guest
    let table = guest.allocate(4096), leaf = guest.allocate(4096)
    // Each of them at an IPA of its own.
    scene.second.map(0x10_0000_0000, table, TableBuilder.stage2Leaf)
    scene.second.map(0x10_0000_5000, leaf, TableBuilder.stage2Leaf)
    guest.machine[table] = 0x10_0000_5001
    guest.write(scene.cd, at: leaf + 3 * 64)
    point(scene, table: 0x10_0000_0000, max: 5, format: 1)
    #expect(scene.access(substream: 3).0.address == Scene.output)
    // Only S2AP[0] counts, not execute-never.
    for address in [0x10_0000_0000, 0x10_0000_5000] as [UInt64] {
      scene.second.mark(address, set: 2 << 53, clear: 1 << 7)
      scene.invalidateAll()
      #expect(scene.event(substream: 3) == nil)
      scene.second.mark(address, clear: 1 << 6)
      scene.invalidateAll()
      let (answer, records) = scene.access(0x1234_5abc, [.write], substream: 3)
      #expect(answer.kind == .abort)
      let record = records[0]
      #expect(record[EventRecord.number] == 0x13)
      #expect(record[EventRecord.s2] == 1)
      #expect(record[EventRecord.accessClass] == 0)
      #expect(record[EventRecord.ipa] << 12 == address)
      #expect(record[EventRecord.ttrnw] == 0)
      #expect(record[EventRecord.rnw] == 0)
      #expect(record[EventRecord.inputAddr] == 0x1234_5abc)
      scene.second.mark(address, set: 3 << 6)
      scene.invalidateAll()
    }
  }

  @Test("Structures are little-endian whatever ENDI says (T-020)")
  func littleEndian() {
    let scene = Scene(.stage1)
    scene.lower.bigEndian = true
    let other = TableBuilder(scene.guest)
    other.bigEndian = true
    other.map(Scene.input, Scene.output, TableBuilder.stage1Leaf)
    scene.cd[ContextDescriptor.endi] = 1
    scene.cd[ContextDescriptor.ttb0] = other.base >> 4
    scene.apply()
    #expect(scene.access().0.address == Scene.output)
  }

  @Test("A CD is read only through a valid STE that enables stage 1 (R-372)")
  func onlyWhenNeeded() {
    for config in [0, 4, 6] as [UInt64] {
      let scene = Scene(.stage2)
      scene.ste[S.config] = config
      scene.ste[S.s1ContextPtr] = scene.guest.machine.outside.lowerBound >> 6
      scene.apply()
      var reads = 0
      scene.guest.machine.onRead = { _ in reads += 1 }
      _ = scene.access()
      #expect(reads == 0)
    }
  }
}
