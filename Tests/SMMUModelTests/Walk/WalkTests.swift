// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// What a descriptor means at each level of each granule, at both stages.
@Suite struct WalkTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  /// A scene whose stage has this granule and 48 bits (47 for 64K concatenation's sake: 42 bits).
  struct Stage {
    let scene: Scene
    let table: TableBuilder
    let isFirst: Bool
    var leaf: UInt64 { isFirst ? TableBuilder.stage1Leaf : TableBuilder.stage2Leaf }

    init(_ granule: ReferenceGranule, first: Bool) {
      isFirst = first
      scene = Scene(first ? .stage1 : .stage2)
      let bits = 48
      // 48 bits start at level 0 with 4K and 16K at stage 1, at level 1 with 16K at stage 2.
      let start = granule == .k4 ? 0 : granule == .k64 ? 1 : first ? 0 : 1
      let table = TableBuilder(scene.guest, granule, inputBits: bits, start: start)
      self.table = table
      scene.change {
        $0.cd[C.tg0] = granule.tg0
        $0.cd[C.t0sz] = 16
        $0.cd[C.ttb0] = table.base >> 4
        $0.ste[S.s2tg] = granule.tg0
        $0.ste[S.s2t0sz] = 16
        $0.ste[S.s2sl0] = granule.sl0(level: start)
        $0.ste[S.s2ttb] = table.base >> 4
      }
    }
  }

  static let address: UInt64 = 0x1234_5678_9abc

  @Test(
    "Descriptor types at each level of each granule (T-133, T-134)",
    arguments: ReferenceGranule.allCases, [true, false])
  func types(granule: ReferenceGranule, first: Bool) {
    let stage = Stage(granule, first: first)
    for level in stage.table.start...3 {
      let low = UInt64(granule.low[level])
      let output: UInt64 = 0x5555_5555_5555 & 0xffff_ffff_ffff & ~((1 << low) - 1)
      for type in 0...3 as ClosedRange<UInt64> {
        stage.table.set(Self.address, level: level, output & ~0xf000 | stage.leaf | type)
        if low == 12 || low == 14 {
          stage.table.set(Self.address, level: level, output | stage.leaf | type)
        }
        stage.scene.invalidateAll()
        let answer = stage.scene.access(Self.address).0
        let holdsBlocks =
          granule == .k4 ? level == 1 || level == 2 : level == 2
        switch type {
        case 1 where level < 3 && holdsBlocks, 3 where level == 3:
          #expect(answer.kind == .ok, "level \(level) type \(type)")
          #expect(answer.length == (1 << low) - Self.address & ((1 << low) - 1))
          #expect(answer.address & ((1 << low) - 1) == Self.address & ((1 << low) - 1))
        case 3:
          // A table at an address without RAM.
          #expect(answer.event == .walkAbort)
        default:
          #expect(answer.event == .translation, "level \(level) type \(type)")
        }
      }
      stage.table.set(Self.address, level: level, 0)
    }
  }

  @Test("Low output bits of a leaf are not its own, but the input's (T-136)")
  func lowBits() {
    for granule in ReferenceGranule.allCases {
      let stage = Stage(granule, first: true)
      let low = UInt64(granule.low[2])
      let output: UInt64 = 3 << 40
      // Everything from 17 up to the block size is RES0.
      let garbage = ((1 << low) - 1) & ~0x1_ffff as UInt64
      stage.table.set(Self.address, level: 2, output | garbage | stage.leaf | 1)
      #expect(
        stage.scene.access(Self.address).0.address == output | Self.address & ((1 << low) - 1))
    }
  }

  @Test("The nT bit and the Contiguous bit change nothing (T-140, T-141, R-380, R-381)")
  func hints() {
    for granule in ReferenceGranule.allCases {
      for first in [true, false] {
        let stage = Stage(granule, first: first)
        stage.table.map(Self.address, 3 << 40, level: 2, stage.leaf)
        let plain = stage.scene.access(Self.address).0.ageless
        #expect(plain.kind == .ok)
        stage.table.mark(Self.address, level: 2, set: 1 << 52 | 1 << 16)
        stage.scene.invalidateAll()
        #expect(stage.scene.access(Self.address).0.ageless == plain)
        // The neighbour is on its own.
        #expect(stage.scene.event(Self.address + 1 << UInt64(granule.low[2])) == .translation)
      }
    }
  }

  @Test("Software bits, PBHA and DBM have no effect (T-145, T-179)")
  func ignoredBits() {
    let scene = Scene(.stage1)
    let plain = scene.access(nil, [.write]).0.ageless
    scene.lower.mark(Scene.input, set: 0xf << 59 | 0xf << 55 | 1 << 51 | 1 << 63)
    scene.invalidateAll()
    #expect(scene.access(nil, [.write]).0.ageless == plain)
    // DBM without HTTU: a read-only page stays so.
    scene.lower.mark(Scene.input, set: 1 << 7)
    scene.invalidateAll()
    #expect(scene.event(nil, [.write]) == .permission)
    let second = Scene(.stage2)
    second.second.mark(Scene.middle, set: 0xf << 59 | 0xf << 55 | 1 << 51, clear: 1 << 7)
    second.invalidateAll()
    #expect(second.isFine())
    #expect(second.event(nil, [.write]) == .permission)
  }

  @Test("Descriptors follow the endianness of their own stage (T-135)")
  func endianness() {
    for (first, second) in [(0, 1), (1, 0), (1, 1)] as [(UInt64, UInt64)] {
      let scene = Scene(.nested)
      let one = TableBuilder(scene.guest, offset: Scene.intermediate)
      let two = TableBuilder(scene.guest, inputBits: 40, start: 1)
      one.bigEndian = first == 1
      two.bigEndian = second == 1
      one.map(Scene.input, Scene.middle, TableBuilder.stage1Leaf)
      two.map(Scene.middle, Scene.output, TableBuilder.stage2Leaf)
      for block in 0..<8 as Range<UInt64> {
        let physical = GuestMachine.ramBase + block << 21
        two.map(physical + Scene.intermediate, physical, level: 2, TableBuilder.stage2Leaf)
      }
      scene.change {
        $0.cd[C.endi] = first
        $0.cd[C.ttb0] = one.base >> 4
        $0.ste[S.s2endi] = second
        $0.ste[S.s2ttb] = two.base >> 4
      }
      #expect(scene.access().0.address == Scene.output)
      scene.change { $0.cd[C.endi] = 1 - first }
      #expect(scene.access().0.kind == .abort)
    }
  }

  @Test("Each descriptor is one 64-bit read, in order of levels (T-135)")
  func reads() {
    let scene = Scene(.stage1), machine = scene.guest.machine
    let outside = machine.outside.lowerBound
    for (page, next) in [(0, 0x1000), (0x1000, 0x2000)] as [(UInt64, UInt64)] {
      let low: UInt64 = page == 0 ? 30 : 21
      machine[outside + page + (Scene.input >> low & 511) * 8] = (outside + next) | 3
    }
    machine[outside + 0x2000 + (Scene.input >> 12 & 511) * 8] =
      Scene.output | TableBuilder.stage1Leaf | 3
    scene.change { $0.cd[C.ttb0] = outside >> 4 }
    var reads: [UInt64] = []
    machine.onRead = { reads.append($0) }
    #expect(scene.access().0.address == Scene.output)
    #expect(
      reads == [
        outside + (Scene.input >> 30 & 511) * 8, outside + 0x1000 + (Scene.input >> 21 & 511) * 8,
        outside + 0x2000 + (Scene.input >> 12 & 511) * 8,
      ])
  }

  @Test("Sixteen concatenated tables, the base aligned to all of them (T-171, T-084)")
  func concatenation() {
    for (granule, bits, start) in [
      (.k4, 43, 1), (.k16, 40, 2), (.k64, 46, 2), (.k4, 34, 2), (.k4, 25, 3), (.k16, 29, 3),
      (.k64, 33, 3),
    ] as [(ReferenceGranule, Int, Int)] {
      let scene = Scene(.stage2)
      let table = TableBuilder(scene.guest, granule, inputBits: bits, start: start)
      let page: UInt64 = 1 << UInt64(granule.rawValue)
      let inputs = [0, (1 << UInt64(bits)) - page, 5 << UInt64(bits - 4)] as [UInt64]
      for (i, input) in inputs.enumerated() {
        table.map(input, 0x60_0000_0000 + UInt64(i) << 20, TableBuilder.stage2Leaf)
      }
      let bytes = (8 as UInt64) << UInt64(bits - granule.low[start])
      scene.change {
        $0.ste[S.s2tg] = granule.tg0
        $0.ste[S.s2t0sz] = UInt64(64 - bits)
        $0.ste[S.s2sl0] = granule.sl0(level: start)
        $0.ste[S.s2ttb] = (table.base | (bytes - 1) & ~15) >> 4
      }
      for (i, input) in inputs.enumerated() {
        #expect(
          scene.access(input | 0xabc).0.address == 0x60_0000_0abc + UInt64(i) << 20,
          "\(granule) \(bits)")
      }
    }
  }

  @Test("Stage 1 and stage 2 pages of different sizes, both ways round (T-168, T-169)")
  func mixedSizes() {
    let scene = Scene(.nested)
    // A 2M stage 1 block over 4K stage 2 pages.
    scene.lower.set(
      0x4000_0000, level: 2, 0x30_0000_0000 | TableBuilder.stage1Leaf | 1)
    scene.second.map(0x30_0000_3000, 0x70_0000_5000, TableBuilder.stage2Leaf)
    let small = scene.access(0x4000_3123).0
    #expect(small.address == 0x70_0000_5123)
    #expect(small.length == 0x1000 - 0x123)
    #expect(scene.event(0x4000_4123) == .translation)
    // A 4K stage 1 page in a 1G stage 2 block.
    scene.lower.map(0x5000_0000, 0x31_2345_6000, TableBuilder.stage1Leaf)
    scene.second.set(0x31_0000_0000, level: 1, 0x80_0000_0000 | TableBuilder.stage2Leaf | 1)
    let large = scene.access(0x5000_0123).0
    #expect(large.address == 0x80_2345_6123)
    #expect(large.length == 0x1000 - 0x123)
    #expect(scene.event(0x5000_1123) == .translation)
  }

  @Test("Stage 1 tables are translated one by one, TTB included (T-168, T-170)")
  func scatteredTables() {
    let scene = Scene(.nested), guest = scene.guest
    // IPAs 0x10_0000_0000 + n pages, physical pages in reverse.
    let pages = (0..<3).map { _ in guest.allocate(4096) }
    for (i, page) in pages.reversed().enumerated() {
      scene.second.map(
        0x10_0000_0000 + UInt64(i) << 12, page, TableBuilder.stage2Leaf & ~(1 << 7))
    }
    let order = Array(pages.reversed())
    guest.machine[order[0] + (Scene.input >> 30 & 511) * 8] = 0x10_0000_1003
    guest.machine[order[1] + (Scene.input >> 21 & 511) * 8] = 0x10_0000_2003
    guest.machine[order[2] + (Scene.input >> 12 & 511) * 8] =
      Scene.middle | TableBuilder.stage1Leaf | 3
    scene.change { $0.cd[C.ttb0] = 0x10_0000_0000 >> 4 }
    #expect(scene.access().0.address == Scene.output)
  }

  @Test("The other half never takes part in a walk (T-131)")
  func otherHalf() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.ttb1] = $0.guest.machine.outside.lowerBound >> 4 }
    var reads = 0
    scene.guest.machine.onRead = { _ in reads += 1 }
    #expect(scene.isFine())
    #expect(reads == 0)
  }
}
