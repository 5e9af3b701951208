// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Everything is wrong at once; each fault is mended in turn, and the next one shows (§7.3.22).
@Suite struct FaultPriorityTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  struct Seen: Equatable, CustomStringConvertible {
    var event: EventKind?
    var stage2: UInt64 = 0
    var accessClass: UInt64 = 0
    var description: String { "\(event.map { "\($0)" } ?? "ok") \(stage2) \(accessClass)" }
  }

  private func seen(_ scene: Scene, _ flags: AccessFlags = [.write]) -> Seen {
    let (answer, records) = scene.access(nil, flags)
    guard let record = records.first else { return Seen(event: answer.event) }
    return Seen(
      event: answer.event, stage2: record[EventRecord.s2],
      accessClass: record[EventRecord.accessClass])
  }

  @Test("From C_BAD_STREAMID to C_BAD_CD (T-214)")
  func configuration() {
    let scene = Scene(.nested), guest = scene.guest
    let outside = guest.machine.outside.lowerBound
    let structure = outside + 0x1000, page: UInt64 = 0x10_0000_0000
    guest.machine.aborting = [outside, structure]
    let good = scene.ste
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = outside
    guest["STRTAB_BASE_CFG"] = 0
    guest["CR0"] = 0xd
    var bad = good
    bad[S.s1ContextPtr] = page >> 6
    bad[S.s1cdMax] = 1
    bad[S.s2ha] = 1
    let leaf = TableBuilder.stage2Leaf
    func put(_ ste: StreamTableEntry) {
      guest.write(ste, at: outside + 64)
      scene.invalidateAll()
    }
    put(bad)
    var cd = scene.cd
    cd[C.ha] = 1
    guest.write(cd, at: structure)

    func next() -> EventKind? { scene.event(substream: 5) }
    #expect(next() == .badStreamID)
    guest["CR0"] = 0xc
    guest["STRTAB_BASE_CFG"] = 4
    guest["CR0"] = 0xd
    #expect(next() == .steFetch)
    guest.machine.aborting = [structure]
    #expect(next() == .badSTE)
    bad[S.s2ha] = 0
    put(bad)
    #expect(next() == .badSubstreamID)
    bad[S.s1dss] = 0
    put(bad)
    #expect(scene.event() == .streamDisabled)
    bad[S.s1dss] = 2
    put(bad)
    #expect(seen(scene) == Seen(event: .translation, stage2: 1))
    scene.second.map(page, 1 << 47, leaf & ~(1 << 10) & ~(3 << 6))
    bad[S.s2ps] = 4
    put(bad)
    #expect(seen(scene) == Seen(event: .addressSize, stage2: 1))
    bad[S.s2ps] = 5
    put(bad)
    #expect(seen(scene) == Seen(event: .access, stage2: 1))
    scene.second.map(page, structure, leaf & ~(3 << 6))
    #expect(seen(scene) == Seen(event: .permission, stage2: 1))
    scene.second.map(page, structure, leaf)
    #expect(seen(scene) == Seen(event: .cdFetch))
    guest.machine.aborting = []
    #expect(seen(scene) == Seen(event: .badCD))
    cd[C.ha] = 0
    guest.write(cd, at: structure)
    scene.invalidateAll()
    #expect(seen(scene) == Seen(event: nil))
  }

  @Test("One stage: abort, invalid, output size per level, then Access flag, permission (T-215)")
  func oneStage() {
    for mode in [Scene.Mode.stage1, .stage2] {
      let scene = Scene(mode)
      let isFirst = mode == .stage1
      let table = isFirst ? scene.lower : scene.second
      let leaf = isFirst ? TableBuilder.stage1Leaf : TableBuilder.stage2Leaf
      let outside = scene.guest.machine.outside.lowerBound
      let good = table.get(scene.address, level: 2)
      scene.change {
        $0.cd[C.ips] = 1
        $0.ste[S.s2ps] = 1
      }
      let class1: UInt64 = isFirst ? 1 : 2, s2: UInt64 = isFirst ? 0 : 1
      func expect(_ event: EventKind?, _ location: SourceLocation = #_sourceLocation) {
        scene.invalidateAll()
        #expect(
          seen(scene)
            == Seen(
              event: event, stage2: event == nil ? 0 : s2,
              accessClass: event == nil ? 0 : event == .walkAbort ? class1 : 2),
          sourceLocation: location)
      }
      table.set(scene.address, level: 2, 1 << 40)
      expect(.translation)
      table.set(scene.address, level: 2, 1 << 40 | outside | 3)
      expect(.addressSize)
      scene.guest.machine.aborting = [outside]
      table.set(scene.address, level: 2, outside | 3)
      expect(.walkAbort)
      scene.guest.machine.aborting = []
      expect(.translation)
      table.set(scene.address, level: 2, good)
      // The leaf: too far, not accessed, not writable.
      let refused = isFirst ? leaf | 1 << 7 : leaf & ~(1 << 7)
      table.map(scene.address, 1 << 40, refused & ~(1 << 10))
      expect(.addressSize)
      table.map(scene.address, 1 << 32, refused & ~(1 << 10))
      expect(.access)
      table.map(scene.address, 1 << 32, refused)
      expect(.permission)
      table.map(scene.address, 1 << 32, leaf)
      expect(nil)
    }
  }

  @Test("A range or disabled half is found before any read (T-215)")
  func rangeFirst() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.ttb0] = (1 << 40) >> 4 }
    #expect(seen(scene).event == .walkAbort)
    #expect(scene.event(1 << 45) == .translation)
    scene.change { $0.cd[C.epd0] = 1 }
    #expect(seen(scene).event == .translation)
  }

  @Test("Address size beats Access flag, Access flag beats permission (T-217)")
  func leaf() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.ips] = 1 }
    scene.lower.map(Scene.input, 1 << 40, TableBuilder.stage1Leaf & ~(1 << 10) | 1 << 7)
    #expect(scene.event(nil, [.write]) == .addressSize)
    scene.lower.map(Scene.input, 0, TableBuilder.stage1Leaf & ~(1 << 10) | 1 << 7)
    #expect(scene.event(nil, [.write]) == .access)
  }

  @Test("Nested: per level stage 2 of the table, then stage 1; the output last (T-216, T-167)")
  func nested() {
    let scene = Scene(.nested)
    let page: UInt64 = 0x10_0000_0000, outside = scene.guest.machine.outside.lowerBound
    let leaf = TableBuilder.stage2Leaf
    // The stage 1 level 3 table behind a stage 2 page of its own.
    scene.lower.set(Scene.input, level: 2, 1 << 45)
    scene.change { $0.cd[C.ips] = 4 }
    #expect(seen(scene) == Seen(event: .translation, accessClass: 2))
    scene.lower.set(Scene.input, level: 2, 1 << 45 | page | 3)
    #expect(seen(scene) == Seen(event: .addressSize, accessClass: 2))
    scene.lower.set(Scene.input, level: 2, page | 3)
    #expect(seen(scene) == Seen(event: .translation, stage2: 1, accessClass: 1))
    scene.second.map(page, outside, leaf & ~(1 << 10) & ~(3 << 6))
    #expect(seen(scene) == Seen(event: .access, stage2: 1, accessClass: 1))
    scene.second.map(page, outside, leaf & ~(3 << 6))
    #expect(seen(scene) == Seen(event: .permission, stage2: 1, accessClass: 1))
    scene.second.map(page, outside, leaf)
    scene.guest.machine.aborting = [outside]
    #expect(seen(scene) == Seen(event: .walkAbort, accessClass: 1))
    scene.guest.machine.aborting = []
    #expect(seen(scene) == Seen(event: .translation, accessClass: 2))
    let slot = outside + (Scene.input >> 12 & 511) * 8
    let far: UInt64 = 0x30_0000_0000
    let refused = TableBuilder.stage1Leaf | 1 << 7
    scene.guest.machine[slot] = far | refused & ~(1 << 10) | 3
    #expect(seen(scene) == Seen(event: .access, accessClass: 2))
    scene.guest.machine[slot] = far | refused | 3
    // T-167: nothing of the output is looked at yet, as it would fault.
    #expect(seen(scene) == Seen(event: .permission, accessClass: 2))
    scene.guest.machine[slot] = far | TableBuilder.stage1Leaf | 3
    #expect(seen(scene) == Seen(event: .translation, stage2: 1, accessClass: 2))
    scene.second.map(far, Scene.output, leaf & ~(1 << 7) & ~(1 << 10))
    #expect(seen(scene) == Seen(event: .access, stage2: 1, accessClass: 2))
    scene.second.map(far, Scene.output, leaf & ~(1 << 7))
    #expect(seen(scene) == Seen(event: .permission, stage2: 1, accessClass: 2))
    scene.second.map(far, Scene.output, leaf)
    #expect(seen(scene) == Seen(event: nil))
  }

  @Test("One access records one event at most (T-007)")
  func oneEvent() {
    var random = SeededRandom("one event", default: 6)
    let scene = Scene(.nested)
    for _ in 0..<300 {
      let table = random.chance(50) ? scene.lower : scene.second
      let address = table === scene.lower ? Scene.input : Scene.middle
      let old = table.get(address)
      table.mark(address, set: random.next() & 0xfff, clear: random.next() & 0xfff)
      #expect(scene.access(nil, random.chance(50) ? [.write] : []).1.count <= 1)
      table.set(address, old)
    }
  }
}
