// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// Tables that a walk found are not looked for again, until a TLBI says so.
@Suite struct WalkCacheTests {
  /// Neighbour pages of the one that is mapped, all in one last table.
  private func neighbours(_ scene: Scene) -> [(input: UInt64, output: UInt64)] {
    (1...4).map { (Scene.input + $0 * 0x1000, Scene.output + $0 * 0x1000) }
  }

  private func map(_ scene: Scene) {
    for (input, output) in neighbours(scene) {
      let middle = Scene.middle + (input - Scene.input)
      let target = scene.mode == .nested ? middle : output
      scene.lower.map(input, target, TableBuilder.stage1Leaf)
      if scene.mode == .nested { scene.second.map(middle, output, TableBuilder.stage2Leaf) }
    }
  }

  private static let outside = RaceTests.outside

  /// The tables of levels 2 and 3 lie outside RAM, where loads are counted; nested also the last
  /// one of stage 2.
  private func moveOutside(_ scene: Scene) {
    let machine = scene.guest.machine
    let offset = scene.mode == .nested ? Scene.intermediate : 0
    scene.lower.set(Scene.input, level: 1, (Self.outside &+ offset) | 3)
    machine[Self.outside + (Scene.input >> 21 & 511) * 8] = (Self.outside + 0x1000 &+ offset) | 3
    if scene.mode == .nested {
      for page in 0..<2 as Range<UInt64> {
        let physical = Self.outside + page << 12
        scene.second.map(physical + offset, physical, TableBuilder.stage2Leaf)
      }
      scene.second.set(Scene.middle, level: 2, (Self.outside + 0x2000) | 3)
    }
    for (input, output) in [(Scene.input, Scene.output)] + neighbours(scene) {
      let middle = Scene.middle + (input - Scene.input)
      let target = scene.mode == .nested ? middle : output
      machine[Self.outside + 0x1000 + (input >> 12 & 511) * 8] =
        target | TableBuilder.stage1Leaf | 3
      machine[Self.outside + 0x2000 + (middle >> 12 & 511) * 8] =
        output | TableBuilder.stage2Leaf | 3
    }
  }

  @Test("A neighbour page costs one load, nested two", arguments: [Scene.Mode.stage1, .nested])
  func loads(mode: Scene.Mode) {
    let scene = Scene(mode)
    let isNested = mode == .nested
    moveOutside(scene)
    var count = 0
    scene.guest.machine.onRead = { _ in count += 1 }
    #expect(scene.access().0.address == Scene.output)
    #expect(count == (isNested ? 3 : 2), "levels 2 and 3, and the leaf of stage 2")
    for (input, output) in neighbours(scene) {
      count = 0
      #expect(scene.access(input).0.address == output)
      #expect(count == (isNested ? 2 : 1))
    }
  }

  /// Two pages of 4 KiB in the span of the last table, but not the one that is mapped.
  static let neighbourRange = Scene.input + 0x1000 | 1 << 10

  /// Moves the last table that maps `Scene.input`, with another page in it.
  private func moveTable(_ scene: Scene) {
    let new = scene.guest.allocate(4096)
    scene.guest.machine[new + (Scene.input >> 12 & 0x1ff) * 8] =
      0x77_0000_0000 | TableBuilder.stage1Leaf | 3
    scene.lower.set(Scene.input, level: 2, new | 3)
  }

  @Test(
    "A TLBI that is not of leaves alone forgets tables, a range too (§4.4.1, T-366)",
    arguments: [
      (0x10, 0), (0x11 | 5 << 48, 0), (0x12 | 5 << 48, Scene.input), (0x13, Scene.input),
      (0x28, 0), (0x2a, 0), (0x30, 0), (0x12 | 5 << 48 | 1 << 12, WalkCacheTests.neighbourRange),
      (0x13 | 1 << 12, WalkCacheTests.neighbourRange),
    ] as [(UInt64, UInt64)])
  func tables(low: UInt64, high: UInt64) {
    let scene = Scene(.stage1)
    map(scene)
    #expect(scene.isFine())
    moveTable(scene)
    scene.guest.command((low, high), (0x12 | 5 << 48, Scene.input | 1), Guest.sync)
    #expect(scene.access().0.address == 0x77_0000_0000)
  }

