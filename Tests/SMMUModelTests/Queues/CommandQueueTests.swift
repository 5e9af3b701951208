// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Commands that leave a trace: each invalidates a VMID of its own.
func numbered(_ number: UInt64) -> (UInt64, UInt64) { (0x28 | number << 32, 0) }

extension GuestMachine {
  /// The numbers of `numbered` commands that took effect since the last call.
  func takeNumbers() -> [UInt64] {
    takeStale().compactMap {
      if case .translations(.vmid(let vmid)) = $0 { UInt64(vmid) } else { nil }
    }
  }
}

extension Guest {
  static let illegal: (UInt64, UInt64) = (0xff, 0)

  /// Writes an entry without publishing it.
  func place(_ command: (UInt64, UInt64), slot: UInt64, base: UInt64 = Guest.commandQueue) {
    machine[base + slot * 16] = command.0
    machine[base + slot * 16 + 8] = command.1
  }

  /// GERROR bits that differ from GERRORN.
  var activeErrors: UInt64 { self["GERROR"] ^ self["GERRORN"] }
  func acknowledgeErrors() { self["GERRORN"] = self["GERROR"] }

  static func started(
    _ features: Features = .full, _ options: Options = Options(), commandBits: UInt64 = 3,
    eventBits: UInt64 = 3
  ) -> Guest {
    let guest = Guest(features, options)
    guest.start(commandBits: commandBits, eventBits: eventBits)
    _ = guest.machine.takeStale()
    return guest
  }
}

@Suite("The command queue")
struct CommandQueueTests {
  @Test("consumes in order what PROD publishes, up to PROD (R-160, R-161, R-162)")
  func order() {
    let guest = Guest.started()
    for i in 0..<UInt64(8) { guest.place(numbered(i + 1), slot: i) }
    guest["CMDQ_PROD"] = 3
    #expect(guest.machine.takeNumbers() == [1, 2, 3])
    #expect(guest["CMDQ_CONS"] == 3)
    guest["CMDQ_PROD"] = 5
    #expect(guest.machine.takeNumbers() == [4, 5])
    #expect(guest["CMDQ_CONS"] == 5)
  }

  @Test("wraps through all entries and both wrap bits (R-146, R-164)", arguments: [1, 2, 3])
  func wraps(bits: UInt64) {
    let guest = Guest.started(commandBits: bits)
    for i in 0..<UInt64(40) {
      let consumer = guest.command(numbered(i))
      #expect(consumer == (i + 1) % (2 << bits))
      #expect(guest.machine.takeNumbers() == [i])
    }
  }

  @Test("a queue of one entry works with the wrap bit alone (R-147)")
  func oneEntry() {
    let guest = Guest.started(commandBits: 0)
    for i in 0..<UInt64(6) {
      #expect(guest.command(numbered(i)) == (i + 1) % 2)
      #expect(guest.machine.takeNumbers() == [i])
    }
  }

  @Test("a full queue holds all of its entries (R-145, R-146)")
  func full() {
    let guest = Guest.started()
    for i in 0..<UInt64(8) { guest.place(numbered(i), slot: i) }
    guest["CMDQ_PROD"] = 8
    #expect(guest.machine.takeNumbers() == Array(0..<8))
    #expect(guest["CMDQ_CONS"] == 8)
  }

  @Test("the same index means an empty queue (R-145)")
  func empty() {
    let guest = Guest.started()
    guest.command(numbered(1))
    _ = guest.machine.takeNumbers()
    guest["CMDQ_PROD"] = guest["CMDQ_PROD"]
    #expect(guest.machine.takeNumbers() == [])
  }

  @Test("one write does no more than the queue holds (R-178)")
  func bounded() {
    var options = Options()
    options.commandBudget = .max
    let guest = Guest.started(.full, options, commandBits: 10)
    for i in 0..<UInt64(1 << 10) { guest.place(Guest.sync, slot: i) }
    for producer: UInt64 in [1 << 10, 0, 0xfffff] {
      let before = guest.smmu.counters[.commands]
      guest["CMDQ_PROD"] = producer
      #expect(guest.smmu.counters[.commands] - before <= 1 << 10)
    }
    // Both full queues were done; 0xfffff is 0x7ff here, which contradicts CONS.
    #expect(guest.smmu.counters[.commands] == 2 << 10)
  }

