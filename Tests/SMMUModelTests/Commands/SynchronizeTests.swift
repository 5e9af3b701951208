// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("CMD_SYNC")
struct SynchronizeTests {
  private static let target = GuestMachine.ramBase + 0x30_0000

  /// A SYNC that signals by CS = 1.
  private func sync(_ address: UInt64, _ data: UInt64) -> (UInt64, UInt64) {
    (0x46 | 1 << 12 | data << 32, address)
  }

  @Test("CS 0 and 2 signal nothing, whatever the MSI fields (R-353, R-354, R-356)",
    arguments: [0, 2])
  func silent(cs: UInt64) {
    let guest = Guest.started()
    guest.command((0x46 | cs << 12 | 0xfc0_0000 | 7 << 32, Self.target))
    #expect(guest["CMDQ_CONS"] == 1)
    #expect(guest.machine.pulses == [])
    #expect(guest.machine[Self.target] == 0)
    #expect(guest.machine.messages.isEmpty)
    #expect(guest.smmu.counters[.syncs] == 1)
  }

  @Test("CS 3 is illegal (R-353)")
  func reserved() {
    let guest = Guest.started()
    guest.command((0x46 | 3 << 12, 0))
    #expect(guest["CMDQ_CONS"] == 1 << 24)
    #expect(guest.machine.pulses == [.globalError])
    #expect(guest.smmu.counters[.syncs] == 0)
  }

  @Test("CS 1 writes 32 bits of MSIData to memory and pulses the wire (R-355, R-358, R-109)")
  func message() {
    let guest = Guest.started()
    guest.machine[Self.target] = .max
    guest.command(sync(Self.target, 0x1122_3344))
    #expect(guest.machine[Self.target] == 0xffff_ffff_1122_3344)
    #expect(guest.machine.pulses == [.sync])
    #expect(guest.machine.written.map(\.address) == [Self.target])
    #expect(guest.machine.written.map(\.count) == [4])
    // MSIAddress[1:0] do not exist.
    guest.command(sync(Self.target + 8 + 3, 5))
    #expect(guest.machine[Self.target + 8] == 5)
  }

  @Test("an MSI outside RAM goes to the machine (R-355)")
  func doorbell() {
    let guest = Guest.started()
    guest.command(sync(0x0802_0040, 9))
    #expect(guest.machine.messages.map(\.address) == [0x0802_0040])
    #expect(guest.machine.messages.map(\.data) == [9])
    #expect(guest.activeErrors == 0)
  }

  @Test("MSIAddress 0 sends none, the wire pulses all the same (R-355)")
  func noMessage() {
    let guest = Guest.started()
    guest.command(sync(0, 9))
    #expect(guest.machine.messages.isEmpty)
    #expect(guest.machine.pulses == [.sync])
    #expect(guest.activeErrors == 0)
  }

  @Test("without MSIs the address is ignored, the wire pulses (R-355, R-106)")
  func withoutMSI() {
    var features = Features.full
    features[.idr0, IDR0.msi] = 0
    let guest = Guest.started(features)
    guest.command(sync(Self.target, 9))
    #expect(guest.machine[Self.target] == 0)
    #expect(guest.machine.pulses == [.sync])
  }

  @Test("without wires there is the MSI alone (R-355)")
  func withoutWires() {
    var options = Options()
    options.hasWiredInterrupts = false
    let guest = Guest.started(.full, options)
    guest.command(sync(Self.target, 9))
    #expect(guest.machine[Self.target] == 9)
    #expect(guest.machine.pulses == [])
  }

  @Test("the completion interrupt has no enable in IRQ_CTRL (R-116)")
  func noEnable() {
    let guest = Guest.started()
    guest["IRQ_CTRL"] = 0
    guest.command(sync(Self.target, 9))
    #expect(guest.machine[Self.target] == 9)
    #expect(guest.machine.pulses == [.sync])
  }

