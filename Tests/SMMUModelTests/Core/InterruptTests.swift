// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("Interrupts")
struct InterruptTests {
  private static let target = GuestMachine.ramBase + 0x30_0000

  /// MSIs of both sources configured, then enabled.
  private func messages(
    _ event: UInt64 = 0x0802_0040, _ error: UInt64 = 0x0802_0044, features: Features = .full,
    options: Options = Options()
  ) -> Guest {
    let guest = Guest.started(features, options)
    guest["IRQ_CTRL"] = 0
    guest["EVENTQ_IRQ_CFG0"] = event
    guest["EVENTQ_IRQ_CFG1"] = 0xe
    guest["GERROR_IRQ_CFG0"] = error
    guest["GERROR_IRQ_CFG1"] = 0xf
    guest["IRQ_CTRL"] = 5
    return guest
  }

  @Test("the event queue interrupts when it was empty, and not again (R-113)")
  func emptyToNonEmpty() {
    let guest = Guest.started()
    for _ in 0..<3 { guest.fault() }
    #expect(guest.machine.takePulses() == [.eventQueue])
    // Part of it consumed: still not empty.
    guest["EVENTQ_CONS"] = 1
    guest.fault()
    #expect(guest.machine.takePulses() == [])
    _ = guest.takeEvents()
    guest.fault()
    #expect(guest.machine.takePulses() == [.eventQueue])
  }

  @Test("a queue of one entry interrupts for each record after it was emptied (R-113)")
  func oneEntry() {
    let guest = Guest.started(eventBits: 0)
    for _ in 0..<4 {
      guest.fault()
      #expect(guest.machine.takePulses() == [.eventQueue])
      _ = guest.takeEvents()
    }
  }

  @Test("wire and MSI go together (R-107, R-109, R-121)")
  func both() {
    let guest = messages()
    guest.fault()
    #expect(guest.machine.pulses == [.eventQueue])
    #expect(guest.machine.messages.map(\.address) == [0x0802_0040])
    #expect(guest.machine.messages.map(\.data) == [0xe])
    guest.command(Guest.illegal)
    #expect(guest.machine.pulses == [.eventQueue, .globalError])
    #expect(guest.machine.messages.map(\.address) == [0x0802_0040, 0x0802_0044])
    #expect(guest.machine.messages.map(\.data) == [0xe, 0xf])
  }

  @Test("an MSI to RAM is one 32-bit little-endian write, not translated (R-109, R-110)")
  func toMemory() {
    let guest = messages(Self.target)
    guest.machine[Self.target] = .max
    guest.fault()
    #expect(guest.machine[Self.target] == 0xffff_ffff_0000_000e)
    // Of two writes, the record came first.
    #expect(guest.machine.written.map(\.address) == [Guest.eventQueue, Self.target])
  }

  @Test("address 0 sends no MSI, which is no error (R-108)")
  func zeroAddress() {
    let guest = messages(0, 0)
    guest.machine.messagesAccepted = false
    guest.fault()
    #expect(guest.machine.pulses == [.eventQueue])
    #expect(guest.activeErrors == 0)
  }

  @Test("without MSIs the enable and the wire are all there is (R-106)")
  func withoutMSI() {
    var features = Features.full
    features[.idr0, IDR0.msi] = 0
    let guest = messages(features: features)
    for name in ["EVENTQ_IRQ_CFG0", "EVENTQ_IRQ_CFG1", "GERROR_IRQ_CFG0", "GERROR_IRQ_CFG1"] {
      #expect(guest[name] == 0)
    }
    guest.fault()
    #expect(guest.machine.messages.isEmpty)
    #expect(guest.machine.pulses == [.eventQueue])
  }

  @Test("without wires there are MSIs alone (R-107)")
  func withoutWires() {
    var options = Options()
    options.hasWiredInterrupts = false
    let guest = messages(options: options)
    guest.fault()
    guest.command(Guest.illegal)
    #expect(guest.machine.pulses == [])
    #expect(guest.machine.messages.map(\.data) == [0xe, 0xf])
  }

  @Test("a disabled source is silent in both ways (R-107, R-118, R-129)")
  func disabled() {
    let guest = messages()
    guest["IRQ_CTRL"] = 0
    #expect(guest["IRQ_CTRLACK"] == 0)
    guest.fault()
    guest.command(Guest.illegal)
    #expect(guest.machine.pulses == [])
    #expect(guest.machine.messages.isEmpty)
    #expect(guest.activeErrors == 1)
    #expect(guest["EVENTQ_PROD"] == 1)
  }

