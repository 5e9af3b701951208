// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("Reset and bring-up")
struct ResetTests {
  private func values(_ guest: Guest) -> [UInt32] {
    (0..<UInt64(0x400)).map { guest.read32($0 * 4) }
  }

  @Test("after creation all is off and zero (R-020, R-021, R-261)")
  func initial() {
    let guest = Guest()
    let zero = [
      "CR0", "CR0ACK", "CR1", "CR2", "STATUSR", "IRQ_CTRL", "IRQ_CTRLACK", "GERROR", "GERRORN",
      "STRTAB_BASE", "STRTAB_BASE_CFG", "CMDQ_BASE", "CMDQ_PROD", "CMDQ_CONS", "EVENTQ_BASE",
      "EVENTQ_PROD", "EVENTQ_CONS", "EVENTQ_IRQ_CFG0", "GERROR_IRQ_CFG0",
    ]
    for name in zero { #expect(guest[name] == 0, "\(name)") }
    #expect(guest["GBPA"] >> 31 == 0)
    #expect(guest.translate(3, 0x5000).address == 0x5000)
  }

  @Test("reset returns every register to its reset value (R-263)")
  func resetsAll() {
    let guest = Guest()
    let fresh = values(guest)
    for offset in stride(from: UInt64(0xffc), through: 0x20, by: -4) {
      guest.write32(offset, 0xffff_ffff)
    }
    guest.smmu.raise(GlobalError.serviceFailure)
    #expect(values(guest) != fresh)
    guest.smmu.reset()
    #expect(values(guest) == fresh)
    // Sizes go back too: a small queue works after a large one.
    guest.start(commandBits: 1)
    for i in 0..<UInt64(5) { guest.command(numbered(i)) }
    #expect(guest.machine.takeNumbers() == [0, 1, 2, 3, 4])
  }

  @Test("reset empties the caches and says so (R-262, R-263)")
  func resetsCaches() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    #expect(streams.reads(1) == streams.first)
    streams.remap()
    _ = guest.machine.takeStale()
    guest.smmu.reset()
    #expect(guest.machine.stale.contains(.translations(.everything)))
    guest.start()
    #expect(streams.reads(1) == streams.second)
  }

  @Test("the order of a driver's bring-up works (R-264)")
  func bringUp() {
    let guest = Guest()
    guest["CR1"] = 0xd75
    guest["CR2"] = 2
    guest["STRTAB_BASE"] = Guest.streamTable
    guest["STRTAB_BASE_CFG"] = 8
    guest["CMDQ_BASE"] = Guest.commandQueue | 8
    guest["CMDQ_CONS"] = 0
    guest["CMDQ_PROD"] = 0
    guest["CR0"] = 8
    #expect(guest["CR0ACK"] == 8)
    guest.command((0x04, 31), Guest.sync)
    guest.command((0x30, 0), Guest.sync)
    #expect(guest["CMDQ_CONS"] == 4)
    guest["EVENTQ_BASE"] = Guest.eventQueue | 7
    guest["EVENTQ_PROD"] = 0
    guest["EVENTQ_CONS"] = 0
    guest["CR0"] = 0xc
    #expect(guest["CR0ACK"] == 0xc)
    guest["IRQ_CTRL"] = 5
    #expect(guest["IRQ_CTRLACK"] == 5)
    guest["CR0"] = 0xd
    #expect(guest["CR0ACK"] == 0xd)
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    #expect(streams.reads(1) == streams.first)
    guest.fault(1)
    #expect(guest.takeFaults() == [1])
    #expect(guest["GERROR"] == 0)
  }

  @Test("another owner takes over without a reset (R-267)")
  func handover() {
    let guest = Guest.started()
    guest.fault(1)
    guest.command(Guest.illegal)
    // The next owner: enables off, everything else anew.
    guest["CR0"] = 0
    guest["IRQ_CTRL"] = 0
    #expect(guest["CR0ACK"] == 0)
    #expect(guest["IRQ_CTRLACK"] == 0)
    guest["GERRORN"] = guest["GERROR"]
    _ = guest.machine.takePulses()
    let values: [(String, UInt64)] = [
      ("CR1", 0x555), ("CR2", 2), ("STRTAB_BASE", Guest.streamTable + 0x8000),
      ("STRTAB_BASE_CFG", 9), ("CMDQ_BASE", Guest.commandQueue | 5), ("CMDQ_PROD", 0),
      ("CMDQ_CONS", 0), ("EVENTQ_BASE", Guest.eventQueue | 5), ("EVENTQ_PROD", 0),
      ("EVENTQ_CONS", 0), ("EVENTQ_IRQ_CFG0", 0x0802_0040), ("EVENTQ_IRQ_CFG1", 3),
      ("EVENTQ_IRQ_CFG2", 0x25), ("GERROR_IRQ_CFG0", 0x0802_0044), ("GERROR_IRQ_CFG1", 4),
      ("GERROR_IRQ_CFG2", 0x25),
    ]
    for (name, value) in values {
      guest[name] = value
      #expect(guest[name] == value, "\(name)")
    }
    guest["IRQ_CTRL"] = 5
    guest["CR0"] = 0xd
    guest.command(numbered(6))
    #expect(guest.machine.takeNumbers() == [6])
    guest.fault(2)
    #expect(guest.takeFaults() == [2])
    #expect(guest.machine.messages.map(\.data) == [3])
  }
}