  @Test("the zero test takes the whole address, the write is truncated (R-357, R-110)")
  func truncation() {
    var features = Features.full
    features[.idr5, IDR5.oas] = 0
    let guest = Guest.started(features)
    // Not zero, but zero within 32 bits.
    guest.command(sync(1 << 40, 7))
    #expect(guest.machine.messages.map(\.address) == [0])
    guest.command(sync(1 << 40 | Self.target, 8))
    #expect(guest.machine[Self.target] == 8)
  }

  @Test("an MSI that aborts is told in GERROR, and the queue goes on (R-120)")
  func abort() {
    let guest = Guest.started()
    guest.machine.messagesAccepted = false
    guest.command(sync(0x0802_0040, 9), numbered(1))
    #expect(guest.machine.takeNumbers() == [1])
    #expect(guest.activeErrors == 1 << 4)
    #expect(guest["CMDQ_CONS"] == 2)
    #expect(guest.machine.reports == [.messageAbort(address: 0x0802_0040)])
    // Not acknowledged, and still later MSIs are sent.
    guest.machine.messagesAccepted = true
    guest.command(sync(0x0802_0040, 10))
    #expect(guest.machine.messages.map(\.data) == [10])
    #expect(guest.activeErrors == 1 << 4)
  }

  @Test("CONS passes a SYNC before its interrupt can be heard (R-112)")
  func consumedFirst() {
    let guest = Guest.started()
    var heard: [GuestMachine.Call] = []
    guest.machine.onCall = { call in
      heard.append(call)
      #expect(guest.smmu.registers[.queue(.cons, .command)] == 1)
    }
    guest.command(sync(0x0802_0040, 9))
    #expect(heard == [.signal(0x0802_0040, 9), .pulse(.sync)])
  }

  @Test("what follows a SYNC waits for it (R-361)")
  func orderAfter() {
    let guest = Guest.started()
    var calls: [GuestMachine.Call] = []
    guest.machine.onCall = { calls.append($0) }
    guest.command(numbered(1), sync(0x0802_0040, 9), numbered(2))
    #expect(
      calls == [
        .notice(.translations(.vmid(1))), .signal(0x0802_0040, 9), .pulse(.sync),
        .notice(.translations(.vmid(2))),
      ])
  }

  @Test("SYNCs signal in order, an abort before the next completes (R-365)")
  func orderOfSyncs() {
    let guest = Guest.started()
    guest.machine.messagesAccepted = false
    var atSecond: UInt64?
    guest.machine.onCall = { call in
      if call == .signal(0x0802_0044, 2) {
        atSecond = guest.smmu.registers[.gerror]
        #expect(guest.smmu.registers[.queue(.cons, .command)] == 2)
      }
    }
    guest.command(sync(0x0802_0040, 1), sync(0x0802_0044, 2))
    #expect(atSecond == 1 << 4)
  }

  @Test("a SYNC waits for accesses that may use what was invalidated (R-315, R-362)")
  func drains() {
    let guest = Guest.started()
    let token = guest.smmu.beginAccess()
    var waited = 0
    guest.machine.onRelax = {
      waited += 1
      #expect(guest.smmu.registers[.queue(.cons, .command)] == 1)
      if waited == 3 { guest.smmu.endAccess(token) }
    }
    guest.command(numbered(1), sync(Self.target, 9))
    #expect(waited == 3)
    #expect(guest["CMDQ_CONS"] == 2)
    #expect(guest.machine[Self.target] == 9)
  }

  @Test("a SYNC with nothing before it waits for nobody")
  func nothingToWaitFor() {
    let guest = Guest.started()
    guest.command(numbered(1), Guest.sync)
    let token = guest.smmu.beginAccess()
    guest.machine.onRelax = { Issue.record("waited") }
    guest.command(Guest.sync)
    guest.smmu.endAccess(token)
    #expect(guest.smmu.counters[.syncs] == 2)
  }

  @Test("events of earlier transactions are in the queue when a SYNC completes (R-363)")
  func eventsFirst() {
    let guest = Guest.started()
    _ = guest.translate(0x1000, 0x40)
    var atSync: UInt64?
    guest.machine.onCall = { call in
      if call == .pulse(.sync) { atSync = guest.smmu.registers[.queue(.prod, .event)] }
    }
    guest.command(sync(0, 0))
    #expect(atSync == 1)
  }
}
