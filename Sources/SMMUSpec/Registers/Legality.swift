// SPDX-License-Identifier: MIT
// Which sets of ID registers the architecture allows: §2.9 and the field texts of §6.3.1 to §6.3.6.

/// A broken rule about ID fields: what disagrees with what, and the demand.
public struct Illegality: Equatable, Sendable {
  public enum Demand: Sendable {
    /// The field is not allowed while the other is 0.
    case companion
    /// In words that fit behind the names and values of both.
    case rule(StaticString)
  }

  private let broken: Place
  private let companion: Place
  public let demand: Demand

  fileprivate init(_ broken: Place, _ other: Place, _ demand: Demand) {
    self.broken = broken
    companion = other
    self.demand = demand
  }

  fileprivate init(_ broken: Place, _ other: Place, _ rule: StaticString) {
    self.init(broken, other, .rule(rule))
  }

  public var register: IdentificationRegister { broken.register }
  public var field: Field { broken.field }
  public var otherRegister: IdentificationRegister { companion.register }
  public var other: Field { companion.field }

  public static func == (a: Illegality, b: Illegality) -> Bool {
    a.broken == b.broken && a.companion == b.companion
  }
}

/// A field of an ID register, without its name: tables of places are small.
private struct Place: Equatable {
  let register: IdentificationRegister
  let high: UInt8
  let low: UInt8

  @inline(__always)
  init(_ register: IdentificationRegister, _ field: Field) {
    self.register = register
    high = UInt8(truncatingIfNeeded: field.high)
    low = UInt8(truncatingIfNeeded: field.low)
  }

  var field: Field {
    for field in register.fields where field.low == Int(low) { return field }
    return Field("", Int(high), Int(low))
  }
}

extension Features {
  /// The first rule that this set of ID registers breaks, or nil if it is legal.
  public var illegality: Illegality? {
    @export(interface) get {
      encodingIllegality ?? dependencyIllegality ?? sizeIllegality ?? revisionIllegality
        ?? addressIllegality ?? extensionIllegality
    }
  }

  @inline(never)
  private func value(_ place: Place) -> UInt32 {
    UInt32(truncatingIfNeeded: UInt64(self[place.register])[Int(place.high), Int(place.low)])
  }

  /// Reserved encodings and sizes (§6.3.1 to §6.3.8): a field, its largest value, why.
  private var encodingIllegality: Illegality? {
    let limits: [(Place, UInt32, StaticString)] = [
      (Place(.idr0, IDR0.stallModel), 2, "3 is reserved"),
      (Place(.idr0, IDR0.stLevel), 1, "0 and 1 are defined"),
      (Place(.idr1, IDR1.sidsize), 32, "it is 32 at most"),
      (Place(.idr1, IDR1.ssidsize), 20, "it is 20 at most"),
      (Place(.idr1, IDR1.cmdqs), 19, "it is 19 at most"),
      (Place(.idr1, IDR1.eventqs), 19, "it is 19 at most"),
      (Place(.idr1, IDR1.priqs), 19, "it is 19 at most"),
      (Place(.idr3, IDR3.bbml), 2, "0 to 2 are defined"),
      (Place(.idr5, IDR5.vax), 2, "0 to 2 are defined"),
      (Place(.idr6, IDR6.log2NumQ), 8, "it is 8 at most"),
      (Place(.idr6, IDR6.log2NumP), 8, "it is 8 at most"),
      (Place(.aidr, AIDR.major), 0, "0 is SMMUv3"),
      (Place(.aidr, AIDR.minor), 4, "0 to 4 are defined"),
    ]
    for (place, most, demand) in limits where value(place) > most {
      return Illegality(place, place, demand)
    }
    let ttf = Place(.idr0, IDR0.ttf), ttendian = Place(.idr0, IDR0.ttendian)
    if value(ttf) == 0 { return Illegality(ttf, ttf, "0 is reserved") }
    if value(ttendian) == 1 { return Illegality(ttendian, ttendian, "1 is reserved") }
    return nil
  }

