// SPDX-License-Identifier: MIT
import CVSMMU
import Glibc

@testable import SMMUModel
@testable import VSMMU

/// Registers, reset, restore, streams, memory.
extension Change {
  private static func map(_ world: World) {
    for page in 4..<8 as Range<UInt64> {
      world[0x6000 + page * 8] = World.old(page) | World.leaf
    }
  }

  private static let abort = World.Answer.abort(event: 0)
  private static let bypass = World.Answer.address(0x5000)

  private static func events(_ world: World) -> String? {
    world.eventCount == 0 ? nil : "\(world.eventCount) events that nothing caused"
  }

  static var states: [Change] {
    [
    Change(
      name: "SMMUEN-off",
      prepare: {
        map($0)
        $0.write(0x44, 4, 0x8010_1000)
      },
      apply: { $0.write(0x20, 4, 0xc) }, completed: forbidOldDMA, verdict: lateDMA, new: [abort]),
    Change(
      name: "SMMUEN-off-bypass", prepare: map, apply: { $0.write(0x20, 4, 0xc) },
      completed: forbidOldDMA, verdict: lateDMA, new: [bypass]),
    Change(
      name: "SMMUEN-on",
      prepare: {
        map($0)
        $0.write(0x44, 4, 0x8010_1000)
        $0.write(0x20, 4, 0xc)
      },
      apply: { $0.write(0x20, 4, 0xd) }, old: [abort], new: [.address(World.old(5))]),
    Change(
      name: "GBPA",
      prepare: {
        map($0)
        $0.write(0x20, 4, 0xc)
      },
      apply: { $0.write(0x44, 4, 0x8010_1000) }, old: [bypass], new: [abort]),
    Change(
      name: "reset", flags: VSMMU_RESET_ABORTS,
      prepare: {
        map($0)
        $0.write(0x44, 4, 0x8000_1000)
      },
      apply: { $0.expect(vsmmu_reset($0.device)) }, completed: forbidOldDMA, verdict: lateDMA,
      new: [abort]),
    restore("restore-same", old: [.address(World.old(5))], new: [.address(World.old(5))]) {
      world in world.saved()
    },
    restore("restore-abort", flags: VSMMU_RESET_ABORTS, new: [abort]) { world in
      var state: [UInt8] = []
      world.write(0x20, 4, 0xc)
      world.write(0x44, 4, 0x8010_1000)
      state = world.saved()
      world.write(0x44, 4, 0x8000_1000)
      world.write(0x20, 4, 0xd)
      return state
    },
    // Both abort; in neither of them anything bypasses.
    restore(
      "restore-on", flags: VSMMU_RESET_ABORTS, old: [abort], new: [.address(World.old(5))]
    ) { world in
      let state = world.saved()
      world.expect(vsmmu_reset(world.device))
      return state
    },
    // Another stream table, whose stream 1 aborts.
    restore("restore-table", new: [abort]) { world in
      world[0x1_0040] = 1
      world.write(0x20, 4, 0xc)
      world.write(0x80, 8, World.ram + 0x1_0000)
      world.write(0x20, 4, 0xd)
      let state = world.saved()
      world.write(0x20, 4, 0xc)
      world.write(0x80, 8, World.ram)
      world.write(0x20, 4, 0xd)
      return state
    },
    Change(
      name: "stream_remove", prepare: map,
      apply: { $0.expect(vsmmu_stream_remove($0.device, 1)) },
      completed: forbidOldDMA, verdict: lateDMA,
      // A DMA in progress may find its stream gone.
      old: [.address(World.old(5)), abort], new: [.absent]),
    // The region is another one afterwards: what arrives late would be seen in the old one.
    Change(
      name: "ram_remove", prepare: { $0.addRegion() },
      apply: { $0.expect(vsmmu_ram_remove($0.device, World.region)) },
      completed: { memset($0.regionMemory, 0, 4096) },
      verdict: { world in
        world.isRegionEmpty ? nil : "DMA reached memory that was taken back"
      }, old: [.address(World.region)], new: [.address(World.region)], isNoticed: false),
    renewal("renewal-TLB") { $0.translator.tlb.setTime(.max - 3) },
    renewal("renewal-configurations") { $0.translator.configurations.setTime(.max - 3) },
    renewal("renewal-micro") { $0.micro.table.set(.max - 3) },
    renewal("renewal-walks") { $0.translator.walker.cache.table.set(.max - 3) },
    Change(
      name: "EVENTQEN-off", apply: { $0.write(0x20, 4, 0x9) },
      completed: { world in world.written[0] = world.eventCount },
      verdict: { world in
        world.eventCount == world.written[0] ? nil : "an event after CR0ACK.EVENTQEN was 0"
      }, old: [.abort(event: 0x10)], new: [.abort(event: 0x10)]),
    ]
  }

  /// What was forgotten long ago, by stamps alone, stays so when a cache's time ends.
  private static func renewal(_ name: String, _ age: @escaping (SMMU) -> Void) -> Change {
    Change(
      name: name,
      prepare: { world in
        for page in 4..<8 as Range<UInt64> {
          world[0x6000 + page * 8] = World.old(page) | World.leaf
          world[0x9000 + page * 8] = World.new(page) | World.leaf
        }
        for _ in 0..<2 { _ = world.translate(0x5000) }
        world[0x40] = 1 | 5 << 1 | World.ram + 0x1040
        world.command((0x03 | 1 << 32, 1), (0x11 | 7 << 48, 0))
        with(world.device) { age($0.smmu) }
      },
      apply: { world in
        for _ in 0..<2 { world.command((0x03 | 5 << 32, 1), (0x11 | 99 << 48, 0)) }
      }, old: [.address(World.new(5))], new: [.address(World.new(5))], limit: 300,
      situations: ["cold", "cold-bare", "neighbour-bare"])
  }

  /// `prepare` gives the state to restore, and leaves the old one.
  private static func restore(
    _ name: String, flags: UInt32 = 0, old: [World.Answer] = [.address(World.old(5))],
    new: [World.Answer], _ prepare: @escaping (World) -> [UInt8]
  ) -> Change {
    Change(
      name: name, flags: flags,
      prepare: {
        map($0)
        $0.state = prepare($0)
      },
      apply: { world in
        world.expect(
          world.state.withUnsafeBytes {
            vsmmu_restore(world.device, $0.baseAddress, UInt64($0.count))
          })
      }, completed: forbidOldDMA,
      verdict: { world in
        (new.contains(.address(World.old(5))) ? nil : lateDMA(world)) ?? events(world)
      }, old: old, new: new)
  }
}

extension World {
  /// RAM that goes, of one page; page 5 is mapped to it.
  static let region: UInt64 = 0x5000_0000
  var regionMemory: UnsafeMutableRawPointer { memory + 0x1_f000 }
  var isRegionEmpty: Bool {
    (0..<512).allSatisfy { regionMemory.load(fromByteOffset: $0 * 8, as: UInt64.self) == 0 }
  }

  func addRegion() {
    expect(vsmmu_ram_add(device, Self.region, 4096, regionMemory))
    self[0x6028] = Self.region | Self.leaf
    self[0x6030] = Self.old(6) | Self.leaf
  }

  func saved() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 8192)
    let size = vsmmu_save(device, &bytes, UInt64(bytes.count))
    guard size > 0 && size <= bytes.count else { fatalError("vsmmu_save answered \(size)") }
    return Array(bytes[..<Int(size)])
  }
}
