// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// A stage 1 block over smaller stage 2 pages is kept in pieces, and goes as one.
@Suite struct DividedLeafTests {
  private static let block: UInt64 = 0x8000_0000

  /// A 2 MiB stage 1 block over 4 KiB stage 2 pages, three of which were used.
  private func scene() -> Scene {
    let scene = Scene(.nested)
    scene.lower.map(Self.block, 0x30_0000_0000, level: 2, TableBuilder.stage1Leaf)
    for page in [0, 5, 511] as [UInt64] {
      let offset = page << 12
      scene.second.map(
        0x30_0000_0000 + offset, 0x5_0000_0000 + offset * 2, TableBuilder.stage2Leaf)
      #expect(scene.access(Self.block + offset).0.address == 0x5_0000_0000 + offset * 2)
      #expect(scene.access(Self.block + offset).0.length == 4096)
    }
    scene.lower.set(Self.block, level: 2, 0)
    #expect(scene.isFine(Self.block + 0x5000), "kept")
    return scene
  }

  private func expectGone(_ scene: Scene) {
    for page in [0, 5, 511] as [UInt64] {
      #expect(scene.event(Self.block + page << 12) == .translation)
    }
  }

  @Test("NH_VA of one address removes every piece of its block (T-345, T-387)")
  func byAddress() {
    let scene = scene()
    scene.guest.command((0x12 | 7 << 32 | 5 << 48, Self.block | 1), Guest.sync)
    expectGone(scene)
  }

  @Test("NH_VAA of another address of the block does too (R-306)")
  func byAnyAddress() {
    let scene = scene()
    scene.guest.command((0x13 | 7 << 32, Self.block + 0x10_0000 | 1), Guest.sync)
    expectGone(scene)
  }

  @Test("A range that touches the block removes all of it (T-365)")
  func byRange() {
    let scene = scene()
    // TG 4K, TTL 2, one page at the end of the block.
    let high = (Self.block + 0x1f_f000) | 1 << 10 | 2 << 8 | 1
    scene.guest.command((0x12 | 7 << 32 | 5 << 48, high), Guest.sync)
    expectGone(scene)
  }

  @Test("Who keeps copies is told of the whole block")
  func notice() {
    let scene = scene()
    _ = scene.guest.machine.takeStale()
    scene.guest.command((0x12 | 7 << 32 | 5 << 48, Self.block + 0x3000 | 1))
    let whole = AddressRange(first: Self.block, last: Self.block + 0x1f_ffff)
    #expect(scene.guest.machine.takeStale() == [.translations(.address(7, asid: 5, range: whole))])
  }
}