  /// What exists only with something else (§6.3.1 to §6.3.6, §6.3.45).
  private var dependencyIllegality: Illegality? {
    let s1p = Place(.idr0, IDR0.s1p), s2p = Place(.idr0, IDR0.s2p)
    let ats = Place(.idr0, IDR0.ats), ssidsize = Place(.idr1, IDR1.ssidsize)
    let ecmdq = Place(.idr1, IDR1.ecmdq), s2pi = Place(.idr3, IDR3.s2pi)
    if value(s1p) == 0 && value(s2p) == 0 { return Illegality(s1p, s2p, "a stage must exist") }
    let needs: [(Place, Place)] = [
      (Place(.idr0, IDR0.vmw), s2p), (Place(.idr3, IDR3.s2pi), s2p),
      (Place(.idr3, IDR3.ptwnnc), s2p), (Place(.idr3, IDR3.mteperm), s2p),
      (Place(.idr3, IDR3.had), s1p), (Place(.idr3, IDR3.s1pi), s1p),
      (Place(.idr3, IDR3.aie), s1p), (Place(.idr3, IDR3.the), s1p),
      (Place(.idr0, IDR0.hyp), s1p), (Place(.idr0, IDR0.hyp), s2p),
      (Place(.idr0, IDR0.ns1ats), s1p), (Place(.idr0, IDR0.ns1ats), s2p),
      (Place(.idr0, IDR0.vatos), s1p), (Place(.idr0, IDR0.vatos), s2p),
      (Place(.idr0, IDR0.vatos), Place(.idr0, IDR0.atos)),
      (Place(.idr2, IDR2.baVATOS), Place(.idr0, IDR0.vatos)),
      (Place(.idr0, IDR0.pri), ats), (Place(.idr0, IDR0.atsrecerr), ats),
      (Place(.idr0, IDR0.ns1ats), ats), (Place(.idr3, IDR3.pasidtt), ats),
      (Place(.idr3, IDR3.dpt), ats), (Place(.idr3, IDR3.pasidtt), ssidsize),
      (Place(.idr3, IDR3.pps), Place(.idr0, IDR0.pri)), (Place(.idr3, IDR3.pps), ssidsize),
      (Place(.idr3, IDR3.pbha), Place(.idr3, IDR3.had)), (Place(.idr3, IDR3.s2po), s2pi),
      (ecmdq, Place(.idr0, IDR0.cohacc)), (ecmdq, Place(.idr0, IDR0.msi)),
      (Place(.idr6, IDR6.log2NumQ), ecmdq), (Place(.idr6, IDR6.log2NumP), ecmdq),
    ]
    for (place, other) in needs where value(place) != 0 && value(other) == 0 {
      return Illegality(place, other, .companion)
    }
    // THE reaches stage 2 through its permission indirection (§6.3.4).
    let the = Place(.idr3, IDR3.the)
    if value(the) != 0 && value(s2p) != 0 && value(s2pi) == 0 {
      return Illegality(the, s2pi, .companion)
    }
    let preset = Place(.idr1, IDR1.queuesPreset)
    if value(ecmdq) != 0 && value(preset) != 0 {
      return Illegality(ecmdq, preset, "enhanced queues exclude preset ones")
    }
    return nil
  }

  /// Sizes that depend on models (§6.3.2, §6.3.6).
  private var sizeIllegality: Illegality? {
    let sidsize = Place(.idr1, IDR1.sidsize), stLevel = Place(.idr0, IDR0.stLevel)
    if value(sidsize) >= 7 && value(stLevel) == 0 {
      return Illegality(sidsize, stLevel, "7 or more needs 2-level stream tables")
    }
    let rel = Place(.idr1, IDR1.rel), tables = Place(.idr1, IDR1.tablesPreset)
    if value(rel) != 0 && value(tables) == 0 && self[.idr1, IDR1.queuesPreset] == 0 {
      return Illegality(rel, tables, "there is nothing preset that could be relative")
    }
    let stallMax = Place(.idr5, IDR5.stallMax)
    if value(stallMax) != 0 && stallModel == 1 {
      return Illegality(stallMax, Place(.idr0, IDR0.stallModel), "it is 0 where nothing stalls")
    }
    return nil
  }

  /// What AIDR obliges to and forbids (§2.9, `earliest`).
  private var revisionIllegality: Illegality? {
    let minor = Place(.aidr, AIDR.minor)
    // Revision, field, on which SMMUs it is obligatory.
    let mandatory: [(UInt32, Place, Gate)] = [
      (1, Place(.idr3, IDR3.had), .stage1), (1, Place(.idr3, IDR3.xnx), .stage2),
      (2, Place(.idr0, IDR0.hyp), .bothStages), (2, Place(.idr3, IDR3.fwb), .always),
      (2, Place(.idr3, IDR3.ril), .always), (2, Place(.idr3, IDR3.bbml), .always),
      (3, Place(.idr3, IDR3.e0pd), .always), (3, Place(.idr3, IDR3.ptwnnc), .stage2),
      (4, Place(.idr3, IDR3.epan), .always), (4, Place(.idr3, IDR3.mteperm), .stage2),
    ]
    for (revision, place, gate) in mandatory
    where value(minor) >= revision && value(place) == 0 && gate.holds(self) {
      return Illegality(place, minor, "this revision of the architecture demands it")
    }
    for (revision, place, least) in Self.earliest
    where value(place) >= least && value(minor) < revision {
      return Illegality(place, minor, "this revision of the architecture may not have it")
    }
    return nil
  }

