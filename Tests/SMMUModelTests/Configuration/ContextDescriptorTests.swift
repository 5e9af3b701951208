// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Every rule of §5.4.2 with a case on either side of it.
@Suite struct ContextDescriptorTests {
  typealias C = ContextDescriptor

  final class Trial {
    let scene: Scene
    let cd: ContextDescriptor
    init(_ features: Features = .full, _ mode: Scene.Mode = .stage1) {
      scene = Scene(mode, features)
      cd = scene.cd
    }

    func event(_ change: (inout ContextDescriptor) -> Void) -> EventKind? {
      scene.cd = cd
      change(&scene.cd)
      scene.apply()
      _ = scene.guest.takeEvents()
      return scene.event()
    }

    func expect(
      _ expected: EventKind?, _ fields: [(Field, UInt64)],
      _ location: SourceLocation = #_sourceLocation
    ) {
      let found = event { cd in for (field, value) in fields { cd[field] = value } }
      #expect(
        found == expected, "\(fields.map { "\($0.0.name) = \($0.1)" })", sourceLocation: location)
    }

    func isLegal(_ fields: [(Field, UInt64)], _ location: SourceLocation = #_sourceLocation) {
      expect(nil, fields, location)
    }
    func isIllegal(_ fields: [(Field, UInt64)], _ location: SourceLocation = #_sourceLocation) {
      expect(.badCD, fields, location)
    }
  }

  static func features(_ change: (inout Features) -> Void) -> Features {
    StreamTableEntryTests.features(change)
  }

  @Test("V = 0 is C_BAD_CD, always recorded and aborted (T-097)")
  func valid() {
    let trial = Trial()
    trial.isLegal([])
    trial.isIllegal([(C.v, 0)])
    trial.isIllegal([(C.v, 0), (C.r, 0), (C.a, 0)])
    let (answer, records) = trial.scene.access()
    #expect(answer.kind == .abort)
    #expect(records.map { $0[EventRecord.number] } == [10])
  }

  @Test("A = 0 with TERM_MODEL = 1 is illegal (T-099)")
  func abortOnly() {
    Trial().isLegal([(C.a, 0)])
    let trial = Trial(Self.features { $0[.idr0, IDR0.termModel] = 1 })
    trial.isIllegal([(C.a, 0)])
    trial.isLegal([(C.a, 1)])
  }

  @Test("S, HA, HD and AA64 = 0 are illegal (T-100, T-102, T-103, T-397, T-398)")
  func notBuilt() {
    for mode in [Scene.Mode.stage1, .nested] {
      let trial = Trial(.full, mode)
      trial.isLegal([])
      trial.isIllegal([(C.s, 1)])
      trial.isIllegal([(C.ha, 1)])
      trial.isIllegal([(C.hd, 1)])
      trial.isIllegal([(C.ha, 1), (C.hd, 1)])
      trial.isIllegal([(C.aa64, 0)])
    }
  }

  @Test("ENDI must be offered, unless both halves are off (T-101)")
  func endianness() {
    for (endian, little, big) in [
      (0, true, true), (2, true, false), (3, false, true),
    ] as [(UInt32, Bool, Bool)] {
      let trial = Trial(Self.features { $0[.idr0, IDR0.ttendian] = endian })
      for (endi, isLegal) in [(0, little), (1, big)] as [(UInt64, Bool)] {
        #expect((trial.event { $0[C.endi] = endi } != .badCD) == isLegal)
        #expect(
          (trial.event {
            $0[C.endi] = endi
            $0[C.epd0] = 1
          } != .badCD) == isLegal)
        trial.expect(.translation, [(C.endi, endi), (C.epd0, 1), (C.epd1, 1)])
      }
    }
  }

  @Test("An ASID of 16 bits needs ASID16 (T-105)")
  func addressSpace() {
    Trial().isLegal([(C.asid, 0x100)])
    let trial = Trial(Self.features { $0[.idr0, IDR0.asid16] = 0 })
    trial.isLegal([(C.asid, 0xff)])
    trial.isIllegal([(C.asid, 0x100)])
    trial.isIllegal([(C.asid, 0x8000)])
  }

  @Test("TxSZ beyond its bounds is C_BAD_CD, never a translation fault (T-106, T-107)")
  func inputSize() {
    let small = Trial(Self.features { $0[.idr3, IDR3.stt] = 0 })
    let trial = Trial()
    for (name, size, granule, encodings) in [
      ("lower", C.t0sz, C.tg0, [0, 2, 1]), ("upper", C.t1sz, C.tg1, [2, 1, 3]),
    ] as [(String, Field, Field, [UInt64])] {
      for (index, most) in [48, 48, 47].enumerated() as EnumeratedSequence<[UInt64]> {
        for value in 0..<64 as Range<UInt64> {
          let fields: [(Field, UInt64)] = [(granule, encodings[index]), (size, value)]
          let isLegal = value >= 16 && value <= most
          let found = trial.event { cd in for (f, v) in fields { cd[f] = v } }
          #expect((found != .badCD) == isLegal, "\(name) \(index) \(value)")
          let other = small.event { cd in for (f, v) in fields { cd[f] = v } }
          #expect((other != .badCD) == (value >= 16 && value <= 39), "\(name) \(index) \(value)")
        }
      }
    }
  }

  @Test("TGx reserved or not offered is illegal (T-108)")
  func granules() {
    let trial = Trial()
    trial.isIllegal([(C.tg0, 3)])
    trial.isIllegal([(C.tg1, 0)])
    for (field, lower, upper) in [
      (IDR5.gran4K, 0, 2), (IDR5.gran16K, 2, 1), (IDR5.gran64K, 1, 3),
    ] as [(Field, UInt64, UInt64)] {
      let without = Self.features { $0[.idr5, field] = 0 }
      // One of the others for the half that is not looked at.
      let (otherLower, otherUpper): (UInt64, UInt64) = lower == 0 ? (2, 1) : (0, 2)
      let narrow = Trial(without)
      narrow.isIllegal([(C.tg0, lower), (C.tg1, otherUpper)])
      narrow.isIllegal([(C.tg0, otherLower), (C.tg1, upper)])
      #expect(
        narrow.event {
          $0[C.tg0] = otherLower
          $0[C.tg1] = otherUpper
        } != .badCD)
    }
  }

  @Test("TTBx beyond the output size of stage 1 is C_BAD_CD, never F_ADDR_SIZE (T-109, T-139)")
  func tableBase() {
    let trial = Trial()
    for (field, base) in [
      (C.ttb0, trial.scene.lower.base), (C.ttb1, trial.scene.higher.base),
    ] {
      for (ips, bits) in [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48)]
        as [(UInt64, UInt64)]
      {
        let below = trial.event {
          $0[C.ips] = ips
          $0[field] = (base | 1 << (bits - 1)) >> 4
        }
        #expect(below != .badCD, "IPS \(ips)")
        trial.isIllegal([(C.ips, ips), (field, (base | 1 << bits) >> 4)])
      }
      for ips in [5, 6, 7] as [UInt64] {
        trial.isIllegal([(C.ips, ips), (field, (base | 1 << 51) >> 4)])
      }
    }
  }

  @Test("IPS above the output size or reserved is capped, no error (T-032, T-114)")
  func outputSize() {
    let trial = Trial(Self.features { $0[.idr5, IDR5.oas] = 4 })
    let low: UInt64 = 0xfff_0000_0000
    trial.scene.lower.map(Scene.input, low, TableBuilder.stage1Leaf)
    for ips in 4...7 as ClosedRange<UInt64> {
      trial.isLegal([(C.ips, ips)])
      trial.isIllegal([(C.ips, ips), (C.ttb0, (trial.scene.lower.base | 1 << 44) >> 4)])
    }
    trial.scene.lower.map(Scene.input, 1 << 44, TableBuilder.stage1Leaf)
    trial.expect(.addressSize, [(C.ips, 7)])
  }

  @Test("Both live halves are checked on any use, a disabled one never (T-110, T-114)")
  func halves() {
    let trial = Trial()
    let lower: [(Field, UInt64)] = [(C.t0sz, 5), (C.tg0, 3), (C.ttb0, .max)]
    let upper: [(Field, UInt64)] = [(C.t1sz, 5), (C.tg1, 0), (C.ttb1, .max)]
    for fault in upper {
      trial.isIllegal([fault])
      trial.isLegal([fault, (C.epd1, 1)])
    }
    trial.isLegal(upper + [(C.epd1, 1)])
    for fault in lower {
      trial.isIllegal([fault])
      // This access is of the lower half.
      trial.expect(.translation, [fault, (C.epd0, 1)])
      #expect(trial.scene.access(Scene.upper).0.address == Scene.upperOutput)
    }
  }

  @Test("A TTB that stage 2 does not map matters only to a walk that reads it (T-111, T-332)")
  func unmappedTable() {
    let trial = Trial(.full, .nested)
    trial.isLegal([(C.ttb1, 0x7f_0000_0000 >> 4)])
    let (answer, records) = trial.scene.access(Scene.upper)
    #expect(answer.event == .translation)
    #expect(records[0][EventRecord.accessClass] == 1)
    #expect(records[0][EventRecord.ipa] << 12 == 0x7f_0000_0000)
  }

  @Test("Low bits of TTBx below the table's size do not count (T-115, T-114)")
  func tableAlignment() {
    let trial = Trial()
    trial.isLegal([(C.ttb0, (trial.scene.lower.base | 0xff0) >> 4)])
    #expect(trial.scene.access().0.address == Scene.output)
    // T0SZ 30: 34 bits from level 1 are 16 descriptors, 128 bytes.
    let guest = trial.scene.guest
    let table = TableBuilder(guest, inputBits: 34)
    table.map(Scene.input, 0x99_0000_0000, TableBuilder.stage1Leaf)
    trial.isLegal([(C.t0sz, 30), (C.ttb0, (table.base | 0x70) >> 4)])
    #expect(trial.scene.access().0.address == 0x99_0000_0000)
    // Bit 7 of the address counts.
    #expect(
      trial.event {
        $0[C.t0sz] = 30
        $0[C.ttb0] = (table.base | 0x80) >> 4
      } == .translation)
  }

  @Test("A disabled half is a translation fault, never C_BAD_CD (T-116)")
  func disabledHalf() {
    let trial = Trial()
    trial.isLegal([])
    trial.expect(.translation, [(C.epd0, 1)])
    let (_, records) = trial.scene.access()
    #expect(records[0][EventRecord.s2] == 0)
    #expect(records[0][EventRecord.accessClass] == 2)
    trial.isLegal([(C.epd1, 1)])
    #expect(trial.scene.event(Scene.upper) == .translation)
  }

  @Test("An entry of before EPDx was set serves no one (T-116)")
  func disabledHalfCached() {
    let trial = Trial()
    #expect(trial.scene.isFine())
    trial.scene.cd[C.epd0] = 1
    trial.scene.guest.write(trial.scene.cd, at: trial.scene.context)
    // CFGI alone: the TLB keeps its entry.
    trial.scene.guest.command((0x03 | 1 << 32, 1), Guest.sync)
    #expect(trial.scene.event() == .translation)
  }

  @Test("Bits of features that are not offered are ignored (T-114, T-021)")
  func reservedFeatures() {
    let trial = Trial()
    for field in [
      C.haft, C.e0pd0, C.e0pd1, C.epan, C.pnch, C.aie, C.ds, C.pie, C.uwxn, C.aset,
    ] {
      trial.isLegal([(field, 1)])
    }
    for field in C.fields {
      let name = "\(field.name)"
      guard
        ["RES0", "IMPDEF", "AMAIR0", "AMAIR1", "PARTID", "PMG", "NSCFG0", "NSCFG1"].contains(name)
          || name.hasPrefix("PII") || name.hasPrefix("HWU")
      else { continue }
      trial.isLegal([(field, field.mask >> UInt64(field.low & 63))])
    }
    Trial(Self.features { $0[.idr3, IDR3.had] = 0 }).isLegal([(C.had0, 1), (C.had1, 1)])
  }

  @Test("A random CD is legal where the reference says so (T-110)")
  func random() {
    var random = SeededRandom("random CD", default: 12)
    var legal = 0
    for features in [Features.full, .linux] {
      let reference = ReferenceWalk(features, streamTable: 0, streamBits: 8, read: { _ in nil })
      for _ in 0..<20000 {
        var words = random.words(8)
        if random.chance(95) { put(&words, 31, 31, 1) }
        if random.chance(90) { put(&words, 44, 41, 1) }
        if random.chance(70) { put(&words, 5, 0, UInt64(random.among(14...50))) }
        if random.chance(70) { put(&words, 21, 16, UInt64(random.among(14...50))) }
        if random.chance(70) { put(&words, 115, 96, random.next() & 1) }
        if random.chance(70) { put(&words, 179, 160, random.next() & 1) }
        let found = ContextDescriptor(
          words: [
            words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7],
          ])
        let expected = reference.isLegal(cd: words)
        #expect(found.isValid(features) == expected, "\(words)")
        if expected { legal += 1 }
      }
    }
    #expect(legal > 1000)
  }
}
