// SPDX-License-Identifier: MIT
import Foundation
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// What the client sees of a fault, and whether it is recorded (table 10.1).
@Suite struct FaultModelTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  /// Makes the page fault in each of the four ways, at stage 1 or stage 2.
  static func breakPage(
    _ event: EventKind, _ scene: Scene, _ table: TableBuilder, _ address: UInt64
  ) {
    switch event {
    case .translation: table.mark(address, clear: 1)
    case .addressSize:
      scene.cd[C.ips] = 0
      scene.ste[S.s2ps] = 0
      table.mark(address, set: 1 << 40)
    case .access: table.mark(address, clear: 1 << 10)
    default:
      let isFirst = table === scene.lower
      table.mark(address, set: isFirst ? 1 << 7 : 0, clear: isFirst ? 0 : 1 << 7)
    }
  }

  static let faults: [EventKind] = [.translation, .addressSize, .access, .permission]

  @Test("CD.A and CD.R decide what stage 1 faults do (T-194, T-196, T-193)")
  func stage1() {
    for mode in [Scene.Mode.stage1, .nested] {
      for event in Self.faults where mode == .stage1 || event != .addressSize {
        for (a, r) in [(0, 0), (0, 1), (1, 0), (1, 1)] as [(UInt64, UInt64)] {
          let scene = Scene(mode)
          scene.change {
            $0.cd[C.a] = a
            $0.cd[C.r] = r
            // These are of stage 2.
            $0.ste[S.s2r] = 1 - r
            Self.breakPage(event, $0, $0.lower, Scene.input)
          }
          let (answer, records) = scene.access(nil, [.write])
          #expect(answer.event == event)
          #expect(answer.kind == (a == 1 ? .abort : .razwi))
          let expected = r == 1 ? [UInt64(event.rawValue)] : []
          #expect(records.map { $0[EventRecord.number] } == expected)
        }
      }
    }
  }

  @Test("Stage 2 faults always abort, and S2R decides their record (T-192, T-195)")
  func stage2() {
    for mode in [Scene.Mode.stage2, .nested] {
      for event in Self.faults where mode == .stage2 || event != .addressSize {
        for s2r in [0, 1] as [UInt64] {
          let scene = Scene(mode)
          scene.change {
            $0.cd[C.a] = 0
            $0.cd[C.r] = 1 - s2r
            $0.ste[S.s2r] = s2r
            Self.breakPage(event, $0, $0.second, Scene.middle)
          }
          let (answer, records) = scene.access(nil, [.write])
          #expect(answer.event == event)
          #expect(answer.kind == .abort)
          #expect(
            records.map { $0[EventRecord.number] } == (s2r == 1 ? [UInt64(event.rawValue)] : []))
        }
      }
    }
  }

  @Test("Stage 2 faults of stage 1 tables follow S2R, not CD.A and CD.R (T-192)")
  func tables() {
    for s2r in [0, 1] as [UInt64] {
      let scene = Scene(.nested)
      scene.change {
        $0.cd[C.a] = 0
        $0.cd[C.r] = 1 - s2r
        $0.ste[S.s2r] = s2r
        $0.cd[C.ttb0] = 0x7f_0000_0000 >> 4
      }
      let (answer, records) = scene.access()
      #expect(answer.kind == .abort)
      #expect(records.count == Int(s2r))
    }
  }

  @Test("RAZ/WI answers have no address and no permission (T-196)")
  func readAsZero() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.a] = 0 }
    for flags in [[], .write, .instruction, .atomic] as [AccessFlags] {
      let answer = scene.access(0x5000, flags).0
      #expect(answer.kind == .razwi)
      #expect(answer.address == 0)
      #expect(answer.permissions == 0)
    }
  }

  @Test("Stage 1 faults in a disabled half and out of range are RAZ/WI too (T-196)")
  func readAsZeroEverywhere() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.a] = 0 }
    #expect(scene.access(1 << 50).0.kind == .razwi)
    scene.change { $0.cd[C.epd1] = 1 }
    #expect(scene.access(Scene.upper).0.kind == .razwi)
  }

  @Test("Events without a switch ignore CD.A, CD.R and S2R (T-028)")
  func ungated() {
    let outside: UInt64 = 0x1_0000_0000
    let scene = Scene(.nested)
    scene.guest.machine.aborting = [outside]
    scene.second.set(Scene.middle, level: 2, outside | 3)
    scene.change {
      $0.cd[C.a] = 0
      $0.cd[C.r] = 0
      $0.ste[S.s2r] = 0
    }
    let (answer, records) = scene.access()
    #expect(answer.kind == .abort)
    #expect(records.map { $0[EventRecord.number] } == [0x0b])
  }

  @Test("Speculative accesses that fail abort and record nothing (T-197)")
  func speculative() {
    for mode in [Scene.Mode.stage1, .stage2, .nested, .bypass] {
      let scene = Scene(mode)
      if mode == .stage1 { scene.change { $0.cd[C.a] = 0 } }
      let (answer, records) = scene.access(mode == .bypass ? 1 << 50 : 0x5000, [.speculative])
      #expect(answer.kind == .abort)
      #expect(records.isEmpty)
      #expect(scene.access(nil, [.speculative]).0.kind == .ok)
      scene.change { $0.ste[S.v] = 0 }
      #expect(scene.access(nil, [.speculative]).0.kind == .abort)
      #expect(scene.guest.takeEvents().isEmpty)
    }
  }

  @Test("A speculative read that translates is an ordinary one (T-393)")
  func speculativeHit() {
    let scene = Scene(.nested)
    let cold = scene.access(nil, [.speculative]).0
    #expect(cold.kind == .ok)
    #expect(cold.address == Scene.output)
    #expect(scene.access().0 == cold)
  }

  @Test("Records come in order and are not merged, MEV set or not (T-204, R-384)")
  func unmerged() {
    for mev in [0, 1] as [UInt64] {
      let scene = Scene(.stage1)
      scene.change { $0.ste[S.mev] = mev }
      for i in 0..<20 as Range<UInt64> {
        _ = scene.guest.translate(scene.stream, 0x5000 + (i / 2) << 12)
      }
      let records = scene.guest.takeEvents()
      #expect(
        records.map { $0[EventRecord.inputAddr] } == (0..<20).map { 0x5000 + ($0 / 2) << 12 })
    }
  }

  @Test("A fault in the Access flag: AFFD takes it as set, at both stages (T-173)")
  func accessFlagFaultDisabled() {
    let first = Scene(.stage1), second = Scene(.stage2)
    first.lower.mark(Scene.input, clear: 1 << 10)
    second.second.mark(Scene.middle, clear: 1 << 10)
    for affd in [0, 1] as [UInt64] {
      first.change { $0.cd[C.affd] = affd }
      second.change { $0.ste[S.s2affd] = affd }
      #expect(first.event() == (affd == 1 ? nil : .access))
      #expect(second.event() == (affd == 1 ? nil : .access))
    }
    // Nothing was written back: no HTTU.
    #expect(first.lower.get(Scene.input) & 1 << 10 == 0)
    #expect(second.second.get(Scene.middle) & 1 << 10 == 0)
  }

  @Test("S2AFFD is for CD and table reads as well (T-187)")
  func accessFlagOfTables() {
    let scene = Scene(.nested)
    for block in 0..<8 as Range<UInt64> {
      scene.second.mark(
        GuestMachine.ramBase + Scene.intermediate + block << 21, level: 2, clear: 1 << 10)
    }
    scene.invalidateAll()
    #expect(scene.event() == .access)
    scene.change { $0.ste[S.s2affd] = 1 }
    #expect(scene.isFine())
  }

  @Test("Faults are not cached: mending the descriptor is enough (T-321, T-174, R-313)")
  func uncached() {
    for mode in [Scene.Mode.stage1, .stage2, .nested] {
      for event in Self.faults where event != .addressSize {
        let scene = Scene(mode)
        let (table, address) =
          mode == .stage1 ? (scene.lower, Scene.input) : (scene.second, Scene.middle)
        let good = table.get(address)
        Self.breakPage(event, scene, table, address)
        #expect(scene.event(nil, [.write]) == event)
        table.set(address, good)
        #expect(scene.event(nil, [.write]) == nil)
      }
      let scene = Scene(mode)
      let (table, address) =
        mode == .stage1 ? (scene.lower, Scene.input) : (scene.second, Scene.middle)
      scene.change {
        $0.cd[C.ips] = 1
        $0.ste[S.s2ps] = 1
      }
      if mode == .nested { scene.lower.map(Scene.input, Scene.middle, TableBuilder.stage1Leaf) }
      guard mode != .nested else { continue }
      table.set(address, 1 << 40 | table.get(address))
      #expect(scene.event() == .addressSize)
      let leaf = mode == .stage1 ? TableBuilder.stage1Leaf : TableBuilder.stage2Leaf
      table.map(address, 0x8_0000_0000, leaf)
      #expect(scene.event() == nil)
    }
  }

  @Test("Memory is never written by a translation (T-180, T-175)")
  func untouched() {
    let scene = Scene(.nested)
    scene.lower.mark(Scene.input, set: 1 << 51 | 1 << 7)
    scene.second.mark(Scene.middle, set: 1 << 51)
    scene.change { $0.ste[S.s2r] = 0; $0.cd[C.r] = 0 }
    let machine = scene.guest.machine, count = Int(machine.ramSize)
    let before = [UInt8](UnsafeRawBufferPointer(start: machine.host, count: count))
    for flags in [[], .write, .atomic, .instruction, .speculative] as [AccessFlags] {
      _ = scene.access(nil, flags)
    }
    let isEqual = before.withUnsafeBytes { memcmp($0.baseAddress!, machine.host, count) == 0 }
    #expect(isEqual)
  }
}
