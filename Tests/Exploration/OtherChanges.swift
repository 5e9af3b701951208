// SPDX-License-Identifier: MIT
import CVSMMU

@testable import SMMUModel
@testable import VSMMU

/// Changes of other kinds: what appears, interrupts, sequences, and none at all.
extension Change {
  private static let fault = World.Answer.abort(event: 0x10)

  static var others: [Change] {
    [
    // A fault in progress becomes a page; none is kept.
    Change(
      name: "map",
      apply: { world in
        world[0x6028] = World.new(5) | World.leaf
        world.command((0x12 | 7 << 48, 0x5001))
      }, old: [fault]),
    Change(
      name: "map-table",
      prepare: { world in
        world[0x5000] = 0
        world[0x6028] = World.new(5) | World.leaf
      },
      apply: { world in
        world[0x5000] = World.ram + 0x6000 | 3
        world.command((0x12 | 7 << 48, 0x5000))
      }, old: [fault]),
    // Whoever begins during the first wait is waited for in the second one.
    Change(
      name: "twice", prepare: mapBoth,
      apply: { world in
        world.command((0x11 | 99 << 48, 0))
        Scheduler.current?.relax()
        world[0x6028] = World.new(5) | World.leaf
        world.command((0x12 | 7 << 48, 0x5001))
      }, completed: forbidOldDMA, verdict: lateDMA),
    // A row that is filled late, with an epoch that comes again after 2^32 invalidations.
    Change(
      name: "renewal-late",
      prepare: { world in
        mapBoth(world)
        with(world.device) { $0.smmu.micro.table.set(.max - 3) }
      },
      apply: { world in
        world[0x6028] = World.new(5) | World.leaf
        world.command((0x12 | 7 << 48, 0x5001))
      },
      verdict: { world in
        with(world.device) { $0.smmu.micro.table.set(.max - 3) }
        return nil
      }, situations: ["hit-bare"]),
    configuration("CFGI_STE_RANGE", (0x04 | 1 << 32, 0)),
    configuration("CFGI_CD_ALL", (0x06 | 1 << 32, 0)),
    broadcast("DVM-ASID", VSMMU_DVM_ASID),
    broadcast("DVM-VMALL", VSMMU_DVM_VMALL),
    // Off, another stream table, and on again.
    Change(
      name: "STRTAB_BASE",
      prepare: { world in
        mapBoth(world)
        world.write(0x44, 4, 0x8010_1000)
        world[0x1_0040] = 1 | 5 << 1 | World.ram + 0x1040
      },
      apply: { world in
        world.write(0x20, 4, 0xc)
        world.write(0x80, 8, World.ram + 0x1_0000)
        world.command((0x04, 31), (0x30, 0))
        world.write(0x20, 4, 0xd)
      }, completed: forbidOldDMA, verdict: lateDMA,
      old: [.address(World.old(5)), .abort(event: 0)]),
    // Of the old state's events none is in the new one's queue.
    Change(
      name: "restore-queue", flags: VSMMU_RESET_ABORTS,
      prepare: { world in
        world.write(0x20, 4, 0xc)
        world.write(0x44, 4, 0x8010_1000)
        world.state = world.saved()
        world.write(0x44, 4, 0x8000_1000)
        world.write(0x20, 4, 0xd)
      },
      apply: { world in
        world.expect(
          world.state.withUnsafeBytes {
            vsmmu_restore(world.device, $0.baseAddress, UInt64($0.count))
          })
      },
      verdict: { $0.eventCount == 0 ? nil : "an event of the state before" },
      old: [fault], new: [.abort(event: 0)]),
    // A driver that was interrupted takes events until it finds none (§7.4): for those that it does
    // not find it is interrupted again.
    Change(
      name: "EVENTQ_CONS",
      prepare: { world in
        world.write(0x50, 4, 4)
        _ = world.translate(0x5000)
      },
      apply: { world in
        world.pulses = [:]
        while world.eventCount != 0 { world.write(0x100ac, 4, world.read(0x100a8)) }
      },
      verdict: { world in
        world.eventCount == 0 || world.pulses[0] != nil ? nil : "an event without an interrupt"
      }, old: [fault], new: [fault], isNoticed: false),
    // §6.3.16: what is off does not interrupt late.
    Change(
      name: "IRQ_CTRL-off", prepare: { $0.write(0x50, 4, 4) },
      apply: { $0.write(0x50, 4, 0) }, completed: { $0.pulses = [:] },
      verdict: { $0.pulses.isEmpty ? nil : "an interrupt after IRQ_CTRLACK was 0" },
      old: [fault], new: [fault], isNoticed: false),
    Change(
      name: "CMD_SYNC", prepare: mapBoth,
      apply: { world in for _ in 0..<2 { world.command((0x10, 0)) } },
      new: [.address(World.old(5))], situations: ["open"]),
    Change(
      name: "none",
      prepare: { world in
        mapBoth(world)
        world[0x5000 + (World.rivals[1] >> 21) * 8] = World.Block.old | World.block
      }, apply: { _ in }, new: [.address(World.old(5))], situations: ["rivals"]),
    ]
  }

  private static func mapBoth(_ world: World) {
    for page in 4..<8 as Range<UInt64> {
      world[0x6000 + page * 8] = World.old(page) | World.leaf
      world[0x9000 + page * 8] = World.new(page) | World.leaf
    }
  }

  /// Another context.
  private static func configuration(_ name: String, _ command: (UInt64, UInt64)) -> Change {
    Change(
      name: name, prepare: mapBoth,
      apply: { world in
        world[0x1008] = World.ram + 0x7000
        world.command(command, (0x11 | 7 << 48, 0))
      }, completed: forbidOldDMA, verdict: lateDMA)
  }

  private static func broadcast(_ name: String, _ kind: UInt32) -> Change {
    Change(
      name: name, features: "BTM=1", prepare: mapBoth,
      apply: { world in
        world[0x6028] = World.new(5) | World.leaf
        world.broadcast(kind)
      }, completed: forbidOldDMA, verdict: lateDMA)
  }
}

extension World {
  /// Addresses whose pages have one row of the micro TLB.
  static let rivals: [UInt64] = [0x5000, 0x5000 + UInt64(MicroTLB.rows) << 12]
  var rivalAnswers: [Answer] { [.address(Self.old(5)), .address(Block.old + 0x5000)] }
}
