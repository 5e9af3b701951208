// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

@Suite("Queues over registers of their own")
struct QueueValueTests {
  private typealias Queue = CommandQueue<NotedRegisters>
  private let executor = NotingExecutor()
  private let decoder = CommandDecoder(.full)

  private func queue(base: UInt64) -> (Queue, NotedRegisters) {
    let registers = NotedRegisters(base: base)
    return (CommandQueue(registers, decoder), registers)
  }

  private func lost() { Issue.record("another outcome") }

  private func slot(_ outcome: Queue.Outcome, of error: CommandError) -> UInt32? {
    guard case .stopped(let why, let slot) = outcome, why.error == error else { return nil }
    return slot
  }

  @Test(
    "two command queues go on by themselves, each with its own state (§3.5.6)",
    arguments: [false, true])
  func two(isQuick: Bool) {
    executor.isQuick = isQuick
    var (one, first) = queue(base: 0x1_0000 | 3)
    var (other, second) = queue(base: 0x2_0000 | 1)
    executor.put(.tlbiNHAll(1), 0, of: first)
    executor.put(.sync(Synchronization(.interrupt, address: 0x40, data: 7)), 1, of: first)
    executor.put(.sync(Synchronization()), 0, of: second)
    executor.put(CommandWords(0xff, 0), 1, of: second)
    first.producer = 1
    second.producer = 2
    guard case .done = one.consume(.max, executor) else { return lost() }
    #expect(executor.notes == [.tlbiNHAll(1)])
    // What the first left to wait for is no concern of the second.
    #expect(slot(other.consume(.max, executor), of: .illegal) == 1)
    #expect(executor.wasUnsettled == [false])
    #expect(second.error == .illegal && second.consumer == 1 && second.isStopped)
    // Its error does not stop the first.
    first.producer = 2
    executor.onSignal = { #expect(first.consumer == 2) }
    guard case .done = one.consume(.max, executor) else { return lost() }
    #expect(executor.wasUnsettled == [false, true])
    #expect(executor.signals.last == Synchronization(.interrupt, address: 0x40, data: 7))
    #expect(first.passed == [1, 2] && executor.count == 3)
    // Off, stopped or with indices that disagree, nothing is consumed.
    guard case .done = other.consume(.max, executor) else { return lost() }
    second.isStopped = false
    second.isEnabled = false
    guard case .done = other.consume(.max, executor) else { return lost() }
    second.isEnabled = true
    second.producer = 0
    guard case .done = other.consume(.max, executor) else { return lost() }
    #expect(second.consumer == 1 && executor.count == 3)
  }

  @Test("what commands cost ends a call, and the next goes on")
  func budget() {
    var (queue, registers) = queue(base: 0x1_0000 | 3)
    for i in 0..<UInt64(8) { executor.put(.cfgiCDAll(StreamID(i)), i, of: registers) }
    registers.producer = 8
    executor.cost = { $0 == .cfgiCDAll(1) ? 10 : 1 }
    guard case .left = queue.consume(5, executor) else { return lost() }
    #expect(registers.consumer == 2)
    guard case .left = queue.consume(5, executor) else { return lost() }
    #expect(registers.consumer == 7)
    guard case .done = queue.consume(5, executor) else { return lost() }
    #expect(executor.notes == (0..<8).map { .cfgiCDAll($0) })
  }

  @Test("a command that hardware refuses, or that aborts, is tried again")
  func refused() {
    var (queue, registers) = queue(base: 0x1_0fe0 | 1)
    executor.put(.cfgiCDAll(1), 0, of: registers)
    executor.put(.cfgiCDAll(2), 1, of: registers)
    registers.producer = 2
    executor.cost = { $0 == .cfgiCDAll(1) ? nil : 1 }
    guard case .stopped(.hardware(.refused), slot: 0) = queue.consume(.max, executor) else {
      return lost()
    }
    #expect(registers.error == .abort && registers.consumer == 0 && executor.notes.isEmpty)
    registers.isStopped = false
    executor.cost = { _ in 1 }
    executor.aborting = [0x1_0000]
    guard case .stopped(.abort, slot: 0) = queue.consume(.max, executor) else {
      return lost()
    }
    registers.isStopped = false
    executor.aborting = []
    guard case .done = queue.consume(.max, executor) else { return lost() }
    #expect(executor.notes == [.cfgiCDAll(1), .cfgiCDAll(2)])
  }

  @Test("an endpoint's timeout stops the queue at the CMD_SYNC, with an error of its own (R-167)")
  func timeout() {
    var (queue, registers) = queue(base: 0x1_0000 | 2)
    executor.put(.cfgiCDAll(1), 0, of: registers)
    executor.put(.sync(Synchronization()), 1, of: registers)
    registers.producer = 2
    executor.failures = [.endpointTimeout, .refused]
    for (failure, error) in [
      (HardwareFailure.endpointTimeout, CommandError.atcInvSync), (.refused, .abort),
    ] {
      guard case .stopped(.hardware(failure), slot: 1) = queue.consume(.max, executor) else {
        return lost()
      }
      #expect(registers.error == error && error.rawValue == (failure == .refused ? 2 : 3))
      #expect(registers.consumer == 1 && executor.count == 1 && executor.signals.isEmpty)
      registers.isStopped = false
    }
    guard case .done = queue.consume(.max, executor) else { return lost() }
    #expect(registers.consumer == 2 && executor.signals.count == 1)
  }

  @Test("an output queue of other entries tells what becomes of each (§7.4)")
  func output() {
    let registers = NotedRegisters(base: 0x3_0000 | 1)
    // PRIQ's entries have 16 bytes, as commands do.
    let queue = OutputQueue(registers, entryBytes: 16)
    func post(_ number: UInt64) -> OutputQueue<NotedRegisters>.Fate {
      queue.post(CommandWords(number, ~number), executor)
    }
    guard case .recorded(address: 0x3_0000, wasEmpty: true) = post(1),
      case .recorded(address: 0x3_0010, wasEmpty: false) = post(2)
    else { return lost() }
    #expect(executor.words[0x3_0010] == 2 && executor.words[0x3_0018] == ~2)
    #expect(registers.producer == 2)
    // Full: an overflow is indicated once.
    guard case .dropped = post(3), case .dropped = post(4) else { return lost() }
    #expect(registers.producer == 2 | 1 << 31)
    // Acknowledged, and one entry read.
    registers.consumer = 1 | 1 << 31
    guard case .recorded(address: 0x3_0000, wasEmpty: false) = post(5) else {
      return lost()
    }
    #expect(registers.producer == 3 | 1 << 31)
    // What was lost before is an overflow of a full queue alone.
    queue.noteLost()
    #expect(registers.producer == 3)
    registers.consumer = 3
    queue.noteLost()
    #expect(registers.producer == 3)
    executor.aborting = [0x3_0000]
    guard case .aborted = post(6) else { return lost() }
    #expect(registers.producer == 3)
    registers.isStopped = true
    guard case .dropped = post(7) else { return lost() }
    registers.isStopped = false
    registers.isEnabled = false
    guard case .dropped = post(8) else { return lost() }
  }
}
