// SPDX-License-Identifier: MIT
import Foundation
import SMMUSpec
import Synchronization
import Testing
import TestSupport

@testable import SMMUModel

/// Threads that translate while another changes, invalidates and synchronises.
@Suite(.serialized) struct ConcurrencyTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  /// What the threads share.
  final class Shared: Sendable {
    /// Outputs below this generation are gone.
    let oldest = Atomic<UInt64>(0)
    /// Odd while nothing is mapped; counts up.
    let phase = Atomic<UInt64>(0)
    let isDone = Atomic<Bool>(false)
    let failures = Atomic<Int>(0)
    let hits = Atomic<Int>(0)
    let faults = Atomic<Int>(0)

    /// Whether there were more than so many.
    func has(hits least: Int, faults leastFaults: Int = -1) -> Bool {
      hits.load(ordering: .relaxed) > least && faults.load(ordering: .relaxed) > leastFaults
    }
  }

  /// Runs readers beside `writer` until it returns.
  private func run(
    _ shared: Shared, _ scene: Scene, writer: () -> Void,
    reader: @escaping @Sendable (SMMU, Shared) -> Void
  ) {
    let smmu = scene.guest.smmu
    let group = DispatchGroup()
    for _ in 0..<3 {
      group.enter()
      Thread.detachNewThread {
        while !shared.isDone.load(ordering: .acquiring) { reader(smmu, shared) }
        group.leave()
      }
    }
    writer()
    shared.isDone.store(true, ordering: .releasing)
    group.wait()
  }

  /// No record, so that no reader touches the machine.
  private func quiet(_ mode: Scene.Mode) -> Scene {
    let scene = Scene(mode)
    scene.change {
      $0.cd[C.r] = 0
      $0.ste[S.s2r] = 0
    }
    scene.guest.machine.onRelax = { Thread.sleep(forTimeInterval: 0) }
    return scene
  }

  /// Whether a writer shall go on: for a while, and on a machine that has other things to do for as
  /// long as it takes until `isEnough`. A minute of its own work without that is a failure.
  private struct Effort {
    private let begin = Date()
    private let limit = threadSeconds() + 60

    func goesOn(_ isEnough: Bool) -> Bool {
      Date().timeIntervalSince(begin) < 0.6 || (!isEnough && threadSeconds() < limit)
    }
  }

  @Test("After TLBI and SYNC no access uses the old page (T-353, R-315, T-336)", arguments: [0, 1])
  func pages(kind: Int) {
    let scene = quiet(kind == 0 ? .stage1 : .nested)
    let shared = Shared(), guest = scene.guest
    let address = Scene.input
    let slot = kind == 0 ? scene.lower.place(Scene.input) : scene.second.place(Scene.middle)
    let leaf = (kind == 0 ? TableBuilder.stage1Leaf : TableBuilder.stage2Leaf) | 3
    guest.machine[slot] = leaf
    scene.invalidateAll()
    run(
      shared, scene,
      writer: {
        let effort = Effort()
        var generation: UInt64 = 0
        while effort.goesOn(generation > 4 && shared.has(hits: 100)) {
          // Unmapped altogether now and then.
          if generation % 4 == 3 {
            guest.machine[slot] = 0
            guest.command((0x30, 0), Guest.sync)
          }
          generation += 1
          guest.machine[slot] = generation << 12 | leaf
          guest.command((kind == 0 ? 0x12 | 5 << 48 : 0x28 | 7 << 32, address & ~0xfff), Guest.sync)
          shared.oldest.store(generation, ordering: .sequentiallyConsistent)
        }
        #expect(generation > 4)
      },
      reader: { smmu, shared in
        let oldest = shared.oldest.load(ordering: .sequentiallyConsistent)
        let token = smmu.beginAccess()
        let answer = smmu.translate(Access(stream: 1, address: address))
        if answer.kind == .ok {
          shared.hits.wrappingAdd(1, ordering: .relaxed)
          // Not older than what was gone when it began, and not gone before it ends.
          let generation = answer.address >> 12
          if generation < oldest { shared.failures.wrappingAdd(1, ordering: .relaxed) }
          for _ in 0..<20
          where shared.oldest.load(ordering: .sequentiallyConsistent) > generation {
            shared.failures.wrappingAdd(1, ordering: .relaxed)
          }
        } else {
          shared.faults.wrappingAdd(1, ordering: .relaxed)
        }
        smmu.endAccess(token)
      })
    #expect(shared.failures.load(ordering: .relaxed) == 0)
    #expect(shared.has(hits: 100))
  }

  @Test("After TLBI and SYNC of an unmapped page every access faults (R-315)")
  func unmapped() {
    let scene = quiet(.stage1)
    let shared = Shared(), guest = scene.guest
    let slot = scene.lower.place(Scene.input), leaf = guest.machine[slot]
    run(
      shared, scene,
      writer: {
        let effort = Effort()
        while effort.goesOn(shared.has(hits: 10, faults: 10)) {
          guest.machine[slot] = 0
          guest.command((0x12 | 5 << 48, Scene.input), Guest.sync)
          shared.phase.wrappingAdd(1, ordering: .sequentiallyConsistent)
          Thread.sleep(forTimeInterval: 0.0005)
          shared.phase.wrappingAdd(1, ordering: .sequentiallyConsistent)
          guest.machine[slot] = leaf
          Thread.sleep(forTimeInterval: 0.0005)
        }
      },
      reader: { smmu, shared in
        let before = shared.phase.load(ordering: .sequentiallyConsistent)
        let token = smmu.beginAccess()
        let answer = smmu.translate(Access(stream: 1, address: Scene.input))
        let after = shared.phase.load(ordering: .sequentiallyConsistent)
        smmu.endAccess(token)
        if answer.kind == .ok {
          shared.hits.wrappingAdd(1, ordering: .relaxed)
          if before % 2 == 1 && before == after {
            shared.failures.wrappingAdd(1, ordering: .relaxed)
          }
        } else {
          shared.faults.wrappingAdd(1, ordering: .relaxed)
        }
      })
    #expect(shared.failures.load(ordering: .relaxed) == 0)
    #expect(shared.has(hits: 10, faults: 10))
  }

  @Test("After CFGI, TLBI and SYNC no access uses the old CD (R-379, R-298)")
  func contexts() {
    let scene = quiet(.stage1)
    let shared = Shared(), guest = scene.guest
    // A CD with one word that changes: TTB0, of tables with outputs of their own.
    let tables = (0..<4).map { _ in TableBuilder(guest) }
    run(
      shared, scene,
      writer: {
        let effort = Effort()
        var generation: UInt64 = 0
        while effort.goesOn(generation > 4 && shared.has(hits: 100)) {
          generation += 1
          let table = tables[Int(generation % 4)]
          table.map(Scene.input, generation << 12, TableBuilder.stage1Leaf)
          scene.cd[C.ttb0] = table.base >> 4
          guest.machine[scene.context + 8] = scene.cd.words[1]
          guest.command((0x05 | 1 << 32, 1), (0x11 | 5 << 48, 0), Guest.sync)
          shared.oldest.store(generation, ordering: .sequentiallyConsistent)
        }
        #expect(generation > 4)
      },
      reader: { smmu, shared in
        let oldest = shared.oldest.load(ordering: .sequentiallyConsistent)
        let token = smmu.beginAccess()
        let answer = smmu.translate(Access(stream: 1, address: Scene.input))
        smmu.endAccess(token)
        shared.hits.wrappingAdd(1, ordering: .relaxed)
        if oldest > 0 && (answer.kind != .ok || answer.address >> 12 < oldest) {
          shared.failures.wrappingAdd(1, ordering: .relaxed)
        }
      })
    #expect(shared.failures.load(ordering: .relaxed) == 0)
    #expect(shared.has(hits: 100))
  }

  @Test("An access sees SMMUEN on or off, and after its change the new value (R-073, T-052)")
  func enable() {
    let scene = quiet(.stage1)
    let shared = Shared(), guest = scene.guest
    run(
      shared, scene,
      writer: {
        let effort = Effort()
        while effort.goesOn(shared.has(hits: 100)) {
          guest["CR0"] = 0xc
          shared.phase.wrappingAdd(1, ordering: .sequentiallyConsistent)
          shared.phase.wrappingAdd(1, ordering: .sequentiallyConsistent)
          guest["CR0"] = 0xd
        }
      },
      reader: { smmu, shared in
        let before = shared.phase.load(ordering: .sequentiallyConsistent)
        let answer = smmu.translate(Access(stream: 1, address: Scene.input))
        let after = shared.phase.load(ordering: .sequentiallyConsistent)
        shared.hits.wrappingAdd(1, ordering: .relaxed)
        // Translated or bypassed, nothing else; and bypassed throughout an odd phase.
        let isEither = answer.address == Scene.output || answer.address == Scene.input
        let isOff = before % 2 == 1 && before == after
        if answer.kind != .ok || !isEither || (isOff && answer.address != Scene.input) {
          shared.failures.wrappingAdd(1, ordering: .relaxed)
        }
      })
    #expect(shared.failures.load(ordering: .relaxed) == 0)
    #expect(shared.has(hits: 100))
  }
}
