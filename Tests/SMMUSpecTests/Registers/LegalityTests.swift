// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

private struct Place: Hashable {
  let register: IdentificationRegister
  let high: Int
  let low: Int
  init(_ register: IdentificationRegister, _ field: Field) {
    self.register = register
    high = field.high
    low = field.low
  }
}

/// Shorthands for the fields of many rules.
private typealias Change = (IdentificationRegister, Field, UInt32)

@Suite("Legal ID registers")
struct LegalityTests {
  /// A plain and legal SMMUv3.1 of both stages.
  private var base: Features {
    var f = Features()
    for field in [IDR0.s1p, IDR0.s2p, IDR0.cohacc, IDR0.msi, IDR0.stLevel, IDR0.stallModel] {
      f[.idr0, field] = 1
    }
    f[.idr0, IDR0.ttf] = 2
    f[.idr1, IDR1.sidsize] = 16
    f[.idr1, IDR1.ssidsize] = 8
    f[.idr1, IDR1.cmdqs] = 10
    f[.idr1, IDR1.eventqs] = 10
    f[.idr3, IDR3.had] = 1
    f[.idr3, IDR3.xnx] = 1
    f[.idr5, IDR5.oas] = 5
    f[.idr5, IDR5.gran4K] = 1
    f[.idr5, IDR5.gran64K] = 1
    f[.aidr, AIDR.minor] = 1
    return f
  }

  /// The same with all that a later revision obliges to.
  private func revision(_ minor: UInt32) -> Features {
    var f = base
    f[.aidr, AIDR.minor] = minor
    if minor >= 2 {
      f[.idr0, IDR0.hyp] = 1
      for field in [IDR3.fwb, IDR3.ril, IDR3.bbml] { f[.idr3, field] = 1 }
    }
    if minor >= 3 {
      f[.idr3, IDR3.e0pd] = 1
      f[.idr3, IDR3.ptwnnc] = 1
    }
    if minor >= 4 {
      f[.idr3, IDR3.epan] = 1
      f[.idr3, IDR3.mteperm] = 1
    }
    return f
  }

  private func changed(_ features: Features, _ changes: [Change]) -> Features {
    var f = features
    for (register, field, value) in changes { f[register, field] = value }
    return f
  }

