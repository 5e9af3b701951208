// SPDX-License-Identifier: MIT
import SMMUSpec

@testable import SMMUModel

/// Registers of a queue that is none of the SMMU's own, as an ECMDQ or a PRIQ would have them.
final class NotedRegisters: CommandQueuePort, OutputQueuePort {
  var base: UInt64
  var log2Most = 19
  var isEnabled = true
  var isStopped = false
  var producer: UInt64 = 0
  var consumer: UInt64 = 0
  var error: CommandError?
  /// What CONS showed, in order.
  var passed: [UInt64] = []

  init(base: UInt64) { self.base = base }

  func pass(to consumer: UInt64) {
    self.consumer = consumer
    passed.append(consumer)
  }

  func stop(at consumer: UInt64, _ error: CommandError) {
    self.consumer = consumer
    self.error = error
    isStopped = true
  }
}

/// Memory of 64-bit words that answers outside of RAM, some of which aborts; and what carries out
/// commands by noting them.
final class NotingExecutor: CommandExecutor, QueueMemory {
  var words: [UInt64: UInt64] = [:]
  var aborting: Set<UInt64> = []
  var notes: [Command] = []
  /// Of a command of this kind, what it costs or that hardware refuses it.
  var cost: (Command) -> Int? = { _ in 1 }
  var wasUnsettled: [Bool] = []
  /// What becomes of the next CMD_SYNCs.
  var failures: [HardwareFailure] = []
  var signals: [Synchronization] = []
  var onSignal: () -> Void = {}
  var renewals = 0
  /// Whether TLBIs are taken undecoded.
  var isQuick = false
  var count = 0

  func renewCaches() { renewals += 1 }

  func carryOut(_ command: Command) -> Int? {
    guard let cost = cost(command) else { return nil }
    notes.append(command)
    return cost
  }

  func invalidate(leavesOnly: Bool, _ command: () -> Command?) -> Int? {
    isQuick ? command().flatMap { carryOut($0) } : nil
  }

  func synchronize(isUnsettled: Bool) throws(HardwareFailure) -> Int {
    if let failure = failures.first {
      failures.removeFirst()
      throw failure
    }
    guard let cost = cost(.sync(Synchronization())) else { throw .refused }
    wasUnsettled.append(isUnsettled)
    return cost
  }

  func passed() { count += 1 }

  func signal(_ sync: Synchronization) {
    signals.append(sync)
    onSignal()
  }

  func host(_ address: UInt64, _ length: UInt64) -> UnsafeMutableRawPointer? { nil }

  func load64(_ address: UInt64) throws(BusAbort) -> UInt64 {
    if aborting.contains(address & ~0xfff) { throw BusAbort() }
    return words[address] ?? 0
  }

  func store(_ address: UInt64, _ entry: some Layout) throws(BusAbort) {
    if aborting.contains(address & ~0xfff) { throw BusAbort() }
    for i in 0..<type(of: entry).width / 64 { words[address + UInt64(i) * 8] = entry[word: i] }
  }

  func put(_ command: Command, _ slot: UInt64, of queue: NotedRegisters) {
    put(command.words, slot, of: queue)
  }

  func put(_ command: CommandWords, _ slot: UInt64, of queue: NotedRegisters) {
    let address = (queue.base & ~0x1f) + slot * 16
    words[address] = command.low
    words[address + 8] = command.high
  }
}
