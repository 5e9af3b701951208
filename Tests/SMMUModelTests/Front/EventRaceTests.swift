// SPDX-License-Identifier: MIT
import Foundation
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// A driver at work while a record is being written: from inside the write of a queue that is no
/// RAM.
@Suite struct EventRaceTests {
  /// An SMMU whose stream aborts with an event, with its event queue outside RAM.
  private func scene() -> Scene {
    let scene = Scene(.stage1)
    let guest = scene.guest
    guest["CR0"] = 0x9
    guest["EVENTQ_BASE"] = guest.machine.outside.lowerBound | 4
    guest["CR0"] = 0xd
    return scene
  }

  private func fault(_ scene: Scene) {
    #expect(scene.guest.translate(1, 0).event == .translation)
  }

  /// Runs `body` on another thread at the next write of the SMMU, while that goes on.
  private func during(_ scene: Scene, _ body: @escaping @Sendable () -> Void) -> Thread {
    let began = DispatchSemaphore(value: 0)
    let thread = Thread {
      began.signal()
      body()
    }
    scene.guest.machine.onCall = { call in
      guard case .write = call, !thread.isExecuting, !thread.isFinished else { return }
      thread.start()
      began.wait()
      // It may have to wait for this write.
      Thread.sleep(forTimeInterval: 0.02)
    }
    return thread
  }

  private struct Unchecked<T>: @unchecked Sendable { let value: T }

  @Test("A driver that empties the queue during a write finds the record or is told (R-113)")
  func noLostInterrupt() {
    let scene = scene()
    let guest = Unchecked(value: scene.guest)
    fault(scene)
    #expect(scene.guest.machine.takePulses() == [.eventQueue])
    nonisolated(unsafe) var producer: UInt64 = 0
    let driver = during(scene) {
      guest.value["EVENTQ_CONS"] = 1
      producer = guest.value["EVENTQ_PROD"]
    }
    fault(scene)
    while !driver.isFinished { Thread.sleep(forTimeInterval: 0.001) }
    #expect(producer == 2 || scene.guest.machine.takePulses() == [.eventQueue])
  }

  @Test("An interrupt that is off sends nothing late (R-118)")
  func nothingAfterDisable() {
    let scene = scene()
    let guest = Unchecked(value: scene.guest)
    nonisolated(unsafe) var pulsesWhenOff = -1
    let driver = during(scene) {
      guest.value["IRQ_CTRL"] = 0
      pulsesWhenOff = guest.value.machine.pulses.count
    }
    fault(scene)
    while !driver.isFinished { Thread.sleep(forTimeInterval: 0.001) }
    #expect(pulsesWhenOff == scene.guest.machine.pulses.count)
  }

  @Test("EVENTQEN is off when the last record and its abort are visible (R-063)")
  func nothingAfterQueueOff() {
    let scene = scene()
    let guest = Unchecked(value: scene.guest)
    scene.guest.machine.aborting = [scene.guest.machine.outside.lowerBound]
    nonisolated(unsafe) var errors: UInt64 = 0
    let driver = during(scene) {
      guest.value["CR0"] = 0x9
      errors = guest.value["GERROR"]
    }
    fault(scene)
    while !driver.isFinished { Thread.sleep(forTimeInterval: 0.001) }
    #expect(errors == 4)
  }
}