  /// Changes break the rule between two fields, and are what breaks it.
  private func breaks(
    _ features: Features, _ changes: [Change],
    _ a: (IdentificationRegister, Field), _ b: (IdentificationRegister, Field),
    _ location: SourceLocation = #_sourceLocation
  ) {
    let found = changed(features, changes).illegality
    let named = found.map { Set([Place($0.register, $0.field), Place($0.otherRegister, $0.other)]) }
    #expect(
      named == Set([Place(a.0, a.1), Place(b.0, b.1)]),
      "\(found.map { "\($0.field.name) \($0.demand) (\($0.other.name))" } ?? "legal")",
      sourceLocation: location)
  }

  private func isLegal(
    _ features: Features, _ changes: [Change] = [], _ location: SourceLocation = #_sourceLocation
  ) {
    let found = changed(features, changes).illegality
    #expect(
      found == nil, "\(found.map { "\($0.field.name) \($0.demand)" } ?? "")",
      sourceLocation: location)
  }

  @Test("each revision with its obligatory features is legal", arguments: 1...4)
  func revisions(minor: Int) { isLegal(revision(UInt32(minor))) }

  @Test("a stage must exist")
  func stages() {
    breaks(Features(), [(.idr0, IDR0.ttf, 2)], (.idr0, IDR0.s1p), (.idr0, IDR0.s2p))
  }

  @Test("features of the next revision are legal, of the one after it not (R-022)")
  func nextRevision() {
    let first: [Change] = [(.idr3, IDR3.xnx, 0), (.aidr, AIDR.minor, 0)]
    let second = [IDR3.fwb, IDR3.ril, IDR3.bbml, IDR3.stt, IDR3.mpam]
    for field in second {
      isLegal(base, [(.idr3, field, 1)])
      breaks(
        base, first + [(.idr3, field, 1)], (.idr3, field), (.aidr, AIDR.minor))
    }
    let third: [Change] = [
      (.idr3, IDR3.e0pd, 1), (.idr3, IDR3.ptwnnc, 1), (.idr1, IDR1.ecmdq, 1),
      (.idr0, IDR0.atsrecerr, 1), (.idr0, IDR0.rmeImpl, 1), (.idr3, IDR3.dpt, 1),
    ]
    let ats: [Change] = [(.idr0, IDR0.ats, 1)]
    for change in third {
      isLegal(revision(2), ats + [change])
      breaks(base, ats + [change], (change.0, change.1), (.aidr, AIDR.minor))
    }
    let fourth: [Change] = [
      (.idr3, IDR3.epan, 1), (.idr3, IDR3.mteperm, 1), (.idr3, IDR3.s1pi, 1),
      (.idr3, IDR3.s2pi, 1), (.idr3, IDR3.aie, 1), (.idr3, IDR3.pasidtt, 1),
      (.idr5, IDR5.ds, 1), (.idr0, IDR0.httu, 3),
    ]
    let wide: [Change] = [(.idr5, IDR5.vax, 1), (.idr0, IDR0.ats, 1)]
    for change in fourth {
      isLegal(revision(3), wide + [change])
      breaks(revision(2), wide + [change], (change.0, change.1), (.aidr, AIDR.minor))
    }
    isLegal(base, [(.idr0, IDR0.httu, 2)])
    let the: [Change] = [(.idr0, IDR0.s2p, 0), (.idr0, IDR0.hyp, 0), (.idr3, IDR3.the, 1)]
    breaks(revision(2), the, (.idr3, IDR3.the), (.aidr, AIDR.minor))
  }

  @Test("reserved encodings (R-023)")
  func encodings() {
    let cases: [Change] = [
      (.idr0, IDR0.ttf, 0), (.idr0, IDR0.stallModel, 3), (.idr0, IDR0.ttendian, 1),
      (.idr0, IDR0.stLevel, 2), (.idr0, IDR0.stLevel, 3), (.idr3, IDR3.bbml, 3),
      (.idr5, IDR5.vax, 3), (.aidr, AIDR.major, 1), (.aidr, AIDR.minor, 5),
    ]
    for change in cases {
      breaks(base, [change], (change.0, change.1), (change.0, change.1))
    }
    for endian: UInt32 in [0, 2, 3] { isLegal(base, [(.idr0, IDR0.ttendian, endian)]) }
    for model: UInt32 in [0, 1, 2] { isLegal(base, [(.idr0, IDR0.stallModel, model)]) }
  }

  @Test("what needs ATS or both stages (R-025)")
  func ats() {
    for field in [IDR0.pri, IDR0.atsrecerr, IDR0.ns1ats] {
      breaks(revision(2), [(.idr0, field, 1)], (.idr0, field), (.idr0, IDR0.ats))
      isLegal(revision(2), [(.idr0, field, 1), (.idr0, IDR0.ats, 1)])
    }
    let ns1ats: [Change] = [(.idr0, IDR0.ns1ats, 1), (.idr0, IDR0.ats, 1)]
    breaks(
      base, ns1ats + [(.idr0, IDR0.s2p, 0)], (.idr0, IDR0.ns1ats), (.idr0, IDR0.s2p))
    breaks(
      base, ns1ats + [(.idr0, IDR0.s1p, 0), (.idr3, IDR3.had, 0)], (.idr0, IDR0.ns1ats),
      (.idr0, IDR0.s1p))
  }

  @Test("VMW needs stage 2, HYP both stages (R-026)")
  func stageFeatures() {
    isLegal(base, [(.idr0, IDR0.vmw, 1)])
    breaks(
      base, [(.idr0, IDR0.vmw, 1), (.idr0, IDR0.s2p, 0)], (.idr0, IDR0.vmw), (.idr0, IDR0.s2p))
    isLegal(base, [(.idr0, IDR0.hyp, 1)])
    breaks(
      base, [(.idr0, IDR0.hyp, 1), (.idr0, IDR0.s2p, 0)], (.idr0, IDR0.hyp), (.idr0, IDR0.s2p))
    breaks(
      base, [(.idr0, IDR0.hyp, 1), (.idr0, IDR0.s1p, 0), (.idr3, IDR3.had, 0)],
      (.idr0, IDR0.hyp), (.idr0, IDR0.s1p))
  }

  @Test("v3.2 with both stages has HYP (R-027)")
  func hyp() {
    breaks(revision(2), [(.idr0, IDR0.hyp, 0)], (.idr0, IDR0.hyp), (.aidr, AIDR.minor))
    isLegal(revision(2), [(.idr0, IDR0.hyp, 0), (.idr0, IDR0.s2p, 0)])
  }

  @Test("VATOS needs ATOS and both stages (R-028)")
  func vatos() {
    breaks(base, [(.idr0, IDR0.vatos, 1)], (.idr0, IDR0.vatos), (.idr0, IDR0.atos))
    isLegal(base, [(.idr0, IDR0.vatos, 1), (.idr0, IDR0.atos, 1)])
    let both: [Change] = [(.idr0, IDR0.vatos, 1), (.idr0, IDR0.atos, 1)]
    breaks(base, both + [(.idr0, IDR0.s2p, 0)], (.idr0, IDR0.vatos), (.idr0, IDR0.s2p))
    breaks(
      base, both + [(.idr0, IDR0.s1p, 0), (.idr3, IDR3.had, 0)], (.idr0, IDR0.vatos),
      (.idr0, IDR0.s1p))
  }

  @Test("AArch32 tables exclude DPT and D128, and need 4K (R-030, R-046)")
  func aarch32() {
    isLegal(base, [(.idr0, IDR0.ttf, 3)])
    for ttf: UInt32 in [1, 3] {
      breaks(
        base, [(.idr0, IDR0.ttf, ttf), (.idr5, IDR5.gran4K, 0)], (.idr5, IDR5.gran4K),
        (.idr0, IDR0.ttf))
    }
    breaks(
      revision(3), [(.idr0, IDR0.ttf, 3), (.idr0, IDR0.ats, 1), (.idr3, IDR3.dpt, 1)],
      (.idr0, IDR0.ttf), (.idr3, IDR3.dpt))
    breaks(
      d128, [(.idr0, IDR0.ttf, 3)], (.idr0, IDR0.ttf), (.idr5, IDR5.d128))
  }

  @Test("sizes of identifiers and queues (R-031)")
  func sizes() {
    let limits: [Change] = [
      (.idr1, IDR1.sidsize, 32), (.idr1, IDR1.ssidsize, 20), (.idr1, IDR1.cmdqs, 19),
      (.idr1, IDR1.eventqs, 19), (.idr1, IDR1.priqs, 19),
    ]
    for (register, field, most) in limits {
      isLegal(base, [(register, field, most)])
      isLegal(base, [(register, field, 0)])
      breaks(base, [(register, field, most + 1)], (register, field), (register, field))
    }
    isLegal(base, [(.idr1, IDR1.sidsize, 6), (.idr0, IDR0.stLevel, 0)])
    breaks(
      base, [(.idr1, IDR1.sidsize, 7), (.idr0, IDR0.stLevel, 0)], (.idr1, IDR1.sidsize),
      (.idr0, IDR0.stLevel))
  }

  @Test("enhanced queues need coherence and MSIs, exclude presets, own IDR6 (R-032, R-047)")
  func enhancedQueues() {
    let f = revision(3)
    isLegal(f, [(.idr1, IDR1.ecmdq, 1), (.idr6, IDR6.log2NumQ, 8), (.idr6, IDR6.log2NumP, 8)])
    for field in [IDR0.cohacc, IDR0.msi] {
      breaks(
        f, [(.idr1, IDR1.ecmdq, 1), (.idr0, field, 0)], (.idr1, IDR1.ecmdq), (.idr0, field))
    }
    breaks(
      f, [(.idr1, IDR1.ecmdq, 1), (.idr1, IDR1.queuesPreset, 1)], (.idr1, IDR1.ecmdq),
      (.idr1, IDR1.queuesPreset))
    for field in [IDR6.log2NumQ, IDR6.log2NumP] {
      breaks(f, [(.idr6, field, 1)], (.idr6, field), (.idr1, IDR1.ecmdq))
      breaks(f, [(.idr1, IDR1.ecmdq, 1), (.idr6, field, 9)], (.idr6, field), (.idr6, field))
    }
  }

  @Test("REL needs something preset (R-033)")
  func relative() {
    breaks(base, [(.idr1, IDR1.rel, 1)], (.idr1, IDR1.rel), (.idr1, IDR1.tablesPreset))
    isLegal(base, [(.idr1, IDR1.rel, 1), (.idr1, IDR1.tablesPreset, 1)])
    isLegal(base, [(.idr1, IDR1.rel, 1), (.idr1, IDR1.queuesPreset, 1)])
  }

  @Test("IDR2 is zero without VATOS (R-034)")
  func idr2() {
    breaks(base, [(.idr2, IDR2.baVATOS, 1)], (.idr2, IDR2.baVATOS), (.idr0, IDR0.vatos))
    isLegal(
      base, [(.idr2, IDR2.baVATOS, 1), (.idr0, IDR0.vatos, 1), (.idr0, IDR0.atos, 1)])
  }

  @Test("HAD follows stage 1, PBHA needs HAD (R-035)")
  func had() {
    breaks(base, [(.idr0, IDR0.s1p, 0)], (.idr3, IDR3.had), (.idr0, IDR0.s1p))
    breaks(base, [(.idr3, IDR3.had, 0)], (.idr3, IDR3.had), (.aidr, AIDR.minor))
    isLegal(base, [(.idr3, IDR3.had, 0), (.idr3, IDR3.xnx, 0), (.aidr, AIDR.minor, 0)])
    isLegal(base, [(.idr3, IDR3.pbha, 1)])
    breaks(
      base, [(.idr3, IDR3.pbha, 1), (.idr3, IDR3.had, 0), (.aidr, AIDR.minor, 0)],
      (.idr3, IDR3.pbha), (.idr3, IDR3.had))
  }

  @Test("XNX is there with stage 2 from v3.1 on (R-036)")
  func xnx() {
    breaks(base, [(.idr3, IDR3.xnx, 0)], (.idr3, IDR3.xnx), (.aidr, AIDR.minor))
    isLegal(base, [(.idr3, IDR3.xnx, 0), (.aidr, AIDR.minor, 0)])
    isLegal(base, [(.idr3, IDR3.xnx, 0), (.idr0, IDR0.s2p, 0)])
  }

  @Test("v3.0 reserves XNX, PBHA, VAX and 52 bits by name, §2.9 or not; v3.3 56 bits (R-036)")
  func reservedByName() {
    let first: [Change] = [(.idr3, IDR3.xnx, 0), (.aidr, AIDR.minor, 0)]
    isLegal(base, first)
    let reserved: [Change] = [
      (.idr3, IDR3.xnx, 1), (.idr3, IDR3.pbha, 1), (.idr5, IDR5.vax, 1), (.idr5, IDR5.oas, 6),
    ]
    for change in reserved {
      isLegal(base, [change])
      breaks(base, first + [change], (change.0, change.1), (.aidr, AIDR.minor))
    }
    let large: [Change] = [(.idr5, IDR5.oas, 7), (.aidr, AIDR.minor, 3)]
    breaks(d128, large, (.idr5, IDR5.oas), (.aidr, AIDR.minor))
  }

  @Test("v3.2 has FWB, RIL and BBML (R-037)")
  func second() {
    for field in [IDR3.fwb, IDR3.ril, IDR3.bbml] {
      breaks(revision(2), [(.idr3, field, 0)], (.idr3, field), (.aidr, AIDR.minor))
    }
    isLegal(revision(2), [(.idr3, IDR3.bbml, 2)])
  }

  @Test("v3.3 has E0PD, and PTWNNC exactly with stage 2 (R-038)")
  func third() {
    breaks(revision(3), [(.idr3, IDR3.e0pd, 0)], (.idr3, IDR3.e0pd), (.aidr, AIDR.minor))
    breaks(revision(3), [(.idr3, IDR3.ptwnnc, 0)], (.idr3, IDR3.ptwnnc), (.aidr, AIDR.minor))
    let without: [Change] = [(.idr0, IDR0.s2p, 0), (.idr0, IDR0.hyp, 0)]
    breaks(revision(3), without, (.idr3, IDR3.ptwnnc), (.idr0, IDR0.s2p))
    isLegal(revision(3), without + [(.idr3, IDR3.ptwnnc, 0)])
  }

  @Test("v3.4 has EPAN, and MTEPERM exactly with stage 2 (R-039)")
  func fourth() {
    breaks(revision(4), [(.idr3, IDR3.epan, 0)], (.idr3, IDR3.epan), (.aidr, AIDR.minor))
    breaks(revision(4), [(.idr3, IDR3.mteperm, 0)], (.idr3, IDR3.mteperm), (.aidr, AIDR.minor))
    let without: [Change] = [
      (.idr0, IDR0.s2p, 0), (.idr0, IDR0.hyp, 0), (.idr3, IDR3.ptwnnc, 0),
    ]
    breaks(revision(4), without, (.idr3, IDR3.mteperm), (.idr0, IDR0.s2p))
    isLegal(revision(4), without + [(.idr3, IDR3.mteperm, 0)])
  }

  @Test("PPS, PASIDTT and DPT need what they build on (R-040)")
  func pasids() {
    let ats: [Change] = [(.idr0, IDR0.ats, 1), (.idr0, IDR0.pri, 1)]
    let f = revision(3)
    isLegal(f, ats + [(.idr3, IDR3.pps, 1), (.idr3, IDR3.pasidtt, 1), (.idr3, IDR3.dpt, 1)])
    breaks(base, [(.idr3, IDR3.pps, 1)], (.idr3, IDR3.pps), (.idr0, IDR0.pri))
    breaks(base, [(.idr3, IDR3.pasidtt, 1)], (.idr3, IDR3.pasidtt), (.idr0, IDR0.ats))
    breaks(base, [(.idr3, IDR3.dpt, 1)], (.idr3, IDR3.dpt), (.idr0, IDR0.ats))
    for field in [IDR3.pps, IDR3.pasidtt] {
      breaks(
        base, ats + [(.idr3, field, 1), (.idr1, IDR1.ssidsize, 0)], (.idr3, field),
        (.idr1, IDR1.ssidsize))
    }
  }

  @Test("permission indirection needs its stage (R-041)")
  func indirection() {
    let only2: [Change] = [(.idr0, IDR0.s1p, 0), (.idr0, IDR0.hyp, 0), (.idr3, IDR3.had, 0)]
    for field in [IDR3.s1pi, IDR3.aie, IDR3.the] {
      breaks(revision(4), only2 + [(.idr3, field, 1)], (.idr3, field), (.idr0, IDR0.s1p))
    }
    let only1: [Change] = [
      (.idr0, IDR0.s2p, 0), (.idr0, IDR0.hyp, 0), (.idr3, IDR3.ptwnnc, 0),
      (.idr3, IDR3.mteperm, 0),
    ]
    breaks(revision(4), only1 + [(.idr3, IDR3.s2pi, 1)], (.idr3, IDR3.s2pi), (.idr0, IDR0.s2p))
    breaks(revision(4), [(.idr3, IDR3.s2po, 1)], (.idr3, IDR3.s2po), (.idr3, IDR3.s2pi))
    breaks(revision(4), [(.idr3, IDR3.the, 1)], (.idr3, IDR3.the), (.idr3, IDR3.s2pi))
    isLegal(revision(4), [(.idr3, IDR3.the, 1), (.idr3, IDR3.s2pi, 1)])
    isLegal(revision(4), only1 + [(.idr3, IDR3.the, 1)])
  }

  private var d128: Features {
    changed(
      revision(4),
      [
        (.idr5, IDR5.d128, 1), (.idr3, IDR3.s1pi, 1), (.idr3, IDR3.s2pi, 1),
        (.idr3, IDR3.s2po, 1), (.idr3, IDR3.aie, 1),
      ])
  }

  @Test("128-bit descriptors need their companions (R-042)")
  func longDescriptors() {
    isLegal(d128)
    for field in [IDR3.s1pi, IDR3.s2po, IDR3.aie] {
      breaks(d128, [(.idr3, field, 0)], (.idr5, IDR5.d128), (.idr3, field))
    }
    breaks(
      d128, [(.idr3, IDR3.mteperm, 0), (.aidr, AIDR.minor, 3)], (.idr5, IDR5.d128),
      (.idr3, IDR3.mteperm))
    breaks(
      d128, [(.idr3, IDR3.s2pi, 0), (.idr3, IDR3.s2po, 0)], (.idr5, IDR5.d128),
      (.idr3, IDR3.s2po))
  }

  @Test("STALL_MAX is zero without stalls (R-043)")
  func stallMax() {
    breaks(base, [(.idr5, IDR5.stallMax, 1)], (.idr5, IDR5.stallMax), (.idr0, IDR0.stallModel))
    isLegal(base, [(.idr5, IDR5.stallMax, 1), (.idr0, IDR0.stallModel, 0)])
  }

  @Test("larger addresses need larger granules, DS or D128 (R-044, R-045)")
  func addresses() {
    isLegal(base, [(.idr5, IDR5.vax, 1)])
    breaks(
      base, [(.idr5, IDR5.vax, 1), (.idr5, IDR5.gran64K, 0)], (.idr5, IDR5.vax),
      (.idr5, IDR5.gran64K))
    let f = revision(3)
    isLegal(f, [(.idr5, IDR5.vax, 1), (.idr5, IDR5.gran64K, 0), (.idr5, IDR5.ds, 1)])
    breaks(revision(4), [(.idr5, IDR5.vax, 2)], (.idr5, IDR5.vax), (.idr5, IDR5.d128))
    isLegal(d128, [(.idr5, IDR5.vax, 2)])
    breaks(f, [(.idr5, IDR5.ds, 1)], (.idr5, IDR5.ds), (.idr5, IDR5.vax))
    breaks(
      f, [(.idr5, IDR5.ds, 1), (.idr5, IDR5.vax, 1), (.idr5, IDR5.gran4K, 0)],
      (.idr5, IDR5.ds), (.idr5, IDR5.vax))
    isLegal(base, [(.idr5, IDR5.oas, 6)])
    breaks(
      base, [(.idr5, IDR5.oas, 6), (.idr5, IDR5.gran64K, 0)], (.idr5, IDR5.oas),
      (.idr5, IDR5.gran64K))
    breaks(revision(4), [(.idr5, IDR5.oas, 7)], (.idr5, IDR5.oas), (.idr5, IDR5.d128))
    isLegal(d128, [(.idr5, IDR5.oas, 7)])
    breaks(
      base, [(.idr5, IDR5.gran4K, 0), (.idr5, IDR5.gran64K, 0)], (.idr5, IDR5.gran4K),
      (.idr5, IDR5.gran64K))
  }
}
