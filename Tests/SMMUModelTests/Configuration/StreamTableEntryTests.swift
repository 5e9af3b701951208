// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Every rule of §5.2.2 with a case on either side of it.
@Suite struct StreamTableEntryTests {
  typealias S = StreamTableEntry

  static func features(_ change: (inout Features) -> Void) -> Features {
    var f = Features.full
    change(&f)
    return f
  }

  /// Tries changed STEs in one scene.
  final class Trial {
    let scene: Scene
    let ste: StreamTableEntry
    init(_ mode: Scene.Mode, _ features: Features = .full) {
      scene = Scene(mode, features)
      ste = scene.ste
    }

    func event(_ change: (inout StreamTableEntry) -> Void) -> EventKind? {
      scene.ste = ste
      change(&scene.ste)
      scene.apply()
      _ = scene.guest.takeEvents()
      let (answer, records) = scene.access()
      if answer.event != nil {
        #expect(records.count <= 1)
        #expect(answer.kind == .abort)
      }
      return answer.event
    }

    func expect(
      _ expected: EventKind?, _ fields: [(Field, UInt64)],
      _ location: SourceLocation = #_sourceLocation
    ) {
      let found = event { ste in for (field, value) in fields { ste[field] = value } }
      #expect(
        found == expected, "\(fields.map { "\($0.0.name) = \($0.1)" })", sourceLocation: location)
    }

