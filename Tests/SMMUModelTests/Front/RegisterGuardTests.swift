// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// A register and what must be off before it may change.
struct GuardCase: Sendable, CustomTestStringConvertible {
  let name: String
  /// The enabling register, its acknowledgement and the bit that guards.
  let control: Register
  let acknowledge: Register
  let bit: UInt64

  init(_ name: String, cr0 bit: UInt64) {
    (self.name, control, acknowledge, self.bit) = (name, .cr0, .cr0ack, bit)
  }
  init(_ name: String, irq bit: UInt64) {
    (self.name, control, acknowledge, self.bit) = (name, .irqCtrl, .irqCtrlAck, bit)
  }

  var testDescription: String { name }

  static let all: [GuardCase] = [
    GuardCase("CR2", cr0: 1), GuardCase("STRTAB_BASE", cr0: 1),
    GuardCase("STRTAB_BASE_CFG", cr0: 1), GuardCase("CMDQ_BASE", cr0: 8),
    GuardCase("CMDQ_CONS", cr0: 8), GuardCase("EVENTQ_BASE", cr0: 4),
    GuardCase("EVENTQ_PROD", cr0: 4), GuardCase("GERROR_IRQ_CFG0", irq: 1),
    GuardCase("GERROR_IRQ_CFG1", irq: 1), GuardCase("GERROR_IRQ_CFG2", irq: 1),
    GuardCase("EVENTQ_IRQ_CFG0", irq: 4), GuardCase("EVENTQ_IRQ_CFG1", irq: 4),
    GuardCase("EVENTQ_IRQ_CFG2", irq: 4),
  ]
}

@Suite("Write guards")
struct RegisterGuardTests {
  /// A value that differs from zero in bits that every register has.
  private func value(_ name: String) -> UInt64 {
    let mask = Guest.row(name).implemented(.full)
    return mask & 0x0000_5a5a_5a5a_5a5e
  }

  private func set(_ guest: Guest, _ test: GuardCase, _ control: UInt64, _ acknowledge: UInt64) {
    guest.smmu.registers[test.control] = control
    guest.smmu.registers[test.acknowledge] = acknowledge
  }

  @Test(
    "a guarded register changes only while its guard is off, acknowledged too (R-015, R-056)",
    arguments: GuardCase.all)
  func guarded(test: GuardCase) {
    let everything: UInt64 = test.control == .cr0 ? 0xd : 5
    let guest = Guest()
    let value = value(test.name)
    #expect(value != 0)
    // On, being turned on, being turned off: refused.
    for (control, acknowledge) in [(test.bit, test.bit), (test.bit, 0), (0, test.bit)] {
      set(guest, test, control, acknowledge)
      guest[test.name] = value
      #expect(guest[test.name] == 0, "\(control), \(acknowledge)")
    }
    // All other enables on: accepted. CMDQ_CONS may not be consumed, so PROD follows it.
    guest.smmu.registers[.queue(.prod, .command)] = value & 1
    set(guest, test, everything & ~test.bit, everything & ~test.bit)
    guest[test.name] = value
    #expect(guest.smmu.registers[Guest.row(test.name).register] == value)
  }

  @Test(
    "each half of a guarded register is refused on its own (R-016)",
    arguments: GuardCase.all.filter { Guest.row($0.name).register.width == 8 })
  func halves(test: GuardCase) {
    let guest = Guest()
    let offset = UInt64(Guest.row(test.name).offset)
    let value = value(test.name)
    set(guest, test, test.bit, test.bit)
    guest.write32(offset, UInt32(value & 0xffff_ffff))
    guest.write32(offset + 4, UInt32(value >> 32))
    #expect(guest[test.name] == 0)
    set(guest, test, 0, 0)
    guest.write32(offset + 4, UInt32(value >> 32))
    set(guest, test, test.bit, test.bit)
    guest.write32(offset, UInt32(value & 0xffff_ffff))
    #expect(guest[test.name] == value & ~0xffff_ffff)
  }

  @Test("the stream table is fixed while SMMUEN is 1 (R-133)")
  func streamTable() {
    let guest = Guest.started()
    guest["STRTAB_BASE"] = 0x1234_0000
    guest["STRTAB_BASE_CFG"] = 3
    #expect(guest["STRTAB_BASE"] == Guest.streamTable)
    #expect(guest["STRTAB_BASE_CFG"] == 8)
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = 0x1234_0000
    guest["STRTAB_BASE_CFG"] = 3
    #expect(guest["STRTAB_BASE"] == 0x1234_0000)
    #expect(guest["STRTAB_BASE_CFG"] == 3)
  }

  @Test("CR2 is fixed while SMMUEN is 1 (R-081)")
  func controls() {
    let guest = Guest.started()
    guest["CR2"] = 0
    #expect(guest["CR2"] == 2)
    guest["CR0"] = 0xc
    guest["CR2"] = 0
    #expect(guest["CR2"] == 0)
  }

