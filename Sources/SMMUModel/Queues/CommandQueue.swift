// SPDX-License-Identifier: MIT
import SMMUSpec

/// The command queue (§3.5, §4.1.2, §7.1). Serialised by the caller.
extension SMMU {
  /// Consumes up to `budget` commands in order, at most to the PROD that it finds; true if more are
  /// waiting. Commands that search the TLB or wait for accesses count for more than one.
  @discardableResult
  public func consumeCommands(_ budget: Int) -> Bool {
    guard var queue = waitingCommands else { return false }
    var left = budget
    let (features, rules) = (features, options.commandRules)
    while queue.count > 0 {
      guard left > 0 else {
        machine.commandsLeft()
        return true
      }
      // Time advances by one a command.
      if queue.count & 31 == 0 { translator.renewCaches() }
      var words = CommandWords()
      commandCost = 1
      do throws(CommandError) {
        words = try fetch(queue)
        try perform(try Command(words, features, rules), words, &queue)
      } catch {
        stop(error, words, at: queue)
        return false
      }
      left -= commandCost
    }
    return false
  }

  /// What a wait or a system call counts, in commands.
  private static var systemCall: Int { 64 }

  /// The commands that wait. Registers and RAM change between calls alone, so this holds for one.
  private struct WaitingCommands {
    let ring: Ring
    /// The whole ring, if it is in one region of RAM.
    let slots: UnsafeMutableRawPointer?
    /// Index of the next.
    var consumer: UInt64
    var count: UInt64
  }

  /// None while the queue is off, empty, stopped by an error, or holds indices that contradict each
  /// other (§3.5.1).
  private var waitingCommands: WaitingCommands? {
    guard registers.flag(.cr0ack, CR0.cmdqen), !isActive(GlobalError.cmdq) else { return nil }
    let ring = commandRing
    let consumer = registers[.cmdqCons] & ring.mask
    guard let count = ring.count(producer: registers[.cmdqProd], consumer: consumer), count > 0
    else { return nil }
    translator.renewCaches()
    return WaitingCommands(
      ring: ring, slots: bus.memory.host(ring.base, ring.capacity &* ring.entryBytes),
      consumer: consumer, count: count)
  }

  @inline(__always)
  private func fetch(_ queue: WaitingCommands) throws(CommandError) -> CommandWords {
    if let slots = queue.slots {
      let offset = queue.ring.slot(queue.consumer) &* CommandWords.bytes
      let slot = slots + Int(truncatingIfNeeded: offset)
      return CommandWords(loadWord(slot), loadWord(slot + 8))
    }
    do throws(BusAbort) {
      let address = PhysicalAddress(queue.ring.address(queue.consumer))
      return CommandWords(try bus.load64(address), try bus.load64(address + 8))
    } catch {
      throw .abort
    }
  }

  /// Takes effect, then moves CONS: a driver that sees CONS pass the command sees the effect.
  @inline(__always)
  private func perform(
    _ command: Command, _ words: CommandWords, _ queue: inout WaitingCommands
  ) throws(CommandError) {
    switch command {
    case .prefetch: break
    case .forgetStreams(let first, let last): try forgetStreams(first, last)
    case .forgetContext(let stream, let substream):
      translator.forgetConfiguration(stream, substream)
      isUnsettled = true
      translator.notify(.configuration(first: stream, last: stream))
      try hand(words)
    case .forgetContexts(let stream):
      forgetStreamsHere(stream, stream)
      try hand(words)
    case .invalidate(let what):
      invalidate(what, leavesOnly: words.namesLeaves)
      try hand(words)
    case .synchronize(let completion):
      try synchronize(completion, &queue)
      return
    }
    consumed(&queue)
  }

  /// Hardware has the same to do. What it cannot is tried again, as if the fetch had aborted.
  @inline(__always)
  private func hand(_ words: CommandWords) throws(CommandError) {
    guard let hardware, let opcode = Opcode(rawValue: UInt8(truncatingIfNeeded: words.low))
    else { return }
    guard hardware.invalidate(words, opcode) else { throw refusedByHardware() }
  }

  @inline(__always)
  private func consumed(_ queue: inout WaitingCommands) {
    counters.addAlone(.commands)
    queue.consumer = queue.ring.next(queue.consumer)
    queue.count &-= 1
    registers[.cmdqCons] = queue.consumer
  }

  /// Hardware has told why, and it is not the guest's fault.
  private func refusedByHardware() -> CommandError {
    isHardwareToBlame = true
    return .abort
  }

  private func forgetStreams(_ first: StreamID, _ last: StreamID) throws(CommandError) {
    forgetStreamsHere(first, last)
    guard let result = hardware?.configurationChanged(first: first, last: last) else { return }
    commandCost += Self.systemCall * result.systemCalls + result.streams
    guard result.isDone else { throw refusedByHardware() }
  }

  private func forgetStreamsHere(_ first: StreamID, _ last: StreamID) {
    commandCost += translator.forgetConfigurations(first, last) / 16
    isUnsettled = true
    translator.notify(.configuration(first: first, last: last))
  }

  /// Removes translations here and gives notice to those who keep copies.
  @inline(__always)
  func invalidate(_ what: TLBInvalidation, leavesOnly: Bool = false) {
    counters.addAlone(.invalidations)
    if case .nothing = what { return }
    // A command costs about as much as looking at 64 rows.
    commandCost += translator.forgetTranslations(what, leavesOnly: leavesOnly) / 64
    isUnsettled = true
    if keepsCopies { translator.notify(.translations(what)) }
  }

  /// CMD_SYNC (§4.7.3): everything before it is done, and no access uses what it removed. Only then
  /// CONS passes it, and only after that it can be heard of (§3.18).
  private func synchronize(
    _ completion: Completion, _ queue: inout WaitingCommands
  ) throws(CommandError) {
    // Waiting costs the caller's time: it counts as many commands.
    if isUnsettled && accesses.drain(machine) { commandCost += Self.systemCall }
    isUnsettled = false
    if let hardware {
      commandCost += Self.systemCall
      guard hardware.synchronize() else { throw refusedByHardware() }
    }
    counters.addAlone(.syncs)
    consumed(&queue)
    // IDR0.SEV is 0: an event is as no signal.
    guard case .interrupt(let address, let data) = completion else { return }
    if address != 0 && !bus.signal(PhysicalAddress(address & UInt64.ones(features.outputBits)), data) {
      raise(GlobalError.msiCmdqAbort)
    }
    if options.hasWiredInterrupts { machine.pulse(.sync) }
  }

  /// §7.1: CONS stays at the command, ERR tells why, then CMDQ_ERR becomes active.
  @inline(never)
  private func stop(_ error: CommandError, _ words: CommandWords, at queue: WaitingCommands) {
    counters.addAlone(.commandErrors)
    registers[.cmdqCons] = queue.consumer | UInt64(error.rawValue) << 24
    if !isHardwareToBlame {
      machine.report(
        .commandError(
          error, opcode: UInt8(truncatingIfNeeded: words.low),
          slot: UInt32(truncatingIfNeeded: queue.ring.slot(queue.consumer))))
    }
    isHardwareToBlame = false
    raise(GlobalError.cmdq)
  }
}