  /// The first revision that may have a field with this value or more. §2.9 allows features of the
  /// next revision and of no later one (§2.3 to §2.8); what an older one reserves by name it may
  /// not have even so (§6.3.4 XNX, PBHA; §6.3.6 VAX, OAS).
  private static var earliest: [(UInt32, Place, UInt32)] {
    [
      (1, Place(.idr3, IDR3.xnx), 1), (1, Place(.idr3, IDR3.pbha), 1),
      (1, Place(.idr5, IDR5.vax), 1), (1, Place(.idr5, IDR5.oas), 6),
      (1, Place(.idr3, IDR3.fwb), 1), (1, Place(.idr3, IDR3.ril), 1),
      (1, Place(.idr3, IDR3.bbml), 1), (1, Place(.idr3, IDR3.stt), 1),
      (1, Place(.idr3, IDR3.mpam), 1),
      (2, Place(.idr3, IDR3.e0pd), 1), (2, Place(.idr3, IDR3.ptwnnc), 1),
      (2, Place(.idr1, IDR1.ecmdq), 1), (2, Place(.idr0, IDR0.atsrecerr), 1),
      (2, Place(.idr0, IDR0.rmeImpl), 1), (2, Place(.idr3, IDR3.dpt), 1),
      (3, Place(.idr3, IDR3.epan), 1), (3, Place(.idr3, IDR3.mteperm), 1),
      (3, Place(.idr3, IDR3.s1pi), 1), (3, Place(.idr3, IDR3.s2pi), 1),
      (3, Place(.idr3, IDR3.s2po), 1), (3, Place(.idr3, IDR3.aie), 1),
      (3, Place(.idr3, IDR3.the), 1), (3, Place(.idr3, IDR3.pasidtt), 1),
      (3, Place(.idr5, IDR5.d128), 1), (3, Place(.idr5, IDR5.ds), 1),
      (3, Place(.idr0, IDR0.httu), 3),
      (4, Place(.idr5, IDR5.oas), 7),
    ]
  }

  /// Granules and address sizes (§6.3.6).
  private var addressIllegality: Illegality? {
    let gran4K = Place(.idr5, IDR5.gran4K), gran64K = Place(.idr5, IDR5.gran64K)
    let vax = Place(.idr5, IDR5.vax), oas = Place(.idr5, IDR5.oas)
    let ds = Place(.idr5, IDR5.ds), d128 = Place(.idr5, IDR5.d128), ttf = Place(.idr0, IDR0.ttf)
    let hasSmallGranule = supports(.size4K) || supports(.size16K)
    if !hasSmallGranule && !supports(.size64K) {
      return Illegality(gran4K, gran64K, "a granule must exist")
    }
    if value(ds) != 0 && (!hasSmallGranule || value(vax) == 0) {
      return Illegality(ds, vax, "DS needs 52-bit addresses and the 4K or 16K granule")
    }
    if value(vax) >= 1 && !supports(.size64K) && value(ds) == 0 {
      return Illegality(vax, gran64K, "52 bits need the 64K granule or DS")
    }
    if value(vax) == 2 && value(d128) == 0 { return Illegality(vax, d128, "56 bits need D128") }
    if value(oas) == 6 && !supports(.size64K) && value(ds) == 0 && value(d128) == 0 {
      return Illegality(oas, gran64K, "52 bits need the 64K granule, DS or D128")
    }
    if value(oas) == 7 && value(d128) == 0 { return Illegality(oas, d128, "56 bits need D128") }
    if translationTableFormats & 1 != 0 {
      if !supports(.size4K) { return Illegality(gran4K, ttf, "AArch32 tables need 4K") }
      if value(d128) != 0 { return Illegality(ttf, d128, "D128 excludes AArch32 tables") }
      let dpt = Place(.idr3, IDR3.dpt)
      if value(dpt) != 0 { return Illegality(ttf, dpt, "DPT excludes AArch32 tables") }
    }
    return nil
  }

  /// What 128-bit descriptors oblige to (§6.3.6).
  private var extensionIllegality: Illegality? {
    let d128 = Place(.idr5, IDR5.d128)
    guard value(d128) != 0 else { return nil }
    let obliged: [Place] = [
      Place(.idr3, IDR3.s1pi), Place(.idr3, IDR3.s2po), Place(.idr3, IDR3.aie),
      Place(.idr3, IDR3.mteperm),
    ]
    for place in obliged where value(place) == 0 {
      return Illegality(d128, place, .companion)
    }
    if translationTableFormats & 2 == 0 {
      return Illegality(d128, Place(.idr0, IDR0.ttf), "D128 needs AArch64 tables")
    }
    let s2pi = Place(.idr3, IDR3.s2pi)
    if stage2 && value(s2pi) == 0 { return Illegality(d128, s2pi, .companion) }
    return nil
  }
}