  @Test("a queue's base and SMMU-owned index are fixed while it is on (R-151, R-152)")
  func queues() {
    let guest = Guest.started()
    guest.fault()
    guest.command(Guest.sync)
    for name in ["CMDQ_BASE", "CMDQ_CONS", "EVENTQ_BASE", "EVENTQ_PROD"] {
      let before = guest[name]
      guest[name] = 7
      #expect(guest[name] == before, "\(name)")
    }
    guest["CR0"] = 1
    for name in ["CMDQ_BASE", "CMDQ_CONS", "EVENTQ_BASE", "EVENTQ_PROD"] {
      guest[name] = 7
      #expect(guest[name] == 7, "\(name)")
    }
  }

  @Test("software's own indices are writable at any time (R-153)")
  func ownIndices() {
    let guest = Guest.started()
    for enables: UInt64 in [0xd, 0] {
      guest["CR0"] = enables
      // Contradicting, so that nothing is consumed.
      guest["CMDQ_PROD"] = 13
      #expect(guest["CMDQ_PROD"] == 13)
      guest["CMDQ_PROD"] = 0
      guest["EVENTQ_CONS"] = 5 | 1 << 31
      #expect(guest["EVENTQ_CONS"] == 5 | 1 << 31)
      guest["EVENTQ_CONS"] = 0
    }
  }

  @Test("interrupt configuration is fixed while its source is enabled (R-104, R-103)")
  func interrupts() {
    let guest = Guest()
    for prefix in ["EVENTQ", "GERROR"] {
      guest["IRQ_CTRL"] = 0
      guest["\(prefix)_IRQ_CFG0"] = 0x0802_0040
      guest["\(prefix)_IRQ_CFG1"] = 0xdead_beef
      guest["\(prefix)_IRQ_CFG2"] = 0x2f
      guest["IRQ_CTRL"] = prefix == "EVENTQ" ? 4 : 1
      for i in 0..<3 { guest["\(prefix)_IRQ_CFG\(i)"] = 0 }
      #expect(guest["\(prefix)_IRQ_CFG0"] == 0x0802_0040)
      #expect(guest["\(prefix)_IRQ_CFG1"] == 0xdead_beef)
      #expect(guest["\(prefix)_IRQ_CFG2"] == 0x2f)
      // The other source's enable does not matter.
      guest["IRQ_CTRL"] = prefix == "EVENTQ" ? 1 : 4
      guest["\(prefix)_IRQ_CFG1"] = 1
      #expect(guest["\(prefix)_IRQ_CFG1"] == 1)
    }
  }

  @Test("CR1: tables by SMMUEN, queues by all queues, each half alone (R-078, R-079)")
  func accessAttributes() {
    let cases: [(UInt64, UInt64)] = [
      (0x0, 0xfff), (0x1, 0x03f), (0x4, 0xfc0), (0x8, 0xfc0), (0xc, 0xfc0), (0xd, 0), (0x5, 0),
    ]
    for (enables, open) in cases {
      let guest = Guest()
      guest.smmu.registers[.cr0] = enables
      guest.smmu.registers[.cr0ack] = enables
      guest["CR1"] = 0xfff
      #expect(guest["CR1"] == open, "CR0 \(enables)")
      // On its way on or off is not off.
      for (control, acknowledge) in [(enables, UInt64(0)), (0, enables)] where enables != 0 {
        let other = Guest()
        other.smmu.registers[.cr0] = control
        other.smmu.registers[.cr0ack] = acknowledge
        other["CR1"] = 0xfff
        #expect(other["CR1"] == open, "CR0 \(control) ACK \(acknowledge)")
      }
    }
  }

  @Test("read-only registers ignore writes (R-009)")
  func readOnly() {
    let guest = Guest.started()
    guest.smmu.raise(GlobalError.eventqAbort)
    for (name, value): (String, UInt64) in [("CR0ACK", 0xd), ("IRQ_CTRLACK", 5), ("GERROR", 4)] {
      guest[name] = 0
      #expect(guest[name] == value)
      guest[name] = .max
      #expect(guest[name] == value)
    }
  }

  @Test("hint bits read back and change nothing (R-159)")
  func hints() {
    let guest = Guest.started()
    guest["CR0"] = 0
    for name in ["CMDQ_BASE", "EVENTQ_BASE", "STRTAB_BASE"] { guest[name] |= 1 << 62 }
    guest["CR1"] = 0
    guest["CR0"] = 0xd
    guest.command(numbered(1))
    #expect(guest.machine.takeNumbers() == [1])
    guest.fault(2)
    #expect(guest.takeFaults() == [2])
    for name in ["CMDQ_BASE", "EVENTQ_BASE", "STRTAB_BASE"] { #expect(guest[name] >> 62 == 1) }
  }
}