  @Test("each source has its own enable (R-107, R-129)")
  func ownEnables() {
    let guest = messages()
    guest["IRQ_CTRL"] = 4
    guest.command(Guest.illegal)
    #expect(guest.machine.pulses == [])
    guest.fault()
    #expect(guest.machine.takePulses() == [.eventQueue])
    guest.acknowledgeErrors()
    _ = guest.takeEvents()
    guest["IRQ_CTRL"] = 1
    guest.fault()
    #expect(guest.machine.takePulses() == [])
    guest["GERRORN"] = guest["GERROR"]
    #expect(guest.machine.takePulses() == [.globalError])
  }

  @Test("enabling tells nothing of the past (R-117)")
  func lateEnable() {
    let guest = messages()
    guest["IRQ_CTRL"] = 0
    guest.fault()
    guest.command(Guest.illegal)
    guest["IRQ_CTRL"] = 5
    #expect(guest.machine.pulses == [])
    #expect(guest.machine.messages.isEmpty)
    // Not even the next record, as the queue was not empty.
    guest.fault()
    #expect(guest.machine.pulses == [])
  }

  @Test("an interrupt is one edge: reading and acknowledging make no more (R-119)")
  func edges() {
    let guest = messages()
    guest.fault()
    guest.command(Guest.illegal)
    _ = guest.machine.takePulses()
    _ = guest.machine.takeMessages()
    guest["CMDQ_PROD"] = 0
    guest.acknowledgeErrors()
    _ = guest.takeEvents()
    _ = guest["GERROR"]
    guest["IRQ_CTRL"] = 5
    #expect(guest.machine.pulses == [])
    #expect(guest.machine.messages.isEmpty)
  }

  @Test("the cause is visible before the interrupt (R-112)")
  func causeFirst() {
    let guest = messages()
    var seen = 0
    guest.machine.onCall = { call in
      switch call {
      case .pulse(.eventQueue), .signal(0x0802_0040, _):
        seen += 1
        #expect(guest.smmu.registers[.queue(.prod, .event)] == 1)
      case .pulse(.globalError), .signal(0x0802_0044, _):
        seen += 1
        #expect(guest.smmu.registers[.gerror] == 1)
      default: break
      }
    }
    guest.fault()
    guest.command(Guest.illegal)
    #expect(seen == 4)
  }

  @Test("an event MSI that aborts is an error of its own, and the next is sent (R-120, R-114)")
  func eventMessageAbort() {
    let guest = messages(0x0802_0040, Self.target)
    guest.machine.messagesAccepted = false
    guest.fault()
    #expect(guest.activeErrors == 1 << 5)
    #expect(guest["EVENTQ_PROD"] == 1)
    // The error interrupt of that abort went to RAM.
    #expect(guest.machine[Self.target] == 0xf)
    guest.machine.messagesAccepted = true
    _ = guest.takeEvents()
    guest.fault()
    #expect(guest.machine.messages.map(\.data) == [0xe])
    #expect(guest.activeErrors == 1 << 5)
  }

  @Test("an error MSI that aborts makes no interrupt again (R-114, R-120)")
  func errorMessageAbort() {
    let guest = messages()
    guest.machine.messagesAccepted = false
    guest.command(Guest.illegal)
    #expect(guest.activeErrors == 1 | 1 << 7)
    #expect(guest.machine.pulses == [.globalError])
    #expect(guest.machine.reports.contains(.messageAbort(address: 0x0802_0044)))
  }

  @Test("every other error interrupts (R-114)")
  func everyError() {
    let errors = [
      GlobalError.cmdq, GlobalError.eventqAbort, GlobalError.msiCmdqAbort,
      GlobalError.msiEventqAbort,
    ]
    for error in errors {
      let guest = Guest.started()
      guest.smmu.raise(error)
      #expect(guest.machine.pulses == [.globalError], "\(error.name)")
    }
    let guest = Guest.started()
    guest.smmu.raise(GlobalError.msiGerrorAbort)
    #expect(guest.machine.pulses == [])
    #expect(guest.activeErrors == 1 << 7)
  }
}
