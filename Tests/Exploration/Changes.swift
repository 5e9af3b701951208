// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUAtomics

@testable import SMMUModel

/// Commands and broadcasts: memory changes, then it is invalidated.
extension Change {
  private static func mapStage1(_ world: World) {
    for page in 4..<8 as Range<UInt64> {
      world[0x6000 + page * 8] = World.old(page) | World.leaf
      world[0x9000 + page * 8] = World.new(page) | World.leaf
    }
  }

  private static func mapStage2(_ world: World) {
    world[0xa000] = 0
    for page in 4..<8 as Range<UInt64> {
      world[0xc000 + page * 8] = World.old(page) | World.stage2Leaf
    }
  }

  /// The leaf of page 5 changes.
  private static func leaf(
    _ name: String, _ command: (UInt64, UInt64), _ features: String = ""
  ) -> Change {
    Change(
      name: name, features: features, prepare: mapStage1,
      apply: { world in
        world[0x6028] = World.new(5) | World.leaf
        world.command(command)
      }, completed: forbidOldDMA, verdict: lateDMA)
  }

  /// The TLB has entries of another size only: a fill says that there are such.
  private static var beside: Change {
    var change = leaf("TLBI_NH_VA-beside", (0x12 | 7 << 48, 0x5001))
    change.prepare = { world in
      mapStage1(world)
      world[0x5008] = World.Block.old | World.block
      _ = world.translate(0x20_5000)
    }
    return change
  }

  /// Bytes that reach the old page from now on are wrong.
  static func forbidOldDMA(_ world: World) { world.written = [:] }

  static func lateDMA(_ world: World) -> String? {
    world.written[World.old(5) >> 12] == nil ? nil : "DMA reached the old page afterwards"
  }

  static var commands: [Change] {
    [
    leaf("TLBI_NH_VA", (0x12 | 7 << 48, 0x5001)),
    leaf("TLBI_NH_VA-range", (0x12 | 7 << 48 | 7 << 12, 0x4001 | 1 << 10)),
    beside,
    leaf("TLBI_NH_VAA", (0x13, 0x5000)),
    leaf("TLBI_NH_ASID", (0x11 | 7 << 48, 0)),
    leaf("TLBI_NH_ALL", (0x10, 0)),
    leaf("TLBI_NSNH_ALL", (0x30, 0)),
    leaf("TLBI_S12_VMALL", (0x28, 0)),
    Change(
      name: "table", prepare: mapStage1,
      apply: { world in
        world[0x5000] = World.ram + 0x9000 | 3
        world.command((0x12 | 7 << 48, 0x5000))
      }, completed: forbidOldDMA, verdict: lateDMA),
    Change(
      name: "unmap", prepare: mapStage1,
      apply: { world in
        world[0x6028] = 0
        world.command((0x12 | 7 << 48, 0x5001))
      }, completed: forbidOldDMA, verdict: lateDMA, new: [.abort(event: 0x10)]),
    Change(
      name: "piece", mode: .nested, address: 0x20_5000,
      prepare: { $0[0x5008] = World.Block.old | World.block },
      apply: { world in
        world[0x5008] = World.Block.new | World.block
        world.command((0x12 | 1 << 32 | 7 << 48, 0x20_0001))
      }, completed: forbidOldDMA, verdict: lateDMA),
    Change(
      name: "piece-unrelated", mode: .nested, address: 0x20_5000,
      prepare: { $0[0x5008] = World.Block.old | World.block },
      apply: { world in
        // Another ASID; then the block by its first address.
        world.command((0x12 | 1 << 32 | 99 << 48, 0x70_0001))
        world[0x5008] = World.Block.new | World.block
        world.command((0x12 | 1 << 32 | 7 << 48, 0x20_0001))
      }, completed: forbidOldDMA, verdict: lateDMA),
    Change(
      name: "TLBI_S2_IPA", mode: .stage2, address: World.Block.old + 0x5000,
      apply: { world in
        world[0xe028] = World.new(5) | World.stage2Leaf
        world.command((0x2a | 1 << 32, (World.Block.old + 0x5000) | 1))
      }, completed: forbidOldDMA, verdict: lateDMA),
    Change(
      name: "TLBI_S2_IPA-nested", mode: .nested, address: 0x20_5000,
      prepare: { $0[0x5008] = World.Block.old | World.block },
      apply: { world in
        world[0xe028] = World.new(5) | World.stage2Leaf
        world.command((0x2a | 1 << 32, (World.Block.old + 0x5000) | 1), (0x10 | 1 << 32, 0))
      }, completed: forbidOldDMA, verdict: lateDMA),
    Change(
      name: "CFGI_CD", prepare: mapStage1,
      apply: { world in
        world[0x1008] = World.ram + 0x7000
        world.command((0x05 | 1 << 32, 1), (0x11 | 7 << 48, 0))
      }, completed: forbidOldDMA, verdict: lateDMA),
    Change(
      name: "CFGI_STE", prepare: mapStage1,
      apply: { world in
        world[0x40] = 1 | 5 << 1 | World.ram + 0x1040
        world.command((0x03 | 1 << 32, 1), (0x11 | 7 << 48, 0))
      }, completed: forbidOldDMA, verdict: lateDMA),
    Change(
      name: "CFGI_ALL", prepare: mapStage1,
      apply: { world in
        world[0x40] = 1
        world.command((0x04, 31))
      }, completed: forbidOldDMA, verdict: lateDMA, new: [.abort(event: 0)]),
    Change(
      name: "DVM", features: "BTM=1", prepare: mapStage1,
      apply: { world in
        world[0x6028] = World.new(5) | World.leaf
        world.broadcast(VSMMU_DVM_VA)
      }, completed: forbidOldDMA, verdict: lateDMA),
    // A piece of a block, by a CPU.
    Change(
      name: "DVM-piece", mode: .nested, features: "BTM=1", address: 0x20_5000,
      prepare: { $0[0x5008] = World.Block.old | World.block },
      apply: { world in
        world[0x5008] = World.Block.new | World.block
        world.broadcast(VSMMU_DVM_VA, vmid: 1, at: 0x20_0000)
      }, completed: forbidOldDMA, verdict: lateDMA),
    ]
  }
}

extension World {
  func broadcast(_ kind: UInt32, vmid: UInt32 = 0, at address: UInt64 = 0x5000) {
    var op = vsmmu_dvm_op()
    op.size = UInt32(MemoryLayout<vsmmu_dvm_op>.size)
    op.kind = kind
    op.vmid = vmid
    op.asid = 7
    op.address = address
    op.last = address + 0xfff
    expect(vsmmu_dvm(device, &op))
  }
}
