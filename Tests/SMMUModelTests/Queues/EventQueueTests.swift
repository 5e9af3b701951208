// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

extension Guest {
  /// A transaction whose StreamID is out of range: one C_BAD_STREAMID.
  func fault(_ number: UInt32 = 0) { _ = translate(0x8000_0000 | number, 0) }

  /// The numbers of faults that were recorded, oldest first.
  func takeFaults() -> [UInt64] {
    takeEvents().map { $0[EventRecord.streamID] & 0xffff }
  }
}

@Suite("The event queue")
struct EventQueueTests {
  @Test("a record is 32 bytes at PROD, undefined words zero (R-190, R-196)")
  func record() {
    let guest = Guest.started()
    for i in 0..<UInt64(8) { guest.machine[Guest.eventQueue + i * 8] = .max }
    guest.fault(5)
    #expect(guest["EVENTQ_PROD"] == 1)
    #expect(guest.machine[Guest.eventQueue] == 0x8000_0005_0000_0002)
    for i in 1..<UInt64(4) { #expect(guest.machine[Guest.eventQueue + i * 8] == 0) }
    #expect(guest.machine[Guest.eventQueue + 32] == .max)
    #expect(guest.smmu.counters[.eventsRecorded] == 1)
  }

  @Test("PROD wraps and keeps OVFLG (R-189, R-146)", arguments: [0, 1, 2])
  func wraps(bits: UInt64) {
    let guest = Guest.started(eventBits: bits)
    var flag: UInt64 = 0
    for i in 0..<UInt64(20) {
      if i == 7 {
        // One overflow: from here on OVFLG is 1.
        for _ in 0..<(1 << bits) + 1 { guest.fault() }
        _ = guest.takeFaults()
        flag = 1 << 31
      }
      let before = guest["EVENTQ_PROD"]
      guest.fault(UInt32(i))
      let index = ((before & 0xfffff) + 1) % (2 << bits)
      #expect(guest["EVENTQ_PROD"] == flag | index)
      #expect(guest.takeFaults() == [i])
    }
  }

  @Test("nothing is recorded while EVENTQEN is 0, and that is no overflow (R-179, R-183, R-063)")
  func disabled() {
    let guest = Guest.started()
    guest.fault(1)
    guest["CR0"] = 0x9
    guest.fault(2)
    #expect(guest["EVENTQ_PROD"] == 1)
    #expect(guest.smmu.counters[.eventsDropped] == 1)
    guest["CR0"] = 0xd
    #expect(guest["EVENTQ_PROD"] == 1)
    guest.fault(3)
    #expect(guest.takeFaults() == [1, 3])
  }

  @Test("a disabled full queue does not overflow either (R-183)")
  func disabledFull() {
    let guest = Guest.started(eventBits: 1)
    for i in 0..<UInt32(2) { guest.fault(i) }
    guest["CR0"] = 0x9
    guest.fault(9)
    #expect(guest["EVENTQ_PROD"] == 2)
  }

  @Test("all entries are usable; a full queue drops and toggles OVFLG once (R-180, R-181, R-146)")
  func overflow() {
    let guest = Guest.started(eventBits: 2)
    for i in 0..<UInt32(4) { guest.fault(i) }
    #expect(guest["EVENTQ_PROD"] == 4)
    guest.fault(4)
    #expect(guest["EVENTQ_PROD"] == 4 | 1 << 31)
    guest.fault(5)
    #expect(guest["EVENTQ_PROD"] == 4 | 1 << 31)
    #expect(guest.smmu.counters[.eventsDropped] == 2)
    #expect(guest.takeFaults() == [0, 1, 2, 3])
  }

  @Test("an overflow raises no error and no interrupt (R-182)")
  func overflowIsQuiet() {
    let guest = Guest.started(eventBits: 0)
    guest.fault()
    _ = guest.machine.takePulses()
    guest.fault()
    #expect(guest["EVENTQ_PROD"] == 1 | 1 << 31)
    #expect(guest.machine.pulses == [])
    #expect(guest["GERROR"] == 0)
  }

  @Test("OVFLG shows no earlier than the full queue does (R-186)")
  func overflowAfterFull() {
    let guest = Guest.started(eventBits: 0)
    guest.fault()
    var states: [UInt64] = []
    guest.machine.onCall = { _ in states.append(guest.smmu.registers[.queue(.prod, .event)]) }
    guest.fault()
    #expect(states == [1 | 1 << 31])
  }

  @Test("OVACKFLG acknowledges, also together with RD; the next overflow toggles back (R-184)")
  func acknowledgeOverflow() {
    let guest = Guest.started(eventBits: 1)
    for i in 0..<UInt32(3) { guest.fault(i) }
    #expect(guest["EVENTQ_PROD"] == 2 | 1 << 31)
    guest["EVENTQ_CONS"] = 2 | 1 << 31
    for i in 0..<UInt32(2) { guest.fault(i) }
    #expect(guest["EVENTQ_PROD"] == 0 | 1 << 31)
    guest.fault(2)
    #expect(guest["EVENTQ_PROD"] == 0)
  }

  @Test("an unacknowledged overflow blocks no record and is not told twice (R-185)")
  func unacknowledgedOverflow() {
    let guest = Guest.started(eventBits: 1)
    for i in 0..<UInt32(3) { guest.fault(i) }
    // One slot is freed, OVACKFLG stays.
    guest["EVENTQ_CONS"] = 1
    guest.fault(7)
    #expect(guest["EVENTQ_PROD"] == 3 | 1 << 31)
    guest.fault(8)
    #expect(guest["EVENTQ_PROD"] == 3 | 1 << 31)
    #expect(guest.takeFaults() == [1, 7])
  }

  @Test("what hardware lost is an overflow where this queue is full (R-181, R-183, R-185)")
  func lostBefore() {
    let guest = Guest.started(eventBits: 1)
    guest.fault(0)
    guest.smmu.recordLoss()
    #expect(guest["EVENTQ_PROD"] == 1)
    guest.fault(1)
    guest["CR0"] = 0x9
    guest.smmu.recordLoss()
    #expect(guest["EVENTQ_PROD"] == 2)
    guest["CR0"] = 0xd
    guest.smmu.recordLoss()
    #expect(guest["EVENTQ_PROD"] == 2 | 1 << 31)
    guest.smmu.recordLoss()
    #expect(guest["EVENTQ_PROD"] == 2 | 1 << 31)
    guest["EVENTQ_CONS"] = 2 | 1 << 31
    guest.smmu.recordLoss()
    #expect(guest["EVENTQ_PROD"] == 2 | 1 << 31)
    #expect(guest.smmu.counters[.eventsDropped] == 0)
  }

  @Test("an OVACKFLG that differs hides the next overflow (R-188)")
  func wrongAcknowledge() {
    let guest = Guest.started(eventBits: 0)
    guest["EVENTQ_CONS"] = 1 << 31
    guest.fault(1)
    guest.fault(2)
    #expect(guest["EVENTQ_PROD"] == 1)
  }

  @Test("contradicting indices count as full (R-156)")
  func inconsistent() {
    let guest = Guest.started(eventBits: 2)
    guest["EVENTQ_CONS"] = 1
    guest.fault()
    #expect(guest["EVENTQ_PROD"] == 1 << 31)
    #expect(guest.machine.written.isEmpty)
    guest["EVENTQ_CONS"] = 1 << 31
    guest.fault(4)
    #expect(guest["EVENTQ_PROD"] == 1 | 1 << 31)
    #expect(guest.takeFaults() == [4])
  }

  @Test("a queue that is enabled part-full goes on from there (R-266)")
  func partFull() {
    let guest = Guest.started(eventBits: 2)
    guest["CR0"] = 0x9
    guest["EVENTQ_PROD"] = 6
    guest["EVENTQ_CONS"] = 3
    guest["CR0"] = 0xd
    guest.fault(1)
    #expect(guest["EVENTQ_PROD"] == 7)
    guest.fault(2)
    #expect(guest["EVENTQ_PROD"] == 7 | 1 << 31)
  }

  @Test("records are in memory before PROD shows them (R-157)")
  func recordFirst() {
    let guest = Guest.started()
    let queue = guest.machine.outside.lowerBound
    guest["CR0"] = 0x9
    guest["EVENTQ_BASE"] = queue | 4
    guest["CR0"] = 0xd
    var seen: [UInt64] = []
    guest.machine.onCall = { call in
      guard case .write(let address) = call else { return }
      seen.append(address)
      #expect(guest.smmu.registers[.queue(.prod, .event)] == 0)
    }
    guest.fault(5)
    #expect(seen == [queue])
    #expect(guest.machine[queue] == 0x8000_0005_0000_0002)
    #expect(guest["EVENTQ_PROD"] == 1)
  }

  @Test("records that software has not consumed are not rewritten (R-384)")
  func keepsRecords() {
    let guest = Guest.started(eventBits: 1)
    for i in 0..<UInt32(2) { guest.fault(i) }
    let before = (0..<UInt64(8)).map { guest.machine[Guest.eventQueue + $0 * 8] }
    for i in 2..<UInt32(6) { guest.fault(i) }
    #expect((0..<UInt64(8)).map { guest.machine[Guest.eventQueue + $0 * 8] } == before)
  }

  @Test("equal events are recorded each (R-195)")
  func noMerging() {
    let guest = Guest.started()
    for _ in 0..<3 { guest.fault(1) }
    #expect(guest.takeFaults() == [1, 1, 1])
  }

  @Test("LOG2SIZE is capped and the base aligned (R-148, R-149)")
  func capsAndAligns() {
    var features = Features.full
    features[.idr1, IDR1.eventqs] = 1
    let guest = Guest.started(features, eventBits: 31)
    #expect(guest["EVENTQ_BASE"] & 0x1f == 31)
    guest["CR0"] = 0x9
    guest["EVENTQ_BASE"] = Guest.eventQueue | 0x20 | 31
    guest["CR0"] = 0xd
    for i in 0..<UInt32(3) { guest.fault(i) }
    #expect(guest["EVENTQ_PROD"] == 2 | 1 << 31)
    #expect(guest.machine[Guest.eventQueue] == 0x8000_0000_0000_0002)
  }

  @Test("index bits above the wrap bit read as zero (R-154)")
  func indexBits() {
    let guest = Guest.started()
    guest["EVENTQ_CONS"] = .max
    #expect(guest["EVENTQ_CONS"] == 0xf | 1 << 31)
    guest["CR0"] = 0x9
    guest["EVENTQ_PROD"] = .max
    #expect(guest["EVENTQ_PROD"] == 0xf | 1 << 31)
  }

  // MARK: Aborts

  private func abortingGuest() -> Guest {
    let guest = Guest.started()
    let base = guest.machine.outside.lowerBound
    guest["CR0"] = 0x9
    guest["EVENTQ_BASE"] = base | 3
    guest.machine.aborting = [base]
    guest["CR0"] = 0xd
    return guest
  }

  @Test("an abort of the write loses the record, moves nothing, raises an error (R-192, R-193)")
  func abort() {
    let guest = abortingGuest()
    guest.fault(1)
    #expect(guest["EVENTQ_PROD"] == 0)
    #expect(guest.activeErrors == 1 << 2)
    #expect(guest.machine.pulses == [.globalError])
    #expect(guest.machine.reports == [.eventQueueAbort])
  }

  @Test("while the error is active nothing is delivered, and that is no overflow (R-131, R-183)")
  func stopped() {
    let guest = abortingGuest()
    guest.fault(1)
    guest.machine.aborting = []
    guest.fault(2)
    #expect(guest["EVENTQ_PROD"] == 0)
    #expect(guest.machine.outsideBytes.prefix(64).allSatisfy { $0 == 0 })
  }

  @Test("after the acknowledge new events are recorded, lost ones are not (R-194)")
  func resumes() {
    let guest = abortingGuest()
    guest.fault(1)
    guest.machine.aborting = []
    guest.fault(2)
    guest.acknowledgeErrors()
    #expect(guest["EVENTQ_PROD"] == 0)
    guest.fault(3)
    #expect(guest["EVENTQ_PROD"] == 1)
    #expect(guest.machine[guest.machine.outside.lowerBound] == 0x8000_0003_0000_0002)
  }

  @Test("a command error does not stop events (R-131)")
  func independent() {
    let guest = Guest.started()
    guest.command(Guest.illegal)
    guest.fault(1)
    #expect(guest.takeFaults() == [1])
  }

  @Test("C_BAD_STREAMID is recorded only with RECINVSID (R-083, R-142)")
  func recordInvalid() {
    let guest = Guest.started()
    guest["CR0"] = 0xc
    guest["CR2"] = 0
    guest["CR0"] = 0xd
    #expect(guest.translate(0x8000_0000, 0).kind == .abort)
    #expect(guest["EVENTQ_PROD"] == 0)
    guest["CR0"] = 0xc
    guest["CR2"] = 2
    guest["CR0"] = 0xd
    #expect(guest.translate(0x8000_0000, 0).kind == .abort)
    #expect(guest["EVENTQ_PROD"] == 1)
  }
}
