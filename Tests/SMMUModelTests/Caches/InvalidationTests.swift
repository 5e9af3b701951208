// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// CMD_TLBI_*: what each removes, seen by DMA. Every page is made stale in memory first, so that
/// the old translation answers for as long as it is cached.
@Suite struct InvalidationTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  /// A stream of its own kind, with one page at Scene.input and, if global, another ASID beside.
  final class World {
    let guest: Guest
    static let fresh: UInt64 = 0x7f00_0000_0000
    struct Stream {
      var id: StreamID
      /// What the device accesses.
      var address: UInt64
      /// The leaf that is changed: the input of its table, and its level.
      var table: TableBuilder
      var leaf: UInt64
      var level = 3
      /// The output that the TLB is filled with.
      var old: UInt64
    }
    var streams: [String: Stream] = [:]

    init(_ features: Features = .full) {
      guest = Guest(features)
      guest.start()
    }

    /// Stage 1 alone.
    func add(
      _ name: String, vmid: UInt64, asid: UInt64, aset: UInt64 = 0, global: Bool = false,
      address: UInt64 = Scene.input, level: Int = 3
    ) {
      let table = TableBuilder(guest)
      let leaf = TableBuilder.stage1Leaf & ~(global ? 1 << 11 : 0)
      let id = StreamID(streams.count + 1)
      let old = UInt64(id) << 36
      table.map(address & ~((1 << UInt64(table.granule.low[level])) - 1), old, level: level, leaf)
      var cd = Scene.contextDescriptor
      cd[C.asid] = asid
      cd[C.aset] = aset
      cd[C.ttb0] = table.base >> 4
      cd[C.ttb1] = table.base >> 4
      let at = guest.allocate(64)
      guest.write(cd, at: at)
      var ste = StreamTableEntry()
      ste[S.v] = 1
      ste[S.config] = 5
      ste[S.s1ContextPtr] = at >> 6
      ste[S.s2vmid] = vmid
      guest.setSTE(id, ste)
      streams[name] = Stream(
        id: id, address: address, table: table, leaf: address, level: level, old: old)
    }

    /// Stage 2 alone, or nested with everything at stage 2 mapped by 1G blocks.
    func addStage2(_ name: String, vmid: UInt64, nested: Bool, asid: UInt64 = 1) {
      let second = TableBuilder(guest, inputBits: 40, start: 1)
      let id = StreamID(streams.count + 1)
      let old = UInt64(id) << 36
      second.map(Scene.middle, old, TableBuilder.stage2Leaf)
      var ste = StreamTableEntry()
      ste[S.v] = 1
      ste[S.config] = nested ? 7 : 6
      ste[S.s2vmid] = vmid
      ste[S.s2t0sz] = 24
      ste[S.s2sl0] = 1
      ste[S.s2ps] = 5
      ste[S.s2aa64] = 1
      ste[S.s2ttb] = second.base >> 4
      if nested {
        second.set(
          Scene.intermediate | GuestMachine.ramBase, level: 1,
          GuestMachine.ramBase | TableBuilder.stage2Leaf | 1)
        let first = TableBuilder(guest, offset: Scene.intermediate)
        first.map(Scene.input, Scene.middle, TableBuilder.stage1Leaf)
        var cd = Scene.contextDescriptor
        cd[C.asid] = asid
        cd[C.ttb0] = first.base >> 4
        cd[C.ttb1] = first.base >> 4
        let at = guest.allocate(64)
        guest.write(cd, at: at)
        ste[S.s1ContextPtr] = (at + Scene.intermediate) >> 6
      }
      guest.setSTE(id, ste)
      streams[name] = Stream(
        id: id, address: nested ? Scene.input : Scene.middle, table: second, leaf: Scene.middle,
        old: old)
    }

    func output(_ name: String) -> UInt64 {
      let stream = streams[name]!
      return guest.translate(stream.id, stream.address).address
    }

    /// Fills the TLB with every stream's page, then makes all of them stale.
    func fill() {
      point { $0.old }
      guest.command((0x30, 0), Guest.sync)
      for name in streams.keys { _ = output(name) }
      point { _ in World.fresh }
    }

    private func point(_ output: (Stream) -> UInt64) {
      for stream in streams.values {
        stream.table.mark(
          stream.leaf, level: stream.level, set: output(stream), clear: 0xffff_ffff_f000)
      }
    }

    /// The streams that a command makes fresh; the rest still answer from the TLB.
    func refreshed(_ low: UInt64, _ high: UInt64 = 0) -> Set<String> {
      fill()
      guest.command((low, high), Guest.sync)
      #expect(guest["GERROR"] == 0)
      return Set(streams.keys.filter { output($0) & ~0xfff_ffff == World.fresh })
    }
  }

  /// Words of a TLBI.
  static func tlbi(
    _ opcode: UInt64, vmid: UInt64 = 0, asid: UInt64 = 0, num: UInt64 = 0, scale: UInt64 = 0
  ) -> UInt64 {
    opcode | vmid << 32 | asid << 48 | num << 12 | scale << 20
  }

  static func at(_ address: UInt64, leaf: UInt64 = 0, tg: UInt64 = 0, ttl: UInt64 = 0) -> UInt64 {
    address & ~0xfff | leaf | tg << 10 | ttl << 8
  }

  /// Streams of two machines and two address spaces, private and global, stage 2 and nested.
  private func world() -> World {
    let world = World()
    world.add("1/1", vmid: 1, asid: 1)
    world.add("1/2", vmid: 1, asid: 2)
    world.add("2/1", vmid: 2, asid: 1)
    world.add("1/3G", vmid: 1, asid: 3, global: true, address: 0x4000_0000)
    world.add("1/1 other", vmid: 1, asid: 1, address: 0x5000_0000)
    world.addStage2("1 S2", vmid: 1, nested: false)
    world.addStage2("2 S2", vmid: 2, nested: false)
    world.addStage2("1/4 nested", vmid: 1, nested: true, asid: 4)
    world.addStage2("2/4 nested", vmid: 2, nested: true, asid: 4)
    return world
  }

  @Test("NH_ALL removes stage 1 of a VMID, global and nested, not stage 2 (T-340, R-310)")
  func all() {
    #expect(
      world().refreshed(Self.tlbi(0x10, vmid: 1))
        == ["1/1", "1/2", "1/3G", "1/1 other", "1/4 nested"])
  }

  @Test("NH_ASID removes one ASID, not global entries (R-303, T-338)")
  func asid() {
    let world = world()
    #expect(world.refreshed(Self.tlbi(0x11, vmid: 1, asid: 1)) == ["1/1", "1/1 other"])
    #expect(world.refreshed(Self.tlbi(0x11, vmid: 1, asid: 3)) == [])
    #expect(world.refreshed(Self.tlbi(0x11, vmid: 2, asid: 4)) == ["2/4 nested"])
  }

  @Test("NH_VA removes an address of an ASID, and global entries of any (R-302)")
  func address() {
    let world = world()
    let at = Self.at(Scene.input)
    #expect(world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 1), at) == ["1/1"])
    #expect(world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 9), at) == [])
    #expect(
      world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 9), Self.at(0x4000_0000)) == ["1/3G"])
    #expect(world.refreshed(Self.tlbi(0x12, vmid: 2, asid: 9), Self.at(0x4000_0000)) == [])
    #expect(
      world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 4), at) == ["1/4 nested"])
  }

  @Test("NH_VAA removes an address of every ASID (R-301)")
  func anyASID() {
    let world = world()
    #expect(
      world.refreshed(Self.tlbi(0x13, vmid: 1), Self.at(Scene.input))
        == ["1/1", "1/2", "1/4 nested"])
    #expect(world.refreshed(Self.tlbi(0x13, vmid: 1), Self.at(0x4000_0000)) == ["1/3G"])
  }

  @Test("S12_VMALL removes all of a VMID (R-309)")
  func machine() {
    #expect(
      world().refreshed(Self.tlbi(0x28, vmid: 1))
        == ["1/1", "1/2", "1/3G", "1/1 other", "1 S2", "1/4 nested"])
  }

  @Test("S2_IPA removes stage 2 by IPA, and nested entries of the VMID with it (T-341, R-308)")
  func intermediate() {
    let world = world()
    #expect(
      world.refreshed(Self.tlbi(0x2a, vmid: 1), Self.at(Scene.middle)) == ["1 S2", "1/4 nested"])
    #expect(world.refreshed(Self.tlbi(0x2a, vmid: 2), Self.at(0x5000)) == ["2/4 nested"])
  }

  @Test("NSNH_ALL removes everything (R-301)")
  func everything() {
    let world = world()
    #expect(world.refreshed(0x30) == Set(world.streams.keys))
  }

  @Test("An equal number as VA and as IPA names different entries (T-342, T-122)")
  func kinds() {
    let world = World()
    world.add("VA", vmid: 1, asid: 1, address: Scene.middle & 0x7f_ffff_ffff)
    world.addStage2("IPA", vmid: 1, nested: false)
    let address = Scene.middle & 0x7f_ffff_ffff
    #expect(address == Scene.middle)
    #expect(world.refreshed(Self.tlbi(0x13, vmid: 1), Self.at(address)) == ["VA"])
    #expect(world.refreshed(Self.tlbi(0x2a, vmid: 1), Self.at(address)) == ["IPA"])
  }

  @Test("Commands ignore ASET (T-339, R-304)")
  func asets() {
    let world = World()
    for aset in [0, 1] as [UInt64] {
      world.add("\(aset)", vmid: 1, asid: 1 + aset, aset: aset)
      world.add("\(aset)G", vmid: 1, asid: 1 + aset, aset: aset, global: true, address: 0x4000_0000)
    }
    #expect(world.refreshed(Self.tlbi(0x11, vmid: 1, asid: 2)) == ["1"])
    #expect(world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 2), Self.at(Scene.input)) == ["1"])
    #expect(
      world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 7), Self.at(0x4000_0000)) == ["0G", "1G"])
    #expect(world.refreshed(Self.tlbi(0x13, vmid: 1), Self.at(0x4000_0000)) == ["0G", "1G"])
  }

  @Test("Any address within a block removes it (T-345, R-306)")
  func blocks() {
    let world = World()
    world.add("2M", vmid: 1, asid: 1, address: 0x4012_3000, level: 2)
    for offset in [0, 0x1000, 0x10_0000, 0x1f_f000] as [UInt64] {
      let command = Self.tlbi(0x12, vmid: 1, asid: 1)
      #expect(world.refreshed(command, Self.at(0x4000_0000 + offset)) == ["2M"])
    }
    for other in [0x3fff_f000, 0x4020_0000] as [UInt64] {
      #expect(world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 1), Self.at(other)) == [])
    }
  }

  @Test("Leaf = 1 removes the leaf as Leaf = 0 does (T-344, R-305)")
  func leaf() {
    let world = World()
    world.add("page", vmid: 1, asid: 1)
    for leaf in [0, 1] as [UInt64] {
      #expect(
        world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 1), Self.at(Scene.input, leaf: leaf))
          == ["page"])
    }
  }

  @Test("A changed table descriptor is seen after any TLBI of the address (T-344, T-347, R-296)")
  func walkCaches() {
    for command in [
      (Self.tlbi(0x12, asid: 5), Self.at(Scene.input)), (Self.tlbi(0x13), Self.at(Scene.input)),
      (Self.tlbi(0x10), 0), (Self.tlbi(0x11, asid: 5), 0),
    ] as [(UInt64, UInt64)] {
      let scene = Scene(.stage1)
      #expect(scene.isFine())
      let other = TableBuilder(scene.guest)
      other.map(Scene.input, 0x77_0000_0000, TableBuilder.stage1Leaf)
      scene.lower.set(Scene.input, level: 1, other.get(Scene.input, level: 1))
      scene.guest.command(command, Guest.sync)
      #expect(scene.access().0.address == 0x77_0000_0000)
    }
  }

  @Test("Tables above a global leaf belong to their ASID: NH_ASID is enough (T-125, T-347)")
  func tablesOfGlobalLeaves() {
    let scene = Scene(.stage1)
    scene.lower.map(Scene.input, Scene.output, TableBuilder.stage1Leaf & ~(1 << 11))
    #expect(scene.isFine())
    let other = TableBuilder(scene.guest)
    other.map(Scene.input + 0x1000, 0x77_0000_0000, TableBuilder.stage1Leaf)
    scene.lower.set(Scene.input, level: 2, other.get(Scene.input, level: 2))
    scene.guest.command((Self.tlbi(0x11, vmid: 0, asid: 5), 0), Guest.sync)
    // The global leaf stays; a page beside it is found through the new table.
    #expect(scene.access().0.address == Scene.output)
    #expect(scene.access(Scene.input + 0x1000).0.address == 0x77_0000_0000)
  }

  @Test("A moved page of stage 1 tables is seen after TLBI without any CFGI (T-346, T-332, R-296)")
  func movedTables() {
    for command in [
      (Self.tlbi(0x28, vmid: 7), 0), (0x30, 0),
    ] as [(UInt64, UInt64)] {
      let scene = Scene(.nested)
      #expect(scene.isFine())
      // The page of the TTB itself goes elsewhere; its block becomes pages.
      let ipa = scene.lower.base, block = ipa & ~0x1f_ffff
      scene.second.set(block, level: 2, 0)
      for page in 0..<512 as Range<UInt64> {
        let at = block + page << 12
        scene.second.map(at, at - Scene.intermediate, TableBuilder.stage2Leaf)
      }
      let other = TableBuilder(scene.guest, offset: Scene.intermediate)
      other.map(Scene.input, Scene.upperMiddle, TableBuilder.stage1Leaf)
      scene.second.map(ipa, other.base - Scene.intermediate, TableBuilder.stage2Leaf)
      scene.guest.command(command, Guest.sync)
      #expect(scene.access().0.address == Scene.upperOutput)
    }
  }

  @Test("A moved CD page is seen after S2_IPA and CFGI_CD (T-346)")
  func movedContext() {
    let scene = Scene(.nested)
    let page: UInt64 = 0x10_0000_0000
    let one = scene.guest.allocate(4096), two = scene.guest.allocate(4096)
    scene.guest.write(scene.cd, at: one)
    scene.second.map(page, one, TableBuilder.stage2Leaf)
    scene.change { $0.ste[S.s1ContextPtr] = page >> 6 }
    #expect(scene.isFine())
    var cd = scene.cd
    cd[C.epd0] = 1
    scene.guest.write(cd, at: two)
    scene.second.map(page, two, TableBuilder.stage2Leaf)
    scene.guest.command(
      (Self.tlbi(0x2a, vmid: 7), Self.at(page)), (0x05 | 1 << 32, 1), Guest.sync)
    #expect(scene.event() == .translation)
  }

  @Test("VMW widens invalidation by VMID bits, look-ups stay exact (T-382)")
  func wildcards() {
    for bits in 0...7 as ClosedRange<UInt64> {
      let world = World()
      for vmid in [0x10, 0x11, 0x12, 0x14, 0x18, 0x20] as [UInt64] {
        world.add("\(vmid)", vmid: vmid, asid: 1)
        world.addStage2("\(vmid) S2", vmid: vmid, nested: false)
      }
      world.guest["CR0"] = 0xd | bits << 6
      let effective = bits > 4 ? 0 : bits
      let hit = [0x10, 0x11, 0x12, 0x14, 0x18, 0x20].filter { $0 >> effective == 0x10 >> effective }
      let first = Set(hit.map { "\($0)" }), second = Set(hit.map { "\($0) S2" })
      #expect(world.refreshed(Self.tlbi(0x10, vmid: 0x10)) == first, "VMW \(bits)")
      #expect(world.refreshed(Self.tlbi(0x11, vmid: 0x10, asid: 1)) == first)
      #expect(
        world.refreshed(Self.tlbi(0x12, vmid: 0x10, asid: 1), Self.at(Scene.input)) == first)
      #expect(world.refreshed(Self.tlbi(0x13, vmid: 0x10), Self.at(Scene.input)) == first)
      #expect(world.refreshed(Self.tlbi(0x2a, vmid: 0x10), Self.at(Scene.middle)) == second)
      #expect(world.refreshed(Self.tlbi(0x28, vmid: 0x10)) == first.union(second))
    }
  }

  @Test("Without VMW its field does nothing (T-382)")
  func noWildcards() {
    let world = World(StreamTableEntryTests.features { $0[.idr0, IDR0.vmw] = 0 })
    world.add("16", vmid: 16, asid: 1)
    world.add("17", vmid: 17, asid: 1)
    world.guest["CR0"] = 0xd | 4 << 6
    #expect(world.refreshed(Self.tlbi(0x10, vmid: 16)) == ["16"])
  }

  @Test("Without stage 2 the VMID of a command is not looked at (T-349, T-126, R-307)")
  func noMachines() {
    let world = World(.linux)
    world.add("1", vmid: 0, asid: 1)
    #expect(world.refreshed(Self.tlbi(0x10, vmid: 0x1234)) == ["1"])
    #expect(world.refreshed(Self.tlbi(0x11, vmid: 0x1234, asid: 1)) == ["1"])
    #expect(
      world.refreshed(Self.tlbi(0x12, vmid: 0x1234, asid: 1), Self.at(Scene.input)) == ["1"])
    #expect(world.refreshed(Self.tlbi(0x13, vmid: 0x1234), Self.at(Scene.input)) == ["1"])
  }

  @Test("ASIDs and VMIDs of 16 bits are told apart by all of them (T-128, T-373)")
  func wideTags() {
    let world = World()
    for (name, vmid, asid) in [
      ("a", 0x0101, 0x0101), ("b", 0x8101, 0x0101), ("c", 0x0101, 0x8101), ("d", 1, 1),
    ] as [(String, UInt64, UInt64)] {
      world.add(name, vmid: vmid, asid: asid)
    }
    for (name, stream) in world.streams { #expect(world.output(name) & ~0xfff == stream.old) }
    #expect(
      world.refreshed(Self.tlbi(0x12, vmid: 0x0101, asid: 0x0101), Self.at(Scene.input)) == ["a"])
    #expect(
      world.refreshed(Self.tlbi(0x12, vmid: 0x0101, asid: 0x8101), Self.at(Scene.input)) == ["c"])
    #expect(world.refreshed(Self.tlbi(0x13, vmid: 0x8101), Self.at(Scene.input)) == ["b"])
  }

  @Test("The tag byte of a command's address does not matter (T-351, T-350, R-312)")
  func taggedAddress() {
    let world = World()
    world.add("lower", vmid: 1, asid: 1)
    world.add("upper", vmid: 1, asid: 1, address: Scene.upper)
    for tag in [0x00, 0x5a, 0xff] as [UInt64] {
      let command = Self.tlbi(0x12, vmid: 1, asid: 1)
      #expect(world.refreshed(command, Self.at(Scene.input | tag << 56)) == ["lower"])
      #expect(
        world.refreshed(command, Self.at(Scene.upper & ~(0xff << 56) | tag << 56)) == ["upper"])
    }
    // T-350: beyond the largest input it matches nothing.
    let beyond = Self.at(Scene.input | 1 << 50)
    #expect(world.refreshed(Self.tlbi(0x12, vmid: 1, asid: 1), beyond) == [])
  }

  @Test("Entries made with TBI go with either form of their address (T-351)")
  func taggedEntries() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.tbi0] = 1 }
    for tag in [0, 0x5a] as [UInt64] {
      scene.lower.map(Scene.input, Scene.output, TableBuilder.stage1Leaf)
      scene.invalidateAll()
      #expect(scene.isFine(Scene.input | 0x77 << 56))
      scene.lower.set(Scene.input, 0)
      #expect(scene.isFine(Scene.input | 0x12 << 56))
      scene.guest.command(
        (Self.tlbi(0x12, asid: 5), Self.at(Scene.input | tag << 56)), Guest.sync)
      #expect(scene.event(Scene.input | 0x77 << 56) == .translation)
    }
  }

  @Test("Entries of an S1DSS bypass are stage 2's (T-343, T-049)")
  func bypassedNested() {
    let scene = Scene(.nested)
    scene.change {
      $0.ste[S.s1cdMax] = 2
      $0.ste[S.s1dss] = 1
    }
    func stale() -> Bool { scene.access(Scene.middle).0.address == Scene.output }
    for (command, isRemoved) in [
      ((Self.tlbi(0x2a, vmid: 7), Self.at(Scene.middle)), true),
      ((Self.tlbi(0x2a, vmid: 7), Self.at(Scene.middle + 0x1000)), false),
      ((Self.tlbi(0x28, vmid: 7), 0), true), ((0x30, 0), true),
      ((Self.tlbi(0x13, vmid: 7), Self.at(Scene.middle)), false),
    ] as [((UInt64, UInt64), Bool)] {
      scene.second.map(Scene.middle, Scene.output, TableBuilder.stage2Leaf)
      scene.invalidateAll()
      #expect(stale())
      scene.second.map(Scene.middle, Scene.upperOutput, TableBuilder.stage2Leaf)
      #expect(stale())
      scene.guest.command(command, Guest.sync)
      #expect(stale() == !isRemoved)
    }
    // Distinct from a stage 1 entry of an equal number.
    #expect(scene.event(Scene.input) == .translation)
  }

  @Test("CFGI leaves the TLB, TLBI leaves configurations (T-331, R-295)")
  func separate() {
    let scene = Scene(.stage1)
    #expect(scene.isFine())
    scene.lower.map(Scene.input, 0x77_0000_0000, TableBuilder.stage1Leaf)
    scene.guest.command((0x04, 31), Guest.sync)
    #expect(scene.access().0.address == Scene.output)
    scene.cd[C.epd0] = 1
    scene.guest.write(scene.cd, at: scene.context)
    scene.guest.command((0x30, 0), Guest.sync)
    #expect(scene.access().0.address == 0x77_0000_0000)
    scene.guest.command((0x04, 31), Guest.sync)
    #expect(scene.event() == .translation)
  }

  @Test("Overlapping entries both go, until then one answers (T-387, R-316, T-386, R-382)")
  func overlapping() {
    let scene = Scene(.stage1)
    let other = Scene.input + 0x1000
    scene.lower.map(other, 0x60_0000_0000, TableBuilder.stage1Leaf)
    #expect(scene.isFine())
    // The table becomes a block; another page of it fills a larger entry.
    scene.lower.set(Scene.input, level: 2, 0x70_0000_0000 | TableBuilder.stage1Leaf | 1)
    let block = 0x70_0000_0000 | Scene.input & 0x1f_f000
    // Elsewhere, so that no table is remembered and the page is.
    scene.guest.command((Self.tlbi(0x12, asid: 5), 0x7000_0000), Guest.sync)
    #expect(scene.access(Scene.input + 0x3000).0.address == block + 0x3000)
    #expect([Scene.output, block].contains(scene.access().0.address))
    scene.lower.set(Scene.input, level: 2, 0x78_0000_0000 | TableBuilder.stage1Leaf | 1)
    scene.guest.command((Self.tlbi(0x12, asid: 5), Self.at(Scene.input)), Guest.sync)
    #expect(scene.access().0.address == 0x78_0000_0000 | Scene.input & 0x1f_f000)
    #expect(scene.access(Scene.input + 0x3000).0.address & ~0x1f_ffff == 0x78_0000_0000)
  }

  // MARK: Tags

  @Test("Streams of equal tags share entries, and nothing else matters (T-121, T-328)")
  func shared() {
    let world = World()
    world.add("a", vmid: 1, asid: 1)
    world.add("b", vmid: 1, asid: 1)
    // b's tables differ: one entry may serve both.
    let a = world.output("a")
    let misses = world.guest.smmu.counters[.tlbMisses]
    #expect(world.output("b") == a)
    #expect(world.guest.smmu.counters[.tlbMisses] == misses)
  }

  @Test("No look-up hits another VMID, ASID or stage (T-122, T-088)")
  func distinct() {
    let world = World()
    world.add("1/1", vmid: 1, asid: 1)
    world.add("1/2", vmid: 1, asid: 2)
    world.add("2/1", vmid: 2, asid: 1)
    world.addStage2("1 S2", vmid: 1, nested: false)
    world.addStage2("1/1 nested", vmid: 1, nested: true, asid: 1)
    for _ in 0..<2 {
      for (name, stream) in world.streams {
        #expect(world.output(name) & ~0xfff_ffff == stream.old, "\(name)")
      }
    }
  }

  @Test("Global entries serve every ASID of their VMID and ASET (T-123)")
  func global() {
    for aset in [0, 1] as [UInt64] {
      let world = World()
      world.add("first", vmid: 1, asid: 1, aset: aset, global: true)
      world.add("same", vmid: 1, asid: 2, aset: aset, global: true)
      world.add("other ASET", vmid: 1, asid: 3, aset: 1 - aset, global: true)
      world.add("other VMID", vmid: 2, asid: 2, aset: aset, global: true)
      let first = world.output("first")
      #expect(world.output("same") == first)
      #expect(world.output("other ASET") == world.streams["other ASET"]!.old)
      #expect(world.output("other VMID") == world.streams["other VMID"]!.old)
    }
  }

  @Test("Non-global entries ignore ASET on look-up (T-123)")
  func nonGlobal() {
    let world = World()
    world.add("shared", vmid: 1, asid: 1, aset: 0)
    world.add("private", vmid: 1, asid: 1, aset: 1)
    let first = world.output("shared")
    let misses = world.guest.smmu.counters[.tlbMisses]
    #expect(world.output("private") == first)
    #expect(world.guest.smmu.counters[.tlbMisses] == misses)
  }

  @Test("Fields no TLB may hold act on hits after CFGI alone (T-325)")
  func carriedFields() {
    let scene = Scene(.stage1)
    #expect(scene.isFine(nil, [.write]))
    func apply() {
      scene.guest.write(scene.ste, at: Guest.streamTable + 64)
      scene.guest.write(scene.cd, at: scene.context)
      scene.guest.command((0x03 | 1 << 32, 1), Guest.sync)
    }
    scene.lower.map(Scene.input, Scene.output, TableBuilder.stage1Leaf & ~(1 << 6))
    scene.invalidateAll()
    #expect(scene.event() == .permission)
    #expect(scene.isFine(nil, [.privileged]))
    scene.ste[S.privcfg] = 3
    apply()
    #expect(scene.isFine())
    scene.ste[S.privcfg] = 2
    scene.cd[C.r] = 0
    scene.cd[C.a] = 0
    apply()
    let (answer, records) = scene.access(nil, [.privileged])
    #expect(answer.kind == .razwi)
    #expect(records.isEmpty)
    scene.ste[S.config] = 0
    apply()
    #expect(scene.access().0.event == nil)
    #expect(scene.access().0.kind == .abort)
    scene.ste[S.config] = 4
    apply()
    #expect(scene.access().0.address == Scene.input)
  }

  @Test("An invalidation wraps the cache's time without losing exactness (T-330)")
  func wrap() {
    let scene = Scene(.stage1)
    scene.guest.smmu.translator.tlb.setTime(.max - 2)
    scene.guest.smmu.translator.configurations.setTime(.max - 2)
    for round in 1...6 as ClosedRange<UInt64> {
      #expect(scene.isFine())
      scene.lower.map(Scene.input, round << 32, TableBuilder.stage1Leaf)
      #expect(scene.access().0.address != round << 32)
      scene.guest.command((Self.tlbi(0x11, asid: 5), 0), (0x03 | 1 << 32, 1), Guest.sync)
      #expect(scene.access().0.address == round << 32)
    }
  }
}
