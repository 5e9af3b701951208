// SPDX-License-Identifier: MIT
import SMMUSpec

/// What commands do (§4.2 to §4.7). Serialised by the caller.
extension SMMU: CommandExecutor {
  /// What a wait or a system call counts, in commands.
  private static var systemCall: Int { 64 }

  @inline(__always)
  func carryOut(
    _ command: Command, _ state: inout CommandQueueState
  ) throws(HardwareRefusal) -> Int {
    switch command.effect(features) {
    case .none, .synchronize: return 1
    case .forgetStreams(let first, let last): return try forgetStreams(first, last, &state)
    case .forgetContext(let stream, let substream):
      forgetConfiguration(stream, substream)
      state.isUnsettled = true
      notify(.configuration(first: stream, last: stream))
      try hand(command)
      return 1
    case .forgetContexts(let stream):
      let cost = forgetStreamsHere(stream, stream, &state)
      try hand(command)
      return cost
    case .invalidate(let what, let leavesOnly):
      let cost = invalidate(what, leavesOnly: leavesOnly, &state)
      try hand(command)
      return cost
    }
  }

  /// Hardware has the same to do. What it cannot is tried again, as if the fetch had aborted.
  @inline(__always)
  private func hand(_ command: Command) throws(HardwareRefusal) {
    if _slowPath(hardware != nil), let hardware { try hand(command, hardware) }
  }

  @inline(never)
  private func hand(_ command: Command, _ hardware: any Hardware) throws(HardwareRefusal) {
    guard hardware.invalidate(command) else { throw HardwareRefusal() }
  }

  @inline(never)
  private func forgetStreams(
    _ first: StreamID, _ last: StreamID, _ state: inout CommandQueueState
  ) throws(HardwareRefusal) -> Int {
    let cost = forgetStreamsHere(first, last, &state)
    guard let result = hardware?.configurationChanged(first: first, last: last) else {
      return cost
    }
    guard result.isDone else { throw HardwareRefusal() }
    return cost + Self.systemCall * result.systemCalls + result.streams
  }

  private func forgetStreamsHere(
    _ first: StreamID, _ last: StreamID, _ state: inout CommandQueueState
  ) -> Int {
    let stamps = forgetConfigurations(first, last)
    state.isUnsettled = true
    notify(.configuration(first: first, last: last))
    return 1 + stamps / 16
  }

  /// Removes translations here and gives notice to those who keep copies.
  @inline(__always)
  private func invalidate(
    _ what: TLBInvalidation, leavesOnly: Bool, _ state: inout CommandQueueState
  ) -> Int {
    counters.addAlone(.invalidations)
    if case .nothing = what { return 1 }
    let rows = forgetTranslations(what, leavesOnly: leavesOnly)
    state.isUnsettled = true
    if keepsCopies { notify(.translations(what)) }
    // A command costs about as much as looking at 64 rows.
    return 1 &+ rows &>> 6
  }

  /// CMD_SYNC (§4.7.3).
  @inline(never)
  func synchronize(_ state: inout CommandQueueState) throws(HardwareRefusal) -> Int {
    var cost = 1
    // Waiting costs the caller's time: it counts as many commands.
    if state.isUnsettled && accesses.drain(machine) { cost += Self.systemCall }
    state.isUnsettled = false
    if let hardware {
      cost += Self.systemCall
      guard hardware.synchronize() else { throw HardwareRefusal() }
    }
    counters.addAlone(.syncs)
    return cost
  }

  @inline(__always)
  func passed() { counters.addAlone(.commands) }

  /// IDR0.SEV is 0: an event is as no signal.
  @inline(__always)
  func signal(_ sync: Synchronization) {
    if sync.signal == .interrupt { interrupt(sync.address, sync.data) }
  }

  @inline(never)
  private func interrupt(_ address: UInt64, _ data: UInt32) {
    if address != 0 && !signal(address & UInt64.ones(features.outputBits), data) {
      raise(GlobalError.msiCmdqAbort)
    }
    if options.hasWiredInterrupts { machine.pulse(.sync) }
  }
}
