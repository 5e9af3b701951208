// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// Each refusal of a structure names the field that is to blame, what it holds and the clause.
@Suite struct ViolationTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  /// A field of a valid structure, the value that makes it ILLEGAL, and what features that takes.
  struct Case: CustomStringConvertible, Sendable {
    let field: Field
    let value: UInt64
    let clause: StaticString
    var mode = Scene.Mode.stage1
    var without: [(IdentificationRegister, Field)] = []
    var with: [(IdentificationRegister, Field, UInt32)] = []

    var description: String { "\(field.name) \(value)" }

    var features: Features {
      var features = Features.full
      for (register, field) in without { features[register, field] = 0 }
      for (register, field, value) in with { features[register, field] = value }
      return features
    }
  }

  static let entries = [
    Case(field: S.v, value: 0, clause: "§5.2 V"),
    Case(field: S.s1stalld, value: 1, clause: "§5.2 S1STALLD"),
    Case(field: S.s1ContextPtr, value: 1 << 43, clause: "§5.2 S1ContextPtr"),
    Case(
      field: S.s1cdMax, value: 17, clause: "§5.2 S1CDMax", with: [(.idr1, IDR1.ssidsize, 16)]),
    Case(field: S.config, value: 5, clause: "§5.2 Config", without: [(.idr0, IDR0.s1p)]),
    Case(
      field: S.config, value: 6, clause: "§5.2 Config", mode: .stage2,
      without: [(.idr0, IDR0.s2p)]),
    Case(
      field: S.s2vmid, value: 0x100, clause: "§5.2 S2VMID", mode: .stage2,
      without: [(.idr0, IDR0.vmid16)]),
    Case(field: S.s2aa64, value: 0, clause: "§5.2 S2AA64", mode: .stage2),
    Case(field: S.s2s, value: 1, clause: "§5.2 S2S", mode: .nested),
    Case(field: S.s2ha, value: 1, clause: "§5.2 S2HA", mode: .stage2),
    Case(field: S.s2hd, value: 1, clause: "§5.2 S2HD", mode: .stage2),
    Case(field: S.s2tg, value: 3, clause: "§5.2 S2TG", mode: .stage2),
    Case(
      field: S.s2endi, value: 1, clause: "§5.2 S2ENDI", mode: .stage2,
      with: [(.idr0, IDR0.ttendian, 2)]),
    Case(field: S.s2t0sz, value: 63, clause: "§5.2 S2T0SZ", mode: .stage2),
    Case(field: S.s2sl0, value: 3, clause: "§5.2 S2SL0", mode: .stage2),
    Case(field: S.s2ttb, value: 1 << 47, clause: "§5.2 S2TTB", mode: .stage2),
  ]

  @Test("of an STE (§5.2)", arguments: entries)
  func entry(_ broken: Case) {
    let scene = Scene(broken.mode)
    #expect(scene.ste.violation(.full) == nil)
    scene.ste[broken.field] = broken.value
    #expect(
      scene.ste.violation(broken.features)
        == Violation(
          .streamTableEntry, field: broken.field, value: broken.value, clause: broken.clause))
  }

  static let contexts = [
    Case(field: C.v, value: 0, clause: "§5.4 V"),
    Case(field: C.aa64, value: 0, clause: "§5.4 AA64"),
    Case(field: C.s, value: 1, clause: "§5.4 S"),
    Case(field: C.ha, value: 1, clause: "§5.4 HA"),
    Case(field: C.hd, value: 1, clause: "§5.4 HD"),
    Case(field: C.a, value: 0, clause: "§5.4 A", with: [(.idr0, IDR0.termModel, 1)]),
    Case(field: C.asid, value: 0x100, clause: "§5.4 ASID", without: [(.idr0, IDR0.asid16)]),
    Case(field: C.endi, value: 1, clause: "§5.4 ENDI", with: [(.idr0, IDR0.ttendian, 2)]),
    Case(field: C.tg0, value: 3, clause: "§5.4 TG0"),
    Case(field: C.t0sz, value: 15, clause: "§5.4 T0SZ"),
    Case(field: C.ttb0, value: 1 << 47, clause: "§5.4 TTB0"),
  ]

  @Test("of a CD (§5.4)", arguments: contexts)
  func context(_ broken: Case) {
    let scene = Scene(.stage1)
    #expect(scene.cd.violation(.full) == nil)
    scene.cd[broken.field] = broken.value
    #expect(
      scene.cd.violation(broken.features)
        == Violation(
          .contextDescriptor, field: broken.field, value: broken.value, clause: broken.clause))
  }

  @Test("A second run of an access finds it again, and records nothing")
  func reason() throws {
    let scene = Scene(.stage1)
    let translator = scene.guest.smmu.translator
    let access = Access(stream: 1, address: Scene.input)
    #expect(translator.reason(access) == nil)
    scene.change { $0.ste[S.s1stalld] = 1 }
    let reason = try #require(translator.reason(access))
    #expect(reason.fault.event == .badSTE)
    #expect(reason.violation?.field == S.s1stalld)
    #expect(scene.guest.smmu.counters[.eventsRecorded] == 0, "nothing is recorded")
  }

  @Test("A walk's fault has the level, the descriptor's place and its value", arguments: 1...3)
  func descriptor(level: Int) throws {
    let scene = Scene(.stage1)
    let translator = scene.guest.smmu.translator
    scene.lower.set(Scene.input, level: level, 0xabc0)
    scene.invalidateAll()
    let reason = try #require(translator.reason(Access(stream: 1, address: Scene.input)))
    #expect(reason.fault.event == .translation)
    let found = try #require(reason.descriptor)
    #expect(found.level == level)
    #expect(found.value == 0xabc0)
    #expect(scene.guest.machine[found.address.raw] == 0xabc0)
  }
}
