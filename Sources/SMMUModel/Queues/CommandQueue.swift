// SPDX-License-Identifier: MIT
import SMMUSpec

/// The command queue (§3.5, §4.1.2, §7.1). Serialised by the caller.
extension SMMU {
  /// Consumes up to `budget` commands in order; true if more are waiting. Commands that search the
  /// TLB or wait for accesses count for more than one.
  @discardableResult
  public func consumeCommands(_ budget: Int) -> Bool {
    var left = budget
    while let slot = nextCommand {
      guard left > 0 else {
        machine.commandsLeft()
        return true
      }
      left -= 1
      defer {
        left -= extraWork
        extraWork = 0
      }
      var words = CommandWords()
      do throws(CommandError) {
        words = try fetch(slot)
        try perform(try Command(words, features, options.commandRules), words)
      } catch {
        stop(error, words, at: slot)
        return false
      }
    }
    return false
  }

  /// What a wait or a system call counts, in commands.
  private static var systemCall: Int { 64 }

  private struct Slot {
    let ring: Ring
    let index: UInt64
  }

  /// The slot to consume next: none while the queue is off, empty, stopped by an error, or holds
  /// indices that contradict each other.
  private var nextCommand: Slot? {
    guard registers.flag(.cr0ack, CR0.cmdqen), !isActive(GlobalError.cmdq) else { return nil }
    let ring = commandRing
    let consumer = registers[.cmdqCons] & ring.mask
    guard let count = ring.count(producer: registers[.cmdqProd], consumer: consumer), count > 0
    else { return nil }
    return Slot(ring: ring, index: consumer)
  }

  private func fetch(_ slot: Slot) throws(CommandError) -> CommandWords {
    do throws(BusAbort) {
      let address = slot.ring.address(slot.index)
      return CommandWords(try load64(address), try load64(address &+ 8))
    } catch {
      throw .abort
    }
  }

  /// Takes effect, then moves CONS: a driver that sees CONS pass the command sees the effect.
  private func perform(_ command: Command, _ words: CommandWords) throws(CommandError) {
    switch command {
    case .prefetch: break
    case .forgetStreams(let first, let last): try forgetStreams(first, last)
    case .forgetContext(let stream, let substream):
      renewCaches()
      forgetConfiguration(stream, substream)
      isUnsettled = true
      machine.forget(.configuration(first: stream, last: stream))
      try hand(words)
    case .forgetContexts(let stream):
      forgetStreamsHere(stream, stream)
      try hand(words)
    case .invalidate(let what):
      invalidate(what, leavesOnly: words.namesLeaves)
      try hand(words)
    case .synchronize(let completion):
      try synchronize(completion)
      return
    }
    consumed()
  }

  /// Hardware has the same to do. What it cannot is tried again, as if the fetch had aborted.
  private func hand(_ words: CommandWords) throws(CommandError) {
    guard let hardware, let opcode = Opcode(rawValue: UInt8(truncatingIfNeeded: words.low))
    else { return }
    guard hardware.invalidate(words, opcode) else { throw refusedByHardware() }
  }

  private func consumed() {
    counters.add(.commands)
    let consumer = registers[.cmdqCons]
    registers[.cmdqCons] = commandRing.next(consumer)
  }

  /// Hardware has told why, and it is not the guest's fault.
  private func refusedByHardware() -> CommandError {
    isHardwareToBlame = true
    return .abort
  }

  private func forgetStreams(_ first: StreamID, _ last: StreamID) throws(CommandError) {
    forgetStreamsHere(first, last)
    guard let result = hardware?.configurationChanged(first: first, last: last) else { return }
    extraWork += Self.systemCall * result.systemCalls
    guard result.isDone else { throw refusedByHardware() }
  }

  private func forgetStreamsHere(_ first: StreamID, _ last: StreamID) {
    renewCaches()
    extraWork += forgetConfigurations(first, last) / 16
    isUnsettled = true
    machine.forget(.configuration(first: first, last: last))
  }

  /// Removes translations here and gives notice to those who keep copies.
  func invalidate(_ what: TLBInvalidation, leavesOnly: Bool = false) {
    counters.add(.invalidations)
    if what == .nothing { return }
    renewCaches()
    let widened = tlb.widened(what)
    // A command costs about as much as looking at 64 rows.
    extraWork +=
      forgetTranslations(widened, wildcard: vmidWildcard, leavesOnly: leavesOnly) / 64
    isUnsettled = true
    machine.forget(.translations(vmidWildcard == 0 ? widened : .everything))
  }

  /// VMID bits that invalidations ignore (§3.17.6); reserved values are 0.
  var vmidWildcard: VMID {
    let bits = Int(
      truncatingIfNeeded: registers[.cr0][CR0.vmw.high, CR0.vmw.low])
    return bits > 4 ? 0 : VMID(truncatingIfNeeded: UInt64.ones(bits))
  }

  /// CMD_SYNC (§4.7.3): everything before it is done, and no access uses what it removed. Only then
  /// CONS passes it, and only after that it can be heard of (§3.18).
  private func synchronize(_ completion: Completion) throws(CommandError) {
    // Waiting costs the caller's time: it counts as many commands.
    if isUnsettled && accesses.drain(machine) { extraWork += Self.systemCall }
    isUnsettled = false
    if let hardware {
      extraWork += Self.systemCall
      guard hardware.synchronize() else { throw refusedByHardware() }
    }
    counters.add(.syncs)
    consumed()
    // IDR0.SEV is 0: an event is as no signal.
    guard case .interrupt(let address, let data) = completion else { return }
    if address != 0 && !signal(address & UInt64.ones(features.outputBits), data) {
      raise(GlobalError.msiCmdqAbort)
    }
    if options.hasWiredInterrupts { machine.pulse(.sync) }
  }

  /// §7.1: CONS stays at the command, ERR tells why, then CMDQ_ERR becomes active.
  private func stop(_ error: CommandError, _ words: CommandWords, at slot: Slot) {
    counters.add(.commandErrors)
    registers[.cmdqCons] = slot.index | UInt64(error.rawValue) << 24
    if !isHardwareToBlame {
      machine.report(
        .commandError(
          error, opcode: UInt8(truncatingIfNeeded: words.low),
          slot: UInt32(truncatingIfNeeded: slot.ring.slot(slot.index))))
    }
    isHardwareToBlame = false
    raise(GlobalError.cmdq)
  }
}
