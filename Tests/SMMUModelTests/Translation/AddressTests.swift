// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Ranges of addresses, before and after the walk (§3.4).
@Suite struct AddressTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  static func features(_ change: (inout Features) -> Void) -> Features {
    StreamTableEntryTests.features(change)
  }

  @Test("Bypass passes the last byte below OAS and no further (T-026)")
  func bypass() {
    for (oas, bits) in [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48)]
      as [(UInt32, UInt64)]
    {
      let scene = Scene(.bypass, Self.features { $0[.idr5, IDR5.oas] = oas })
      #expect(scene.access((1 << bits) - 1).0.length == 1)
      for address in [1 << bits, 1 << 63, .max] as [UInt64] {
        #expect(scene.event(address) == .addressSize)
      }
    }
  }

  @Test("The edges of both halves, without a byte of wrap (T-042, T-131)")
  func edges() {
    let scene = Scene(.stage1)
    let top: UInt64 = 0x7f_ffff_f000
    scene.lower.map(0, 0x60_0000_0000, TableBuilder.stage1Leaf)
    scene.lower.map(top, 0x61_0000_0000, TableBuilder.stage1Leaf)
    scene.higher.map(0, 0x62_0000_0000, TableBuilder.stage1Leaf)
    scene.higher.map(top, 0x63_0000_0000, TableBuilder.stage1Leaf)
    #expect(scene.access(0).0.address == 0x60_0000_0000)
    #expect(scene.access(top | 0xfff).0.address == 0x61_0000_0fff)
    #expect(scene.access(0xffff_ff80_0000_0000).0.address == 0x62_0000_0000)
    #expect(scene.access(.max).0.address == 0x63_0000_0fff)
    #expect(scene.access(.max).0.length == 1)
    for address in [
      0x80_0000_0000, 0x7f_ffff_ffff_ffff, 0xffff_ff7f_ffff_ffff, 0xff80_0000_0000_0000,
      0x0080_0000_0000_0000, 0x0100_0000_0000_0000, 0xfeff_ffff_ffff_ffff,
    ] as [UInt64] {
      #expect(scene.event(address) == .translation, "\(String(address, radix: 16))")
    }
  }

  @Test("TBI0 and TBI1 are independent (T-043)")
  func topByte() {
    for (zero, one) in [(0, 0), (1, 0), (0, 1), (1, 1)] as [(UInt64, UInt64)] {
      let scene = Scene(.stage1)
      scene.change {
        $0.cd[C.tbi0] = zero
        $0.cd[C.tbi1] = one
      }
      for tag in [0x00, 0x01, 0x5a, 0x80, 0xff] as [UInt64] {
        let low = Scene.input | tag << 56
        let high = Scene.upper & ~(0xff << 56) | tag << 56
        #expect(scene.isFine(low) == (tag == 0 || zero == 1), "TBI0 \(zero) tag \(tag)")
        #expect(scene.isFine(high) == (tag == 0xff || one == 1), "TBI1 \(one) tag \(tag)")
      }
      // Bits below the tag stay range-checked.
      #expect(scene.event(Scene.input | 0xff << 56 | 1 << 40) == .translation)
    }
  }

  @Test("TBI means nothing to an access that skips stage 1 (T-044)")
  func topByteBypassed() {
    let scene = Scene(.stage1)
    scene.change {
      $0.cd[C.tbi0] = 1
      $0.ste[S.s1cdMax] = 1
      $0.ste[S.s1dss] = 1
    }
    #expect(scene.isFine(Scene.input))
    #expect(scene.event(Scene.input | 1 << 56) == .addressSize)
  }

  @Test("The halves may differ in granule and size (T-132)")
  func differentHalves() {
    let scene = Scene(.stage1)
    let lower = TableBuilder(scene.guest, .k64, inputBits: 42)
    let upper = TableBuilder(scene.guest, .k16, inputBits: 33)
    lower.map(0x3ff_fff0_0000, 0x60_0001_0000, TableBuilder.stage1Leaf)
    upper.map(0x1_0000_4000, 0x61_0000_4000, TableBuilder.stage1Leaf)
    scene.change {
      $0.cd[C.tg0] = 1
      $0.cd[C.t0sz] = 22
      $0.cd[C.ttb0] = lower.base >> 4
      $0.cd[C.tg1] = 1
      $0.cd[C.t1sz] = 31
      $0.cd[C.ttb1] = upper.base >> 4
    }
    #expect(scene.access(0x3ff_fff0_fedc).0.address == 0x60_0001_fedc)
    #expect(scene.access(0xffff_ffff_0000_7abc).0.address == 0x61_0000_7abc)
    #expect(scene.event(0xffff_fffe_0000_7abc) == .translation)
    #expect(scene.event(1 << 42) == .translation)
  }

  @Test("64 bits of address are looked at, and inputs end at 48 without 52-bit support (T-031)")
  func largestInput() {
    let scene = Scene(.stage1)
    let lower = TableBuilder(scene.guest, inputBits: 48)
    lower.map(0xffff_ffff_f000, 0x60_0000_0000, TableBuilder.stage1Leaf)
    lower.map(0, 0x61_0000_0000, TableBuilder.stage1Leaf)
    scene.change {
      $0.cd[C.t0sz] = 16
      $0.cd[C.ttb0] = lower.base >> 4
    }
    #expect(scene.isFine(0xffff_ffff_ffff))
    for bit in 48..<64 as Range<UInt64> { #expect(scene.event(1 << bit) == .translation) }
    // 64K granules: 52 bits of input need VAX.
    scene.change {
      $0.cd[C.t0sz] = 12
      $0.cd[C.tg0] = 1
    }
    #expect(scene.event(0) == .badCD)
  }

  @Test("A table address beyond IPS is F_ADDR_SIZE of stage 1 too (T-033)")
  func tableBeyondOutput() {
    let scene = Scene(.stage1)
    scene.cd[C.ips] = 1
    scene.lower.map(Scene.input, 0xf_0000_0000, TableBuilder.stage1Leaf)
    scene.apply()
    #expect(scene.isFine())
    scene.lower.mark(Scene.input, level: 2, set: 1 << 36)
    scene.invalidateAll()
    let (answer, records) = scene.access()
    #expect(answer.event == .addressSize)
    #expect(records[0][EventRecord.s2] == 0)
    let second = Scene(.stage2)
    second.ste[S.s2ps] = 1
    second.second.map(Scene.middle, 0xf_0000_0000, TableBuilder.stage2Leaf)
    second.apply()
    #expect(second.isFine())
    second.second.mark(Scene.middle, level: 2, set: 1 << 36)
    second.invalidateAll()
    #expect(second.event() == .addressSize)
  }

  @Test("Each output size is the last byte that passes, at both stages (T-032, T-033)")
  func outputSizes() {
    for (encoding, bits) in [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48)]
      as [(UInt64, UInt64)]
    {
      let first = Scene(.stage1), second = Scene(.stage2)
      first.cd[C.ips] = encoding
      second.ste[S.s2ps] = encoding
      let last: UInt64 = (1 << bits) - 0x1000
      first.lower.map(Scene.input, last, TableBuilder.stage1Leaf)
      second.second.map(Scene.middle, last, TableBuilder.stage2Leaf)
      first.apply()
      second.apply()
      #expect(first.access(Scene.input | 0xfff).0.address == (1 << bits) - 1)
      #expect(second.access(Scene.middle | 0xfff).0.address == (1 << bits) - 1)
      guard bits < 48 else { continue }
      first.lower.map(Scene.input, 1 << bits, TableBuilder.stage1Leaf)
      second.second.map(Scene.middle, 1 << bits, TableBuilder.stage2Leaf)
      first.invalidateAll()
      second.invalidateAll()
      #expect(first.event() == .addressSize)
      #expect(second.event() == .addressSize)
    }
  }

  @Test("Bits 51:48 of a 4K descriptor are no address and cannot fault (T-034)")
  func formatBits() {
    let scene = Scene(.stage1)
    scene.lower.mark(Scene.input, set: 0xf << 48)
    scene.lower.mark(Scene.input, level: 2, set: 0xf << 48)
    #expect(scene.access().0.address == Scene.output)
  }

  @Test("Bits 15:12 of a 64K descriptor are an address beyond any output (T-035)")
  func highBits64K() {
    for stage in [Scene.Mode.stage1, .stage2] {
      for level in [2, 3] {
        let scene = Scene(stage)
        let table = TableBuilder(scene.guest, .k64, inputBits: 40, start: 2)
        let leaf = stage == .stage1 ? TableBuilder.stage1Leaf : TableBuilder.stage2Leaf
        table.map(Scene.middle & 0xff_ffff_0000, 0x60_0001_0000, leaf)
        scene.change {
          $0.cd[C.tg0] = 1
          $0.cd[C.t0sz] = 24
          $0.cd[C.ttb0] = table.base >> 4
          $0.ste[S.s2tg] = 1
          $0.ste[S.s2ttb] = table.base >> 4
        }
        #expect(scene.access(Scene.middle).0.address == 0x60_0001_0000 | Scene.middle & 0xffff)
        table.mark(Scene.middle, level: level, set: 1 << 12)
        scene.invalidateAll()
        let (answer, records) = scene.access(Scene.middle)
        #expect(answer.event == .addressSize)
        #expect(records[0][EventRecord.s2] == (stage == .stage1 ? 0 : 1))
      }
    }
  }

  @Test("Stage 2 input ends at 2^(64 - S2T0SZ), before anything is read (T-161, T-030)")
  func stage2Input() {
    let scene = Scene(.stage2)
    scene.second.map(0xff_ffff_f000, Scene.output, TableBuilder.stage2Leaf)
    #expect(scene.isFine(0xff_ffff_ffff))
    scene.change { $0.ste[S.s2ttb] = $0.guest.machine.outside.lowerBound >> 4 }
    var reads = 0
    scene.guest.machine.onRead = { _ in reads += 1 }
    #expect(scene.event(1 << 40) == .translation)
    #expect(scene.event(1 << 47) == .translation)
    #expect(reads == 0)
    #expect(scene.event(0) == .translation)
    #expect(reads == 1)
  }

  @Test("An access is one translation, whatever its alignment (T-006)")
  func unaligned() {
    let scene = Scene(.stage1)
    let answer = scene.access(Scene.input | 0xfff).0
    #expect(answer.address == Scene.output | 0xfff)
    #expect(answer.length == 1)
  }
}
