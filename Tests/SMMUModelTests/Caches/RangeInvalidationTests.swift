// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// RIL: ranges of addresses, their ends, and hints of level (§4.4.1.1).
@Suite struct RangeInvalidationTests {
  typealias C = ContextDescriptor

  /// A stage 1 scene with pages at these addresses, all of them stale in the TLB.
  private func stale(_ scene: Scene, _ addresses: [UInt64]) {
    for address in addresses {
      let table = address >> 55 & 1 == 1 ? scene.higher : scene.lower
      table.map(address & ~0xfff, Scene.output, TableBuilder.stage1Leaf)
    }
    scene.invalidateAll()
    for address in addresses { #expect(scene.isFine(address)) }
    for address in addresses {
      let table = address >> 55 & 1 == 1 ? scene.higher : scene.lower
      table.map(address & ~0xfff, Scene.upperOutput, TableBuilder.stage1Leaf)
    }
  }

  private func removed(
    _ scene: Scene, _ addresses: [UInt64], _ low: UInt64, _ high: UInt64
  ) -> [UInt64] {
    stale(scene, addresses)
    scene.guest.command((low, high), Guest.sync)
    return addresses.filter { scene.access($0).0.address & ~0xfff == Scene.upperOutput }
  }

  @Test("A range is (NUM + 1) * 2^SCALE granules, its end exclusive (T-356, R-318)")
  func ranges() {
    let scene = Scene(.stage1)
    for (tg, shift) in [(1, 12), (2, 14), (3, 16)] as [(UInt64, UInt64)] {
      for (num, scale) in [(1, 0), (0, 1), (4, 0), (2, 3), (31, 2), (0, 5)] as [(UInt64, UInt64)] {
        let first: UInt64 = 0x10_0000, bytes = ((num + 1) << scale) << shift
        let addresses = [
          first - 0x1000, first, first + bytes - 0x1000, first + bytes, first + bytes / 2,
        ]
        let command = InvalidationTests.tlbi(0x12, asid: 5, num: num, scale: scale)
        let found = removed(
          scene, addresses, command, InvalidationTests.at(first, tg: tg))
        #expect(
          found == addresses.filter { $0 >= first && $0 < first + bytes },
          "TG \(tg) NUM \(num) SCALE \(scale)")
      }
    }
  }

  @Test("TG = 0 is one address, whatever NUM, SCALE and TTL say (T-357, R-317, R-322)")
  func noGranule() {
    let scene = Scene(.stage1)
    let command = InvalidationTests.tlbi(0x12, asid: 5, num: 31, scale: 9)
    let addresses = [0x10_0000, 0x10_1000] as [UInt64]
    let high = InvalidationTests.at(0x10_0000, ttl: 3)
    #expect(removed(scene, addresses, command, high) == [0x10_0000])
  }

  @Test("Without RIL the range fields are ignored (T-357)")
  func notOffered() {
    let scene = Scene(.stage1, StreamTableEntryTests.features { $0[.idr3, IDR3.ril] = 0 })
    let command = InvalidationTests.tlbi(0x12, asid: 5, num: 3, scale: 0)
    let addresses = [0x10_0000, 0x10_1000] as [UInt64]
    for tg in 0...3 as ClosedRange<UInt64> {
      let high = InvalidationTests.at(0x10_0000, tg: tg)
      #expect(removed(scene, addresses, command, high) == [0x10_0000])
    }
  }

  @Test("A wrong or missing level hint spares nothing (T-363, R-326)")
  func hints() {
    let scene = Scene(.stage1)
    let addresses = [0x10_0000, 0x10_1000] as [UInt64]
    for ttl in 0...3 as ClosedRange<UInt64> {
      let command = InvalidationTests.tlbi(0x12, asid: 5, num: 1)
      let high = InvalidationTests.at(0x10_0000, tg: 1, ttl: ttl)
      #expect(removed(scene, addresses, command, high) == addresses)
    }
  }

  @Test("Entries made with another granule go too where they overlap (T-358)")
  func otherGranule() {
    let scene = Scene(.stage1)
    let addresses = [0x10_0000, 0x10_4000, 0x11_0000] as [UInt64]
    let command = InvalidationTests.tlbi(0x12, asid: 5, num: 0, scale: 0)
    let high = InvalidationTests.at(0x10_0000, tg: 3, ttl: 3)
    #expect(removed(scene, addresses, command, high) == [0x10_0000, 0x10_4000])
  }

  @Test("One granule with a hint is as a single address (R-330)")
  func singleGranule() {
    let scene = Scene(.stage1)
    let addresses = [0x10_0000, 0x10_1000] as [UInt64]
    let command = InvalidationTests.tlbi(0x12, asid: 5)
    let high = InvalidationTests.at(0x10_0000, tg: 1, ttl: 3)
    #expect(removed(scene, addresses, command, high) == [0x10_0000])
  }

