// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Chapter 13: types, hints and shareability, from what comes in to what goes out.
@Suite struct AttributeTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  static let writeBack = MemoryAttributes(mair: 0xff, shareability: 3)

  private func answer(
    _ scene: Scene, _ incoming: MemoryAttributes = AttributeTests.writeBack
  ) -> MemoryAttributes {
    scene.apply()
    let access = Access(
      stream: scene.stream, flags: [.attributes], address: scene.address, attributes: incoming)
    let answer = scene.guest.smmu.translate(access)
    #expect(answer.kind == .ok)
    return answer.attributes
  }

  @Test("What comes without attributes is write-back, allocating, non-shareable (T-280)")
  func defaults() {
    #expect(MemoryAttributes.incoming == MemoryAttributes(mair: 0xff, shareability: 0))
    let scene = Scene(.bypass)
    let access = Access(stream: 1, flags: [.attributes], address: 0)
    #expect(scene.guest.smmu.translate(access).attributes == .incoming)
  }

  @Test("SHCFG: non-shareable, incoming, outer, inner (T-284, R-094)")
  func shareability() {
    let scene = Scene(.bypass)
    for incoming in [0, 2, 3] as [UInt8] {
      for shcfg in 0...3 as ClosedRange<UInt64> {
        scene.ste[S.shcfg] = shcfg
        let expected = shcfg == 1 ? incoming : UInt8(shcfg)
        #expect(
          answer(scene, MemoryAttributes(mair: 0xff, shareability: incoming))
            == MemoryAttributes(mair: 0xff, shareability: expected))
        // T-287: not for Device, nor for Non-cacheable throughout.
        for mair in [0x00, 0x04, 0x44] as [UInt8] {
          #expect(
            answer(scene, MemoryAttributes(mair: mair, shareability: incoming))
              == MemoryAttributes(mair: mair, shareability: 2))
        }
      }
    }
  }

  @Test("Device memory comes as outer shareable, also where its type is overridden (§13.1.4)")
  func inconsistentInput() {
    let scene = Scene(.bypass)
    scene.ste[S.mtcfg] = 1
    scene.ste[S.memAttr] = 0xf
    for shareability in [0, 2, 3] as [UInt8] {
      #expect(
        answer(scene, MemoryAttributes(mair: 0x04, shareability: shareability))
          == MemoryAttributes(mair: 0xff, shareability: 2))
    }
  }

  /// Type of a stage 2 encoding without FWB as a MAIR byte with all hints (D8.6.5).
  static let stage2Types: [UInt8] = [
    0x00, 0x04, 0x08, 0x0c, 0x00, 0x44, 0x4b, 0x4f, 0x00, 0xb4, 0xbb, 0xbf, 0x00, 0xf4, 0xfb, 0xff,
  ]

  @Test("MTCFG replaces the type with MemAttr, fresh hints included (T-285, T-288, T-287, R-096)")
  func memoryType() {
    let scene = Scene(.bypass)
    scene.ste[S.mtcfg] = 1
    for (value, mair) in Self.stage2Types.enumerated() {
      scene.ste[S.memAttr] = UInt64(value)
      let isShared = mair < 0x10 || mair == 0x44
      for incoming in [0xff, 0xcc, 0xb4] as [UInt8] {
        #expect(
          answer(scene, MemoryAttributes(mair: incoming, shareability: 3))
            == MemoryAttributes(mair: replaced(incoming, mair), shareability: isShared ? 2 : 3),
          "MemAttr \(value)")
      }
      for incoming in [0x00, 0x44] as [UInt8] {
        #expect(
          answer(scene, MemoryAttributes(mair: incoming, shareability: 2))
            == MemoryAttributes(mair: mair, shareability: 2), "MemAttr \(value)")
      }
    }
    scene.ste[S.mtcfg] = 0
    #expect(answer(scene).mair == 0xff)
  }

  @Test("ALLOCCFG overrides hints of cacheable memory alone (T-286, R-095)")
  func allocation() {
    let scene = Scene(.bypass)
    for value in 0..<16 as Range<UInt64> {
      scene.ste[S.alloccfg] = value
      let hints = UInt8(value >> 1 & 3)
      // Transient is 0b01xx, and nothing without an allocation.
      let nibble: UInt8 =
        value & 8 == 0 ? 0xf : (value & 1 == 1 && hints != 0 ? 0x4 : 0xc) | hints
      #expect(answer(scene).mair == nibble << 4 | nibble, "ALLOCCFG \(value)")
      // Write-through: non-transient 0b10xx, transient 0b00xx.
      let through: UInt8 =
        value & 8 == 0 ? 0xb : (value & 1 == 1 && hints != 0 ? 0x0 : 0x8) | hints
      #expect(
        answer(scene, MemoryAttributes(mair: 0xbb, shareability: 3)).mair
          == through << 4 | through)
      for mair in [0x00, 0x0c, 0x44] as [UInt8] {
        #expect(answer(scene, MemoryAttributes(mair: mair, shareability: 3)).mair == mair)
      }
      // Outer cacheable alone.
      #expect(
        answer(scene, MemoryAttributes(mair: 0xf4, shareability: 3)).mair == nibble << 4 | 4)
    }
  }

  /// A MAIR byte of full allocation with the hints of the levels that came cacheable.
  private func replaced(_ incoming: UInt8, _ mair: UInt8) -> UInt8 {
    func level(_ old: UInt8, _ new: UInt8) -> UInt8 {
      old == 4 || new == 4 || mair < 0x10 ? new : new & 0xc | old & 3
    }
    return level(incoming >> 4, mair >> 4) << 4 | level(incoming & 15, mair & 15)
  }

  @Test("Without ATTR_TYPES_OVR the overrides of STE and GBPA do nothing (T-282, R-097)")
  func notOffered() {
    let f = StreamTableEntryTests.features { $0[.idr1, IDR1.attrTypesOvr] = 0 }
    let scene = Scene(.bypass, f)
    scene.ste[S.mtcfg] = 1
    scene.ste[S.memAttr] = 0
    scene.ste[S.alloccfg] = 8
    scene.ste[S.shcfg] = 2
    #expect(answer(scene) == Self.writeBack)
    scene.guest["CR0"] = 0xc
    scene.guest["GBPA"] = 1 << 31 | 2 << 12 | 8 << 8 | 1 << 4
    let access = Access(stream: 1, flags: [.attributes], address: 0, attributes: Self.writeBack)
    #expect(scene.guest.smmu.translate(access).attributes == Self.writeBack)
  }

  @Test("GBPA overrides while SMMUEN = 0, the STE while it is 1, never both (T-281, R-094)")
  func globalOverrides() {
    let scene = Scene(.bypass)
    scene.ste[S.mtcfg] = 1
    scene.ste[S.memAttr] = 0b0101
    scene.apply()
    let guest = scene.guest
    let access = Access(stream: 1, flags: [.attributes], address: 0, attributes: Self.writeBack)
    guest["CR0"] = 0xc
    for (value, mair) in Self.stage2Types.enumerated() {
      guest["GBPA"] = 1 << 31 | 1 << 12 | 1 << 4 | UInt64(value)
      #expect(guest.smmu.translate(access).attributes.mair == mair)
    }
    for shcfg in 0...3 as ClosedRange<UInt64> {
      guest["GBPA"] = 1 << 31 | shcfg << 12
      #expect(
        guest.smmu.translate(access).attributes.shareability == (shcfg == 1 ? 3 : UInt8(shcfg)))
    }
    guest["GBPA"] = 1 << 31 | 1 << 12 | 0xc << 8
    #expect(guest.smmu.translate(access).attributes.mair == 0xee)
    guest["CR0"] = 0xd
    #expect(guest.smmu.translate(access).attributes.mair == 0x44)
  }

  @Test("NSCFG means nothing to a Non-secure stream (T-291)")
  func security() {
    for mode in [Scene.Mode.bypass, .stage1, .stage2, .nested] {
      let scene = Scene(mode)
      let plain = answer(scene)
      for value in 1...3 as ClosedRange<UInt64> {
        scene.ste[S.nscfg] = value
        #expect(answer(scene) == plain)
      }
    }
  }

  @Test("Stage 1 replaces type and shareability by MAIR and the leaf (T-292, T-144)")
  func stage1() {
    let scene = Scene(.stage1)
    for index in 0..<8 as Range<UInt64> {
      for (mair, sh) in [(0xff, 3), (0xff, 0), (0xbb, 2), (0x44, 3), (0x08, 0)]
        as [(UInt64, UInt64)]
      {
        scene.cd[C.mair0] = 0x0c0c_0c0c
        scene.cd[C.mair1] = 0x0c0c_0c0c
        let field = index < 4 ? C.mair0 : C.mair1
        let shift = (index % 4) * 8
        scene.cd[field] = scene.cd[field] & ~(0xff << shift) | mair << shift
        scene.lower.mark(Scene.input, set: index << 2 | sh << 8, clear: 7 << 2 | 3 << 8)
        let isOuter = mair == 0x44 || mair < 0x10
        let expected = MemoryAttributes(mair: UInt8(mair), shareability: isOuter ? 2 : UInt8(sh))
        #expect(answer(scene) == expected)
        #expect(answer(scene, MemoryAttributes(mair: 0x04, shareability: 2)) == expected)
      }
    }
  }

  @Test("Hints of a cacheable input are combined with MAIR's (T-292, T-294)")
  func combinedHints() {
    let scene = Scene(.stage1)
    for hints in 0..<4 as Range<UInt8> {
      for own in 0..<4 as Range<UInt8> {
        scene.cd[C.mair0] = UInt64(0xcc | own << 4 | own)
        let both = hints & own
        let input = 0xcc | hints << 4 | hints
        #expect(
          answer(scene, MemoryAttributes(mair: input, shareability: 3)).mair
            == 0xcc | both << 4 | both)
        // A transient input makes it transient, if anything is allocated.
        let transient = 0x44 | hints << 4 | hints
        if hints != 0 {
          let expected = both == 0 ? 0xcc : 0x44 | both << 4 | both
          #expect(
            answer(scene, MemoryAttributes(mair: transient, shareability: 3)).mair == expected)
        }
        // A non-cacheable input has none to give.
        #expect(
          answer(scene, MemoryAttributes(mair: 0x44, shareability: 3)).mair
            == 0xcc | own << 4 | own)
      }
    }
  }

  @Test("Reserved MAIR bytes (T-293)")
  func reservedMAIR() {
    let scene = Scene(.stage1)
    for kind in 0..<4 as Range<UInt64> {
      for low in 0..<4 as Range<UInt64> {
        scene.cd[C.mair0] = kind << 2 | low
        #expect(answer(scene).mair == UInt8(kind << 2))
      }
    }
    // Inner 0b0000: write-through transient, allocating.
    for (mair, expected) in [(0xf0, 0xf3), (0x40, 0x43), (0xb0, 0xb3)] as [(UInt64, UInt8)] {
      scene.cd[C.mair0] = mair
      #expect(answer(scene).mair == expected)
    }
  }

  @Test("Shareability 0b01 acts as 0b00 (T-300)")
  func reservedShareability() {
    let scene = Scene(.stage1)
    scene.lower.mark(Scene.input, set: 1 << 8, clear: 3 << 8)
    #expect(answer(scene).shareability == 0)
  }

  /// Strength of a type: Device 0 to 3, then Non-cacheable, write-through, write-back.
  private func rank(_ nibble: UInt8) -> Int { nibble == 4 ? 0 : nibble & 0xc == 8 ? 1 : 2 }

  @Test("Stage 2 combines with the stronger type of each level (T-294, T-295, T-297, T-301)")
  func stage2() {
    let nibbles: [UInt8] = [4, 0xb, 0xf]
    var types: [UInt8] = [0x00, 0x04, 0x08, 0x0c]
    for outer in nibbles { for inner in nibbles { types.append(outer << 4 | inner) } }
    let scene = Scene(.nested)
    for one in types {
      for (value, two) in Self.stage2Types.enumerated() {
        scene.cd[C.mair0] = UInt64(one)
        scene.second.mark(Scene.middle, set: UInt64(value) << 2, clear: 0xf << 2)
        let expected: UInt8
        if one < 0x10 || two < 0x10 {
          expected = one < 0x10 && two < 0x10 ? min(one, two) : one < 0x10 ? one : two
        } else {
          let outer = nibbles[min(rank(one >> 4), rank(two >> 4))]
          let inner = nibbles[min(rank(one & 15), rank(two & 15))]
          expected = outer << 4 | inner
        }
        #expect(answer(scene).mair == expected, "\(one) \(value)")
      }
    }
  }

  @Test("Shareability combines to the wider, with S2FWB too (T-294, T-298)")
  func combinedShareability() {
    for forced in [0, 1] as [UInt64] {
      let scene = Scene(.nested)
      scene.ste[S.s2fwb] = forced
      scene.second.mark(Scene.middle, set: 7 << 2, clear: 0xf << 2)
      if forced == 0 { scene.second.mark(Scene.middle, set: 0xf << 2) }
      for one in [0, 2, 3] as [UInt64] {
        for two in [0, 2, 3] as [UInt64] {
          scene.lower.mark(Scene.input, set: one << 8, clear: 3 << 8)
          scene.second.mark(Scene.middle, set: two << 8, clear: 3 << 8)
          let expected: UInt8 = one == 2 || two == 2 ? 2 : one == 3 || two == 3 ? 3 : 0
          #expect(answer(scene) == MemoryAttributes(mair: 0xff, shareability: expected))
        }
      }
    }
  }

  @Test("S2FWB: Device, Non-cacheable, forced write-back, or stage 1's type (T-296)")
  func forcedWriteBack() {
    let scene = Scene(.nested)
    scene.ste[S.s2fwb] = 1
    for one in [0x00, 0x04, 0x08, 0x0c, 0x44, 0xbb, 0xff, 0x4f, 0xf4] as [UInt8] {
      scene.cd[C.mair0] = UInt64(one)
      for value in 0..<16 as Range<UInt8> where value & 7 != 4 {
        scene.second.mark(Scene.middle, set: UInt64(value) << 2, clear: 0xf << 2)
        let expected: UInt8 =
          switch value & 7 {
          case 0...3: one < 0x10 ? min(one, (value & 3) << 2) : (value & 3) << 2
          case 5: one < 0x10 ? one : 0x44
          case 6: 0xff
          default: one
          }
        #expect(answer(scene).mair == expected, "\(one) \(value)")
      }
    }
  }

  @Test("S2FWB is for stage 2 streams too, and only with FWB (T-298, T-067)")
  func forcedStage2() {
    let scene = Scene(.stage2)
    scene.second.mark(Scene.middle, set: 6 << 2, clear: 0xf << 2)
    for (mair, plain) in [(0xff, 0x4f), (0x04, 0x04), (0x44, 0x44)] as [(UInt8, UInt8)] {
      scene.ste[S.s2fwb] = 0
      let incoming = MemoryAttributes(mair: mair, shareability: 3)
      #expect(answer(scene, incoming).mair == (mair == 0xff ? 0x4b : plain))
      scene.ste[S.s2fwb] = 1
      #expect(answer(scene, incoming).mair == 0xff)
    }
    let without = Scene(.stage2, StreamTableEntryTests.features { $0[.idr3, IDR3.fwb] = 0 })
    without.second.mark(Scene.middle, set: 6 << 2, clear: 0xf << 2)
    without.ste[S.s2fwb] = 1
    #expect(answer(without).mair == 0x4b)
  }

  @Test("Hints pass stage 2, fresh ones where the input had none (T-297)")
  func passedHints() {
    let scene = Scene(.stage2)
    #expect(answer(scene, MemoryAttributes(mair: 0xdd, shareability: 3)).mair == 0xdd)
    #expect(answer(scene, MemoryAttributes(mair: 0x55, shareability: 3)).mair == 0x55)
    scene.ste[S.s2fwb] = 1
    scene.second.mark(Scene.middle, set: 6 << 2, clear: 0xf << 2)
    #expect(answer(scene, MemoryAttributes(mair: 0x44, shareability: 3)).mair == 0xff)
    #expect(answer(scene, MemoryAttributes(mair: 0xdd, shareability: 3)).mair == 0xdd)
  }

  @Test("Warm answers have the attributes of cold ones (T-322)")
  func warm() {
    var random = SeededRandom("warm attributes", default: 7)
    let scene = Scene(.nested)
    for _ in 0..<300 {
      scene.cd[C.mair0] = random.next()
      scene.lower.mark(
        Scene.input, set: random.next() & (3 << 8 | 7 << 2) & ~(4 << 2), clear: 3 << 8 | 7 << 2)
      scene.second.mark(
        Scene.middle, set: random.next() & (3 << 8 | 15 << 2), clear: 3 << 8 | 15 << 2)
      scene.ste[S.s2fwb] = random.next()
      scene.apply()
      let access = Access(
        stream: 1, flags: [.attributes], address: scene.address,
        attributes: MemoryAttributes(mair: UInt8(random.below(256)), shareability: 3))
      let cold = scene.guest.smmu.translate(access)
      let misses = scene.guest.smmu.counters[.tlbMisses]
      #expect(scene.guest.smmu.translate(access) == cold)
      #expect(scene.guest.smmu.counters[.tlbMisses] == misses)
    }
  }

  @Test("Who does not ask for attributes gets the default ones, warm or cold (T-280)")
  func notAsked() {
    for arrangement in [Scene.Mode.bypass, .stage1, .stage2, .nested] {
      let scene = Scene(arrangement)
      scene.ste[S.mtcfg] = 1
      scene.ste[S.shcfg] = 2
      scene.apply()
      let access = Access(stream: 1, address: scene.address, attributes: Self.writeBack)
      let cold = scene.guest.smmu.translate(access)
      #expect(cold.kind == .ok)
      #expect(cold.attributes == .incoming)
      #expect(scene.guest.smmu.translate(access) == cold)
    }
  }

  @Test("Outputs are canonical: Device and Non-cacheable are outer shareable (T-301)")
  func canonical() {
    for mair in 0...255 as ClosedRange<UInt8> {
      for sh in 0...3 as ClosedRange<UInt8> {
        let found = MemoryAttributes(mair: mair, shareability: sh).canonical
        if found.mair < 0x10 || found.mair == 0x44 {
          #expect(found.shareability == 2)
        } else {
          #expect(found.shareability == (sh == 1 ? 0 : sh))
          // A cacheable level without allocation is not transient.
          for nibble in [found.mair >> 4, found.mair & 15] {
            #expect(nibble != 0)
          }
        }
        #expect(found.canonical == found)
      }
    }
  }
}