  @Test("A TLBI of a leaf removes the leaf and may keep its table (§4.4.1)")
  func leaves() {
    let scene = Scene(.stage1)
    map(scene)
    #expect(scene.isFine())
    scene.lower.map(Scene.input, 0x66_0000_0000, TableBuilder.stage1Leaf)
    scene.guest.command((0x12 | 5 << 48, Scene.input | 1), Guest.sync)
    #expect(scene.access().0.address == 0x66_0000_0000)
  }

  @Test("Attributes of tables above are kept with the table (DDI 0487 D8.4.2)")
  func hierarchy() {
    let scene = Scene(.stage1)
    map(scene)
    // APTable: read-only from here on.
    scene.lower.mark(Scene.input, level: 1, set: 1 << 62)
    scene.invalidateAll()
    #expect(scene.isFine())
    for (input, _) in neighbours(scene) {
      #expect(scene.isFine(input))
      #expect(scene.event(input, .write) == .permission)
    }
  }

  @Test("A table that is first of two kinds of walk leads to two last tables")
  func geometries() {
    let scene = Scene(.stage1)
    #expect(scene.isFine())
    func isKept(_ cd: ContextDescriptor) -> Bool {
      let table = TranslationTable(cd, kind: .stage1, upper: false, features: .full)
      let cache = scene.guest.smmu.translator.walker.cache
      return cache.lookUp(WalkCache.Key(Scene.input, table: table, vmid: 0)) != nil
    }
    #expect(isKept(scene.cd))
    for change in [(ContextDescriptor.t0sz, 16), (ContextDescriptor.ips, 1)] as [(Field, UInt64)] {
      var cd = scene.cd
      cd[change.0] = change.1
      #expect(!isKept(cd), "\(change.0.name)")
    }
  }

  @Test("What a walk found is kept though it ends in a fault, where tables are kept at all")
  func faults() {
    for keeps in [true, false] {
      var options = Options()
      options.cachesTables = keeps
      let scene = Scene(.stage1, .full, options)
      moveOutside(scene)
      scene.lower.mark(Scene.input, level: 1, set: 1 << 62)
      scene.invalidateAll()
      #expect(scene.event(nil, .write) == .permission, "APTable")
      var count = 0
      scene.guest.machine.onRead = { _ in count += 1 }
      #expect(scene.event(nil, .write) == .permission)
      #expect(count == (keeps ? 1 : 2))
    }
  }

  @Test("A last table that stage 2 maps in pieces is walked to each time")
  func pieces() {
    let scene = Scene(.nested)
    let middle = Scene.middle | Scene.input & 0xffff
    let tables = TableBuilder(scene.guest, .k64, inputBits: 39, offset: Scene.intermediate)
    tables.map(Scene.input & ~0xffff, Scene.middle, TableBuilder.stage1Leaf)
    scene.second.map(middle, Scene.output, TableBuilder.stage2Leaf)
    scene.change {
      $0.cd[ContextDescriptor.tg0] = 1
      $0.cd[ContextDescriptor.ttb0] = tables.base >> 4
    }
    let table = TranslationTable(scene.cd, kind: .nested, upper: false, features: .full)
    let key = WalkCache.Key(Scene.input, table: table, vmid: 7)
    let cache = scene.guest.smmu.translator.walker.cache
    #expect(scene.access().0.address == Scene.output)
    #expect(cache.lookUp(key) != nil, "2 MiB blocks hold a 64 KiB table")
    let block = tables.walked(Scene.input) & ~0x1f_ffff
    for page in 0..<512 as Range<UInt64> {
      let place = block + page << 12
      scene.second.map(place, place - Scene.intermediate, TableBuilder.stage2Leaf)
    }
    scene.invalidateAll()
    #expect(scene.access().0.address == Scene.output)
    #expect(cache.lookUp(key) == nil, "4 KiB pages do not")
  }
}
