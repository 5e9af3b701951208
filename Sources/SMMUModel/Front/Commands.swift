// SPDX-License-Identifier: MIT
import SMMUSpec

/// The SMMU's command queue, CMDQ. Serialised by the caller.
extension SMMU {
  /// Consumes up to `budget` commands in order (`CommandQueue.consume`); true if more are waiting.
  @discardableResult
  public func consumeCommands(_ budget: Int) -> Bool {
    // On a copy: what commands set going may look at the queue.
    var queue = commands
    let outcome = queue.consume(budget, self)
    commands.isUnsettled = queue.isUnsettled
    switch outcome {
    case .done: return false
    case .left:
      machine.commandsLeft()
      return true
    case .stopped(let why, let slot):
      stopped(why, slot)
      return false
    }
  }

  @inline(never)
  private func stopped(_ why: CommandQueue<QueueRegisters>.Stop, _ slot: UInt32) {
    counters.addAlone(.commandErrors)
    switch why {
    case .illegal(let words):
      if let violation = commands.decoder.violation(words) {
        machine.report(
          .illegalCommand(
            violation, opcode: UInt8(truncatingIfNeeded: words.low), slot: slot))
      }
    case .abort: machine.report(.commandAbort(slot: slot))
    // It has told why.
    case .hardware: break
    }
    raise(GlobalError.cmdq)
  }
}

extension SMMU: QueueMemory {
  @inline(__always)
  func host(_ address: UInt64, _ length: UInt64) -> UnsafeMutableRawPointer? {
    bus.memory.host(address, length)
  }

  func load64(_ address: UInt64) throws(BusAbort) -> UInt64 {
    try bus.load64(PhysicalAddress(address))
  }

  func store(_ address: UInt64, _ entry: some Layout) throws(BusAbort) {
    try bus.store(PhysicalAddress(address), entry)
  }
}
