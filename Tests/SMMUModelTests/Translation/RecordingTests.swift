// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Whether a record of a faulting access reaches the queue (§7.2, §7.4).
@Suite struct RecordingTests {
  private func fault(_ scene: Scene, _ times: Int = 1) {
    for _ in 0..<times { #expect(scene.guest.translate(scene.stream, 0x5000).kind == .abort) }
  }

  @Test("With EVENTQEN = 0 events are dropped without an overflow (T-199, T-200)")
  func disabled() {
    let scene = Scene(.stage1), guest = scene.guest
    guest["CR0"] = 0x9
    fault(scene, 3)
    guest["CR0"] = 0xd
    #expect(guest["EVENTQ_PROD"] == 0)
    fault(scene)
    #expect(guest.takeEvents().count == 1)
  }

  @Test("A full queue drops and toggles OVFLG once, without a global error (T-200)")
  func full() {
    let scene = Scene(.stage1), guest = scene.guest
    fault(scene, 128)
    #expect(guest["EVENTQ_PROD"] == 128)
    fault(scene, 3)
    #expect(guest["EVENTQ_PROD"] == 1 << 31 | 128)
    #expect(guest["GERROR"] == 0)
    #expect(guest.takeEvents().count == 128)
    fault(scene)
    #expect(guest.takeEvents().count == 1)
    // Acknowledged: the next overflow toggles it back.
    fault(scene, 130)
    #expect(guest["EVENTQ_PROD"] >> 31 == 0)
  }

  @Test("A record that cannot be written is EVENTQ_ABT_ERR, and PROD stays (T-202, T-199)")
  func abort() {
    let scene = Scene(.stage1), guest = scene.guest
    guest["CR0"] = 0x9
    guest["EVENTQ_BASE"] = 0x2_0000_0000 | 7
    guest["EVENTQ_PROD"] = 0
    guest["EVENTQ_CONS"] = 0
    guest["CR0"] = 0xd
    fault(scene)
    #expect(guest["GERROR"] == 1 << 2)
    #expect(guest["EVENTQ_PROD"] == 0)
    // Nothing is written until it is acknowledged.
    guest["CR0"] = 0x9
    guest["EVENTQ_BASE"] = Guest.eventQueue | 7
    guest["CR0"] = 0xd
    fault(scene)
    #expect(guest["EVENTQ_PROD"] == 0)
    guest["GERRORN"] = 1 << 2
    fault(scene)
    #expect(guest.takeEvents().count == 1)
  }

  @Test("The events of terminated accesses are visible before a CMD_SYNC completes (T-205)")
  func beforeSync() {
    let scene = Scene(.stage1), guest = scene.guest
    fault(scene, 2)
    let target = guest.allocate(64)
    guest.command((0x46 | 1 << 12 | 1 << 32, target))
    #expect(guest.machine[target] == 1)
    #expect(guest["EVENTQ_PROD"] == 2)
    #expect(guest.machine[Guest.eventQueue + 32] & 0xff == 0x10)
  }
}