    func isLegal(_ fields: [(Field, UInt64)], _ location: SourceLocation = #_sourceLocation) {
      expect(nil, fields, location)
    }
    func isIllegal(_ fields: [(Field, UInt64)], _ location: SourceLocation = #_sourceLocation) {
      expect(.badSTE, fields, location)
    }
  }

  @Test("V = 0 is C_BAD_STE whatever else the STE holds (T-054)")
  func valid() {
    for mode in [Scene.Mode.bypass, .stage1, .stage2, .nested] {
      let trial = Trial(mode)
      trial.isLegal([])
      trial.isIllegal([(S.v, 0)])
      trial.isIllegal([(S.v, 0), (S.config, 0)])
    }
  }

  @Test("A stage that is not implemented is C_BAD_STE (T-055)")
  func stages() {
    let one = Trial(.stage1, Self.features { $0[.idr0, IDR0.s2p] = 0 })
    one.isLegal([])
    one.isIllegal([(S.config, 6)])
    one.isIllegal([(S.config, 7)])
    let two = Trial(.stage2, Self.features { $0[.idr0, IDR0.s1p] = 0 })
    two.isLegal([])
    two.isIllegal([(S.config, 5)])
    two.isIllegal([(S.config, 7)])
    two.isLegal([(S.config, 4)])
  }

  @Test("EATS does nothing while there is no ATS (T-059)")
  func ats() {
    for mode in [Scene.Mode.bypass, .stage1, .stage2, .nested] {
      let trial = Trial(mode)
      for eats in 0...3 as ClosedRange<UInt64> { trial.isLegal([(S.eats, eats)]) }
    }
  }

  @Test("Split-stage ATS needs both stages and NS1ATS = 0; what is reserved is as 0 (T-056, T-058)")
  func splitStageATS() {
    for noSplit in [0, 1] as [UInt32] {
      let features = Self.features {
        $0[.idr0, IDR0.ats] = 1
        $0[.idr0, IDR0.ns1ats] = noSplit
      }
      for mode in [Scene.Mode.bypass, .stage1, .stage2, .nested] {
        let trial = Trial(mode, features)
        for eats in [0, 1, 3] as [UInt64] { trial.isLegal([(S.eats, eats)]) }
        let isIgnored = mode == .bypass, isSplit = mode == .nested && noSplit == 0
        trial.expect(isIgnored || isSplit ? nil : .badSTE, [(S.eats, 2)])
      }
    }
  }

  @Test("With ATS stage 2 may not stall, as without (T-057)")
  func stallsAndATS() {
    let features = Self.features { $0[.idr0, IDR0.ats] = 1 }
    for mode in [Scene.Mode.stage2, .nested] {
      Trial(mode, features).isIllegal([(S.eats, 1), (S.s2s, 1)])
    }
    Trial(.stage1, features).isLegal([(S.eats, 1), (S.s2s, 1)])
  }

  @Test("STRW is ignored without EL2 streams (T-060)")
  func streamWorld() {
    for mode in [Scene.Mode.stage1, .stage2, .nested] {
      let trial = Trial(mode)
      for strw in 0...3 as ClosedRange<UInt64> { trial.isLegal([(S.strw, strw)]) }
    }
  }

  @Test("S1STALLD without stalls is illegal, but only with stage 1 (T-061)")
  func stallDisable() {
    Trial(.stage1).isIllegal([(S.s1stalld, 1)])
    Trial(.nested).isIllegal([(S.s1stalld, 1)])
    Trial(.stage2).isLegal([(S.s1stalld, 1)])
    Trial(.bypass).isLegal([(S.s1stalld, 1)])
  }

  @Test("S1CDMax beyond SSIDSIZE is illegal (T-062)")
  func contextCount() {
    let f = Self.features { $0[.idr1, IDR1.ssidsize] = 8 }
    let trial = Trial(.stage1, f)
    let table = trial.scene.guest.allocate(64 << 9, alignment: 64 << 9)
    trial.scene.guest.write(trial.scene.cd, at: table)
    let base: [(Field, UInt64)] = [(S.s1ContextPtr, table >> 6), (S.s1dss, 2)]
    trial.isLegal(base + [(S.s1cdMax, 8)])
    trial.isIllegal(base + [(S.s1cdMax, 9)])
    trial.isIllegal(base + [(S.s1cdMax, 31)])
  }

  @Test("With SSIDSIZE 0, S1CDMax, S1Fmt and S1DSS are ignored (T-063)")
  func noSubstreams() {
    let trial = Trial(.stage1, Self.features { $0[.idr1, IDR1.ssidsize] = 0 })
    for (max, format, mode) in [(31, 2, 0), (5, 1, 1), (1, 3, 2)] as [(UInt64, UInt64, UInt64)] {
      trial.isLegal([(S.s1cdMax, max), (S.s1fmt, format), (S.s1dss, mode)])
    }
    #expect(trial.scene.event(substream: 0) == .badSubstreamID)
  }

  @Test("Two-level CD tables without CD2L are illegal, S1Fmt 3 is not (T-064)")
  func twoLevels() {
    let f = Self.features { $0[.idr0, IDR0.cd2l] = 0 }
    let trial = Trial(.stage1, f)
    for format in 0...3 as ClosedRange<UInt64> {
      let fields: [(Field, UInt64)] = [(S.s1fmt, format), (S.s1dss, 2)]
      trial.isLegal(fields)
      trial.expect(
        format == 1 || format == 2 ? .badSTE : nil, fields + [(S.s1cdMax, 1)])
    }
  }

  @Test("S1ContextPtr beyond the output size is illegal with stage 1 alone (T-065, T-038)")
  func contextPointer() {
    let f = Self.features { $0[.idr5, IDR5.oas] = 4 }
    for mode in [Scene.Mode.stage1, .nested] {
      let trial = Trial(mode, f)
      trial.isLegal([])
      let context = trial.ste[S.s1ContextPtr]
      trial.isIllegal([(S.s1ContextPtr, context | 1 << (44 - 6))])
      trial.isIllegal([(S.s1ContextPtr, context | 1 << (55 - 6))])
    }
    Trial(.stage2, f).isLegal([(S.s1ContextPtr, .max)])
  }

  @Test("Stage 2 fields are not looked at without stage 2 (T-066, T-083, T-087)")
  func withoutStage2() {
    let garbage: [(Field, UInt64)] = [
      (S.s2tg, 3), (S.s2aa64, 0), (S.s2hd, 1), (S.s2ha, 1), (S.s2s, 1), (S.s2t0sz, 0),
      (S.s2sl0, 3), (S.s2ttb, .max), (S.s2endi, 1), (S.s2ps, 7),
    ]
    Trial(.stage1).isLegal(garbage)
    Trial(.bypass).isLegal(garbage)
    Trial(.stage2).isIllegal(garbage)
    Trial(.nested).isIllegal(garbage)
  }

  @Test("Stage 1 fields are not looked at without stage 1 (T-086)")
  func withoutStage1() {
    let garbage: [(Field, UInt64)] = [
      (S.s1cdMax, 31), (S.s1stalld, 1), (S.s1fmt, 3), (S.s1ContextPtr, .max), (S.s1dss, 3),
    ]
    Trial(.stage2).isLegal(garbage)
    Trial(.bypass).isLegal(garbage)
  }

  @Test("S2FWB without FWB is ignored (T-067)")
  func forcedWriteBack() {
    Trial(.stage2, Self.features { $0[.idr3, IDR3.fwb] = 0 }).isLegal([(S.s2fwb, 1)])
    Trial(.stage2).isLegal([(S.s2fwb, 1)])
  }

  @Test("S2S needs stalls, S2AA64 = 0 other tables, S2HA and S2HD HTTU (T-068, T-069, T-070)")
  func notBuilt() {
    for mode in [Scene.Mode.stage2, .nested] {
      let trial = Trial(mode)
      trial.isLegal([])
      trial.isIllegal([(S.s2s, 1)])
      trial.isIllegal([(S.s2aa64, 0)])
      trial.isIllegal([(S.s2ha, 1)])
      trial.isIllegal([(S.s2hd, 1)])
      trial.isIllegal([(S.s2ha, 1), (S.s2hd, 1)])
    }
  }

  @Test("S2HAFT, S2PIE and S2POE without their features are ignored (T-072)")
  func reservedFeatures() {
    let trial = Trial(.stage2)
    for field in [S.s2haft, S.s2pie, S.s2poe, S.s2ds, S.s2sl0Bit2] {
      trial.isLegal([(field, 1)])
    }
    trial.isLegal([(S.s2poi, 0x1111_1111_5555_5555), (S.s2hwu, 15), (S.s2poe, 1)])
  }

  @Test("S2DS and S2SL0_2 count for nothing without 52-bit addresses (T-085)")
  func noLargeAddresses() {
    let trial = Trial(.stage2)
    // The start level stays 1 and the page is still found.
    #expect(trial.event { $0[S.s2ds] = 1; $0[S.s2sl0Bit2] = 1 } == nil)
    #expect(trial.scene.access().0.address == Scene.output)
    // T0SZ 15 stays too small.
    trial.isIllegal([(S.s2ds, 1), (S.s2t0sz, 15), (S.s2sl0, 2)])
  }

  @Test("S2TG reserved or not offered is illegal (T-073)")
  func granules() {
    for (field, encoding, t0sz, sl0) in [
      (IDR5.gran4K, 0, 24, 1), (IDR5.gran64K, 1, 24, 1), (IDR5.gran16K, 2, 24, 1),
    ] as [(Field, UInt64, UInt64, UInt64)] {
      let geometry: [(Field, UInt64)] = [
        (S.s2tg, encoding), (S.s2t0sz, t0sz), (S.s2sl0, sl0), (S.s2ttb, 0x4000_0000 >> 4),
      ]
      let with = Trial(.stage2).event { ste in for (f, v) in geometry { ste[f] = v } }
      #expect(with != .badSTE)
      let without = Self.features { $0[.idr5, field] = 0 }
      Trial(.stage2, without).isIllegal(geometry)
    }
    Trial(.stage2).isIllegal([(S.s2tg, 3)])
  }

  @Test("S2TTB beyond the output size of stage 2 is illegal, its low bits are not (T-074, T-036)")
  func tableBase() {
    let trial = Trial(.stage2)
    let base = trial.scene.second.base
    trial.expect(.addressSize, [(S.s2ps, 0)])
    trial.isIllegal([(S.s2ps, 0), (S.s2ttb, (base | 1 << 32) >> 4)])
    trial.isIllegal([(S.s2ps, 4), (S.s2ttb, (base | 1 << 44) >> 4)])
    trial.isIllegal([(S.s2ps, 6), (S.s2ttb, (base | 1 << 48) >> 4)])
    trial.isIllegal([(S.s2ps, 6), (S.s2ttb, (base | 1 << 51) >> 4)])
    // Two concatenated tables: bits [12:4] do not count.
    trial.isLegal([(S.s2ttb, (base | 0x1ff0) >> 4)])
    #expect(trial.scene.access().0.address == Scene.output)
  }

  @Test("S2T0SZ beyond its bounds is illegal (T-075, T-076)")
  func inputSize() {
    typealias Row = (granule: UInt64, sl0: UInt64, t0sz: UInt64, isLegal: Bool, isSmall: Bool)
    let rows: [Row] = [
      (0, 2, 15, false, false), (0, 2, 16, true, true), (0, 0, 39, true, true),
      (0, 0, 40, true, false), (0, 3, 48, true, false), (0, 3, 49, false, false),
      (1, 2, 15, false, false), (1, 2, 16, true, true), (1, 0, 39, true, true),
      (1, 0, 40, true, false), (1, 0, 47, true, false), (1, 0, 48, false, false),
      (2, 2, 16, true, true), (2, 0, 48, true, false), (2, 0, 49, false, false),
      (2, 0, 40, true, false), (2, 0, 39, true, true), (0, 2, 0, false, false),
      (0, 3, 63, false, false),
    ]
    let large = Trial(.stage2)
    let small = Trial(.stage2, Self.features { $0[.idr3, IDR3.stt] = 0 })
    for row in rows {
      for (trial, isLegal) in [(large, row.isLegal), (small, row.isSmall)] {
        let found = trial.event { ste in
          ste[S.s2tg] = row.granule
          ste[S.s2sl0] = row.sl0
          ste[S.s2t0sz] = row.t0sz
          ste[S.s2ttb] = 0x4000_0000 >> 4
        }
        #expect((found != .badSTE) == isLegal, "\(row)")
      }
    }
    // The output size bounds the input: 44 bits.
    let narrow = Trial(.stage2, Self.features { $0[.idr5, IDR5.oas] = 4 })
    narrow.isIllegal([(S.s2t0sz, 19), (S.s2sl0, 2), (S.s2ttb, 0x4000_0000 >> 4)])
    let fits = narrow.event {
      $0[S.s2t0sz] = 20
      $0[S.s2sl0] = 2
      $0[S.s2ttb] = 0x4000_0000 >> 4
    }
    #expect(fits == .translation)
  }

  @Test("Every pair of S2SL0 and S2T0SZ is legal or not as table D8 has it (T-077)")
  func startLevels() {
    for oas in [0, 2, 3, 4, 5] as [UInt32] {
      let trial = Trial(.stage2, Self.features { $0[.idr5, IDR5.oas] = oas })
      let reference = ReferenceWalk(
        trial.scene.guest.smmu.features, streamTable: 0, streamBits: 8, read: { _ in nil })
      var legal = 0
      for granule in 0..<3 as Range<UInt64> {
        for sl0 in 0..<4 as Range<UInt64> {
          for t0sz in 0..<64 as Range<UInt64> {
            var ste = trial.ste
            ste[S.s2tg] = granule
            ste[S.s2sl0] = sl0
            ste[S.s2t0sz] = t0sz
            ste[S.s2ttb] = 0x4000_0000 >> 4
            let expected = reference.isLegal(ste: (0..<8).map { ste.words[$0] })
            #expect(
              ste.isValid(trial.scene.guest.smmu.features) == expected,
              "OAS \(oas) TG \(granule) SL0 \(sl0) T0SZ \(t0sz)")
            if expected { legal += 1 }
          }
        }
      }
      #expect(legal > 50)
    }
  }

  @Test("S2ENDI must be an endianness that TTENDIAN offers (T-078)")
  func endianness() {
    for (endian, little, big) in [
      (0, true, true), (2, true, false), (3, false, true),
    ] as [(UInt32, Bool, Bool)] {
      let trial = Trial(.stage2, Self.features { $0[.idr0, IDR0.ttendian] = endian })
      #expect((trial.event { $0[S.s2endi] = 0 } != .badSTE) == little)
      #expect((trial.event { $0[S.s2endi] = 1 } != .badSTE) == big)
    }
  }

  @Test("S2VMID of 16 bits needs VMID16, stage 1 alone included (T-081)")
  func machineID() {
    let f = Self.features { $0[.idr0, IDR0.vmid16] = 0 }
    for mode in [Scene.Mode.stage1, .stage2, .nested] {
      let trial = Trial(mode, f)
      trial.isLegal([(S.s2vmid, 0xff)])
      trial.isIllegal([(S.s2vmid, 0x100)])
      Trial(mode).isLegal([(S.s2vmid, 0x100)])
    }
    Trial(.bypass, f).isLegal([(S.s2vmid, 0x100)])
    let without = Self.features {
      $0[.idr0, IDR0.vmid16] = 0
      $0[.idr0, IDR0.s2p] = 0
    }
    Trial(.stage1, without).isLegal([(S.s2vmid, 0xffff)])
  }

  @Test("MPAM's fields are ignored without MPAM (T-082, T-118)")
  func partitions() {
    let trial = Trial(.nested)
    let outside = trial.scene.guest.machine.outside.lowerBound
    var reads = 0
    trial.scene.guest.machine.onRead = { _ in reads += 1 }
    trial.isLegal([(S.s1mpam, 1), (S.vmsPtr, .max)])
    trial.isLegal([(S.s1mpam, 1), (S.vmsPtr, outside >> 12)])
    #expect(reads == 0)
  }

  @Test("Values that are odd but no error (T-083, T-032)")
  func noErrors() {
    let trial = Trial(.nested)
    for ps in 0...7 as ClosedRange<UInt64> where ps >= 4 { trial.isLegal([(S.s2ps, ps)]) }
    for value in 0...3 as ClosedRange<UInt64> {
      trial.isLegal([(S.privcfg, value), (S.instcfg, value & 1)])
    }
    for value in 0...15 as ClosedRange<UInt64> { trial.isLegal([(S.mtcfg, 1), (S.memAttr, value)]) }
    for field in S.fields where "\(field.name)" == "IMPDEF" || "\(field.name)" == "SW_RESERVED" {
      trial.isLegal([(field, field.mask >> UInt64(field.low & 63))])
    }
    // T-021: reserved bits too.
    for field in S.fields where "\(field.name)" == "RES0" || "\(field.name)" == "SECURE" {
      trial.isLegal([(field, field.mask >> UInt64(field.low & 63))])
    }
  }

  @Test("CONT and DRE and the other hints change nothing (T-023)")
  func hints() {
    let trial = Trial(.stage1)
    for cont in 0...15 as ClosedRange<UInt64> { trial.isLegal([(S.cont, cont)]) }
    for field in [S.dre, S.dcp, S.ppar, S.mev] { trial.isLegal([(field, 1)]) }
  }

  @Test("A random STE is legal where the reference says so (T-021)")
  func random() {
    var random = SeededRandom("random STE", default: 11)
    var legal = 0
    for features in [Features.full, .linux] {
      let reference = ReferenceWalk(features, streamTable: 0, streamBits: 8, read: { _ in nil })
      for _ in 0..<20000 {
        var words = random.words(8)
        // What a blind guess would seldom hit.
        if random.chance(95) { put(&words, 0, 0, 1) }
        if random.chance(90) { put(&words, 91, 91, 0) }
        if random.chance(80) { put(&words, 185, 179, random.chance(30) ? 3 : 1) }
        if random.chance(90) { put(&words, 63, 59, UInt64(random.among(0...21))) }
        if random.chance(80) { put(&words, 55, 47, 0) }
        if random.chance(80) { put(&words, 247, 228, random.next() & 1) }
        let found = StreamTableEntry(
          words: [
            words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7],
          ])
        let expected = reference.isLegal(ste: words)
        #expect(found.isValid(features) == expected, "\(words)")
        if expected && words[0] >> 3 & 1 == 1 { legal += 1 }
      }
    }
    #expect(legal > 1000)
  }
}