  @Test("nothing is consumed while CMDQEN is 0; enabling starts by itself (R-061, R-062)")
  func enable() {
    let guest = Guest.started()
    guest["CR0"] = 0x5
    guest.command(numbered(1), numbered(2))
    #expect(guest.machine.takeNumbers() == [])
    #expect(guest["CMDQ_CONS"] == 0)
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [1, 2])
    #expect(guest["CMDQ_CONS"] == 2)
  }

  @Test("commands are consumed with SMMUEN = 0 (R-067)")
  func withoutTranslation() {
    let guest = Guest.started()
    guest["CR0"] = 0x8
    guest.command(numbered(1))
    #expect(guest.machine.takeNumbers() == [1])
  }

  @Test("a queue that is enabled part-full starts from its indices (R-266)")
  func partFull() {
    let guest = Guest.started()
    guest["CR0"] = 0x5
    for i in 0..<UInt64(8) { guest.place(numbered(i), slot: i) }
    guest["CMDQ_CONS"] = 6
    guest["CMDQ_PROD"] = 8 + 1
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [6, 7, 0])
    // Full: the same index with the other wrap bit.
    guest["CR0"] = 0x5
    guest["CMDQ_CONS"] = 2
    guest["CMDQ_PROD"] = 8 + 2
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [2, 3, 4, 5, 6, 7, 0, 1])
  }

  // MARK: Errors

  @Test("an illegal command stops the queue at itself, older ones done (R-165, R-169, R-168)")
  func illegal() {
    let guest = Guest.started()
    guest.command(numbered(1), Guest.illegal, numbered(2))
    #expect(guest.machine.takeNumbers() == [1])
    #expect(guest["CMDQ_CONS"] == 1 | 1 << 24)
    #expect(guest.activeErrors == 1)
    let violation = Violation(.command, field: CommandWords.opcode, value: 0xff, clause: "§4.1.1")
    #expect(guest.machine.reports == [.illegalCommand(violation, opcode: 0xff, slot: 1)])
    #expect(guest.smmu.counters[.commandErrors] == 1)
  }

  @Test("each command whose gate is 0 raises an error and has no effect (R-270, R-273)")
  func gates() {
    let commands: [UInt64] = [
      0x07, 0x18, 0x1a, 0x20, 0x21, 0x22, 0x23, 0x40, 0x41, 0x44, 0x45, 0x50, 0x60, 0x70, 0x73,
      0x80,
    ]
    for opcode in commands {
      let guest = Guest.started()
      guest.command((opcode, 0))
      #expect(guest["CMDQ_CONS"] == 1 << 24, "opcode \(opcode)")
      #expect(guest.machine.stale == [])
    }
    for opcode: UInt64 in [0x28, 0x2a] {
      let guest = Guest.started(.linux)
      guest.command((opcode, 0))
      #expect(guest["CMDQ_CONS"] == 1 << 24, "opcode \(opcode) without stage 2")
    }
  }

  @Test("ERR and CONS are set before CMDQ_ERR is seen (R-169, R-112)")
  func errorOrder() {
    let guest = Guest.started()
    guest.machine.onCall = { call in
      guard case .report(.illegalCommand) = call else { return }
      #expect(guest.smmu.registers[.queue(.cons, .command)] == 1 << 24)
      #expect(!guest.smmu.isActive(GlobalError.cmdq))
    }
    guest.command(Guest.illegal)
    guest["CMDQ_PROD"] = 0
    guest.acknowledgeErrors()
    var seen = 0
    guest.machine.onCall = { call in
      guard call == .pulse(.globalError) else { return }
      seen += 1
      #expect(guest.smmu.registers[.queue(.cons, .command)] == 1 << 24)
      #expect(guest.smmu.isActive(GlobalError.cmdq))
    }
    guest.command(Guest.illegal)
    #expect(seen == 1)
  }

  @Test("an abort on a fetch reports CERROR_ABT at the entry (R-166)")
  func fetchAbort() {
    let guest = Guest.started()
    let base = guest.machine.outside.lowerBound
    guest["CR0"] = 0x5
    // 512 entries of 16 bytes: the second page aborts.
    guest["CMDQ_BASE"] = base | 9
    guest["CMDQ_CONS"] = 254
    guest["CMDQ_PROD"] = 258
    guest.machine.aborting = [base + 0x1000]
    for i in 0..<UInt64(512) { guest.place(numbered(i), slot: i, base: base) }
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [254, 255])
    #expect(guest["CMDQ_CONS"] == 256 | 2 << 24)
    #expect(guest.activeErrors == 1)
    // The page comes back: the entry is fetched again.
    guest.machine.aborting = []
    guest.acknowledgeErrors()
    #expect(guest.machine.takeNumbers() == [256, 257])
    #expect(guest["CMDQ_CONS"] == 258)
  }

  @Test("acknowledging restarts at CONS with a fresh fetch, without PROD (R-170, R-163, R-171)")
  func acknowledge() {
    let guest = Guest.started()
    guest.command(Guest.illegal, numbered(2))
    // Software repairs the entry, and one behind it.
    guest.place(numbered(7), slot: 0)
    guest.place(numbered(8), slot: 1)
    #expect(guest.machine.takeNumbers() == [])
    guest.acknowledgeErrors()
    #expect(guest.machine.takeNumbers() == [7, 8])
    #expect(guest["CMDQ_CONS"] == 2)
    #expect(guest.activeErrors == 0)
  }

  @Test("an entry that stays illegal fails again (R-170)")
  func failsAgain() {
    let guest = Guest.started()
    guest.command(Guest.illegal)
    guest.acknowledgeErrors()
    #expect(guest["CMDQ_CONS"] == 1 << 24)
    #expect(guest.activeErrors == 1)
    #expect(guest.smmu.counters[.commandErrors] == 2)
  }

  @Test("software may take back what follows an error (R-171)")
  func movesProducerBack() {
    let guest = Guest.started()
    guest.command(Guest.illegal, numbered(2))
    guest["CMDQ_PROD"] = 0
    guest.acknowledgeErrors()
    #expect(guest.machine.takeNumbers() == [])
    #expect(guest["CMDQ_CONS"] == 0)
    guest.command(numbered(3))
    #expect(guest.machine.takeNumbers() == [3])
  }

  @Test("ERR is 0 after the acknowledge (R-173)")
  func clearsError() {
    let guest = Guest.started()
    guest.command(Guest.illegal)
    guest["CMDQ_PROD"] = 0
    #expect(guest["CMDQ_CONS"] == 1 << 24)
    guest.acknowledgeErrors()
    #expect(guest["CMDQ_CONS"] == 0)
  }

  @Test("publishing more while an error is active does nothing (R-131, R-160)")
  func publishWhileStopped() {
    let guest = Guest.started()
    guest.command(Guest.illegal)
    guest.command(numbered(1))
    #expect(guest.machine.takeNumbers() == [])
    #expect(guest["CMDQ_CONS"] == 1 << 24)
    #expect(guest.smmu.counters[.commandErrors] == 1)
  }

  @Test("disabling and enabling does not acknowledge an error (R-172)")
  func disableKeepsError() {
    let guest = Guest.started()
    guest.command(Guest.illegal, numbered(1))
    guest["CR0"] = 0x5
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [])
    #expect(guest.activeErrors == 1)
    #expect(guest["CMDQ_CONS"] == 1 << 24)
    // Acknowledged while off: nothing runs until the queue is on.
    guest["CR0"] = 0x5
    guest["CMDQ_CONS"] = 1
    guest.acknowledgeErrors()
    #expect(guest.machine.takeNumbers() == [])
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [1])
  }

  @Test("CONS takes what is written while the queue is off, ERR included (R-174)")
  func writesConsumer() {
    let guest = Guest.started()
    guest["CR0"] = 0x5
    guest["CMDQ_CONS"] = 3 | 5 << 24
    #expect(guest["CMDQ_CONS"] == 3 | 5 << 24)
    guest["CMDQ_CONS"] = 0
    #expect(guest["CMDQ_CONS"] == 0)
  }

  // MARK: Indices

  @Test("contradicting indices consume nothing until they agree again (R-156, R-175)")
  func inconsistent() {
    let guest = Guest.started()
    for i in 0..<UInt64(8) { guest.place(numbered(i), slot: i) }
    guest["CMDQ_PROD"] = 9
    #expect(guest.machine.takeNumbers() == [])
    #expect(guest["CMDQ_CONS"] == 0)
    #expect(guest.activeErrors == 0)
    guest["CMDQ_PROD"] = 2
    #expect(guest.machine.takeNumbers() == [0, 1])
  }

  @Test("a smaller size truncates the indices, a larger one shows them again (R-155)")
  func resize() {
    let guest = Guest.started()
    guest["CR0"] = 0x5
    guest["CMDQ_BASE"] = Guest.commandQueue | 8
    guest["CMDQ_PROD"] = 0x1f5
    guest["CMDQ_CONS"] = 0x1f5
    guest["CMDQ_BASE"] = Guest.commandQueue | 2
    #expect(guest["CMDQ_PROD"] == 0x5)
    #expect(guest["CMDQ_CONS"] == 0x5)
    guest["CR0"] = 0xd
    guest.command(numbered(4))
    #expect(guest.machine.takeNumbers() == [4])
    #expect(guest["CMDQ_CONS"] == 6)
  }

  @Test("index bits above the wrap bit read as zero (R-154, R-164)")
  func indexBits() {
    let guest = Guest.started()
    guest["CR0"] = 0x5
    guest["CMDQ_CONS"] = 0xfffff
    #expect(guest["CMDQ_CONS"] == 0xf)
    guest["CMDQ_PROD"] = 0xfffff
    #expect(guest["CMDQ_PROD"] == 0xf)
    guest["CR0"] = 0xd
    guest.place(numbered(0), slot: 7)
    guest["CMDQ_PROD"] = 0xffff0
    #expect(guest["CMDQ_PROD"] == 0)
    #expect(guest.machine.takeNumbers() == [0])
  }

  @Test("LOG2SIZE above the cap is used capped and reads as written (R-148)")
  func cappedSize() {
    var features = Features.full
    features[.idr1, IDR1.cmdqs] = 2
    let guest = Guest.started(features, commandBits: 31)
    #expect(guest["CMDQ_BASE"] & 0x1f == 31)
    for i in 0..<UInt64(20) {
      #expect(guest.command(numbered(i)) == (i + 1) % 8)
    }
    #expect(guest.machine.takeNumbers() == Array(0..<20))
  }

  @Test("the base is aligned down to the queue (R-149)")
  func alignedBase() {
    let guest = Guest.started()
    guest["CR0"] = 0x5
    // Eight entries: 128 bytes.
    guest["CMDQ_BASE"] = Guest.commandQueue | 0x60 | 3
    #expect(guest["CMDQ_BASE"] == Guest.commandQueue | 0x60 | 3)
    guest["CR0"] = 0xd
    guest.command(numbered(9))
    #expect(guest.machine.takeNumbers() == [9])
  }

  // MARK: Slots

  @Test("the queue's memory is never written (R-158)")
  func neverWrites() {
    let guest = Guest.started()
    for i in 0..<UInt64(8) { guest.place(numbered(i), slot: i) }
    let before = (0..<UInt64(16)).map { guest.machine[Guest.commandQueue + $0 * 8] }
    guest["CMDQ_PROD"] = 8
    guest.place(Guest.illegal, slot: 0)
    guest["CMDQ_PROD"] = 9
    #expect(guest.activeErrors == 1)
    guest.place(numbered(0), slot: 0)
    #expect((0..<UInt64(16)).map { guest.machine[Guest.commandQueue + $0 * 8] } == before)
    #expect(guest.machine.written.isEmpty)
  }

  @Test("a consumed slot is not read again (R-383)")
  func freeSlots() {
    let guest = Guest.started()
    guest.command(numbered(1))
    guest.place(Guest.illegal, slot: 0)
    guest.command(numbered(2))
    #expect(guest.machine.takeNumbers() == [1, 2])
    #expect(guest.activeErrors == 0)
    // A free slot may be written before it is published.
    guest.place(numbered(5), slot: 2)
    guest.place(numbered(6), slot: 2)
    guest["CMDQ_PROD"] = 3
    #expect(guest.machine.takeNumbers() == [6])
  }

  @Test("a slot is fetched when it is consumed, not before (R-163)")
  func lateFetch() {
    var options = Options()
    options.commandBudget = 1
    let guest = Guest.started(.full, options)
    guest.command(numbered(1), numbered(2))
    #expect(guest.machine.takeNumbers() == [1, 2])
    guest["CR0"] = 0x5
    guest.command(numbered(3), numbered(4))
    guest.place(numbered(30), slot: 2)
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [30])
    // Off and on again: what was not consumed is fetched anew.
    guest["CR0"] = 0x5
    guest.place(numbered(40), slot: 3)
    guest["CR0"] = 0xd
    #expect(guest.machine.takeNumbers() == [40])
  }

  // MARK: Budget

  @Test("the budget ends a run and says so; the next goes on (R-178)")
  func budget() {
    var options = Options()
    options.commandBudget = 3
    let guest = Guest.started(.full, options)
    for i in 0..<UInt64(8) { guest.place(numbered(i), slot: i) }
    guest["CMDQ_PROD"] = 8
    #expect(guest.machine.takeNumbers() == [0, 1, 2])
    #expect(guest.machine.commandsLeftCount == 1)
    #expect(guest.smmu.consumeCommands(4))
    #expect(guest.machine.takeNumbers() == [3, 4, 5, 6])
    #expect(guest.machine.commandsLeftCount == 2)
    #expect(!guest.smmu.consumeCommands(4))
    #expect(guest.machine.takeNumbers() == [7])
    #expect(guest.machine.commandsLeftCount == 2)
  }

  @Test("with no one to go on, a call consumes all that PROD shows, whatever it costs (R-178)")
  func unheard() {
    var options = Options()
    options.commandBudget = 3
    let guest = Guest(.full, options, resumesCommands: false)
    guest.start()
    for i in 0..<UInt64(200) { guest.place(numbered(i), slot: i) }
    guest["CMDQ_PROD"] = 200
    #expect(guest.machine.takeNumbers() == Array(0..<200))
    #expect(guest.machine.commandsLeftCount == 0)
  }

  @Test("a driver that polls CONS makes its commands go on (R-162)")
  func polling() {
    var options = Options()
    options.commandBudget = 2
    let guest = Guest.started(.full, options)
    for i in 0..<UInt64(8) { guest.place(numbered(i), slot: i) }
    guest["CMDQ_PROD"] = 8
    var polls = 0
    while guest.read32(0x9c) != 8 && polls < 10 { polls += 1 }
    #expect(guest.machine.takeNumbers() == Array(0..<8))
    #expect(polls <= 4)
  }

  @Test("disabling in the middle leaves CONS at the first unprocessed entry (R-059)")
  func disableWhilePending() {
    var options = Options()
    options.commandBudget = 3
    let guest = Guest.started(.full, options)
    for i in 0..<UInt64(8) { guest.place(numbered(i), slot: i) }
    guest["CMDQ_PROD"] = 8
    guest["CR0"] = 0x5
    #expect(guest["CR0ACK"] == 0x5)
    #expect(guest["CMDQ_CONS"] == 3)
    _ = guest.machine.takeNumbers()
    #expect(!guest.smmu.consumeCommands(100))
    #expect(guest["CMDQ_CONS"] == 3)
    #expect(guest.machine.takeNumbers() == [])
    guest["CR0"] = 0xd
    guest.smmu.consumeCommands(100)
    #expect(guest.machine.takeNumbers() == [3, 4, 5, 6, 7])
  }

  @Test("an effect is there before CONS passes its command (R-162)")
  func effectBeforeIndex() {
    let guest = Guest.started()
    var seen: [UInt64] = []
    guest.machine.onCall = { call in
      if case .notice = call { seen.append(guest.smmu.registers[.queue(.cons, .command)]) }
    }
    guest.command(numbered(1), (0x03 | 5 << 32, 1), (0x05 | 5 << 32, 1), (0x06, 0), (0x30, 0))
    #expect(seen == [0, 1, 2, 3, 4])
    #expect(guest["CMDQ_CONS"] == 5)
  }
}