  @Test("A block with one byte in the range goes (T-365)")
  func overlap() {
    let scene = Scene(.stage1)
    for (first, isRemoved) in [
      (0x4020_0000 - 0x1000, true), (0x4040_0000 - 0x1000, true), (0x4040_0000, false),
      (0x4020_0000 - 0x3000, false),
    ] as [(UInt64, Bool)] {
      scene.lower.set(0x4020_0000, level: 2, 0x60_0000_0000 | TableBuilder.stage1Leaf | 1)
      scene.invalidateAll()
      #expect(scene.isFine(0x4020_0000))
      scene.lower.set(0x4020_0000, level: 2, 0x61_0000_0000 | TableBuilder.stage1Leaf | 1)
      let command = InvalidationTests.tlbi(0x12, asid: 5, num: 1)
      scene.guest.command((command, InvalidationTests.at(first, tg: 1)), Guest.sync)
      #expect(
        scene.access(0x4020_0000).0.address == (isRemoved ? 0x61_0000_0000 : 0x60_0000_0000),
        "\(String(first, radix: 16))")
    }
  }

  @Test("The largest range ends at the top and does not wrap (T-360, T-361, R-328)")
  func top() {
    let scene = Scene(.stage1)
    let addresses = [0, 0x10_0000, 0xffff_ff80_0000_0000, 0xffff_ffff_ffff_f000] as [UInt64]
    // From the upper half on.
    let command = InvalidationTests.tlbi(0x12, asid: 5, num: 31, scale: 31)
    let high = InvalidationTests.at(0xffff_ff80_0000_0000, tg: 3)
    #expect(removed(scene, addresses, command, high) == Array(addresses[2...]))
    // From 0: 2^52 bytes, all of the lower half and nothing of the upper.
    #expect(
      removed(scene, addresses, command, InvalidationTests.at(0, tg: 3)) == Array(addresses[..<2]))
    // One granule at the very top.
    let last = InvalidationTests.tlbi(0x12, asid: 5, num: 31, scale: 0)
    #expect(
      removed(scene, addresses, last, InvalidationTests.at(0xffff_ffff_ffff_f000, tg: 1))
        == [0xffff_ffff_ffff_f000])
  }

  @Test("SCALE has 5 bits without 52-bit addresses (R-321)")
  func scaleBits() {
    let scene = Scene(.stage1)
    let addresses = [0x10_0000, 0x10_1000, 0x10_2000] as [UInt64]
    // Bit 25 set: still SCALE 1.
    let command = InvalidationTests.tlbi(0x12, asid: 5, num: 0, scale: 33)
    let found = removed(scene, addresses, command, InvalidationTests.at(0x10_0000, tg: 1))
    #expect(found == [0x10_0000, 0x10_1000])
  }

  @Test("An address that TTL or the granule would have aligned is rounded outward (T-364, R-326)")
  func unaligned() {
    let scene = Scene(.stage1)
    let addresses = [0x1f_0000, 0x1f_f000, 0x20_0000, 0x20_f000, 0x21_0000] as [UInt64]
    // 64K granules from the last 4K page of one on: parts of two of them.
    let command = InvalidationTests.tlbi(0x12, asid: 5)
    let high = InvalidationTests.at(0x1f_f000, tg: 3, ttl: 2)
    let found = removed(scene, addresses, command, high)
    #expect(Set(found).isSuperset(of: [0x1f_f000, 0x20_0000]))
    #expect(!found.contains(0x21_0000))
  }

  @Test("Ranges of NH_VAA and S2_IPA are the same (T-356)")
  func otherCommands() {
    let scene = Scene(.stage1)
    let addresses = [0x10_0000, 0x10_1000, 0x10_2000] as [UInt64]
    let command = InvalidationTests.tlbi(0x13, num: 1)
    #expect(
      removed(scene, addresses, command, InvalidationTests.at(0x10_0000, tg: 1))
        == [0x10_0000, 0x10_1000])
    let second = Scene(.stage2)
    for address in addresses { second.second.map(address, Scene.output, TableBuilder.stage2Leaf) }
    for address in addresses { #expect(second.isFine(address)) }
    for address in addresses {
      second.second.map(address, Scene.upperOutput, TableBuilder.stage2Leaf)
    }
    second.guest.command(
      (InvalidationTests.tlbi(0x2a, vmid: 7, num: 1), InvalidationTests.at(0x10_0000, tg: 1)),
      Guest.sync)
    let found = addresses.filter { second.access($0).0.address == Scene.upperOutput }
    #expect(found == [0x10_0000, 0x10_1000])
  }

  @Test("A range without count, scale and hint is CERROR_ILL (T-359, R-319, R-320)")
  func illegal() {
    for (tg, ttl, isIllegal) in [
      (1, 0, true), (2, 0, true), (3, 0, true), (2, 1, true), (1, 1, false), (3, 1, false),
      (2, 2, false), (0, 0, false),
    ] as [(UInt64, UInt64, Bool)] {
      let scene = Scene(.stage1)
      let high = InvalidationTests.at(0x10_0000, tg: tg, ttl: ttl)
      scene.guest.command((InvalidationTests.tlbi(0x12, asid: 5), high))
      #expect((scene.guest["GERROR"] & 1 == 1) == isIllegal, "TG \(tg) TTL \(ttl)")
      if isIllegal { #expect(scene.guest["CMDQ_CONS"] >> 24 & 0x7f == 1) }
    }
  }

  @Test("The largest ranges cost no more than the cache has rows (R-329)")
  func cost() {
    let scene = Scene(.nested)
    #expect(scene.isFine())
    let time = processorSeconds {
      for _ in 0..<100 {
        for opcode in [0x12, 0x13, 0x2a] as [UInt64] {
          let command = InvalidationTests.tlbi(opcode, vmid: 7, asid: 5, num: 31, scale: 31)
          scene.guest.command((command, InvalidationTests.at(0, tg: 3)))
        }
      }
    }
    // 2^36 pages one by one would take hours.
    #expect(time < 20)
  }
}
