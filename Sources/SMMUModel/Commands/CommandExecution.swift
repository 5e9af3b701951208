// SPDX-License-Identifier: MIT
import SMMUSpec

/// What commands do (§4.2 to §4.7). Serialised by the caller.
extension SMMU: CommandExecutor {
  /// What a wait or a system call counts, in commands.
  private static var systemCall: Int { 64 }

  @inline(__always)
  func invalidate(leavesOnly: Bool, _ command: () -> Command?) -> Int? {
    guard hardware == nil, !keepsCopies else { return nil }
    return invalidate(scope(of: command()), leavesOnly: leavesOnly)
  }

  @inline(never)
  private func scope(of command: Command?) -> TLBInvalidation {
    guard case .invalidate(let what) = command?.effect(features) else { return .everything }
    return what
  }

  @inline(never)
  func carryOut(_ command: Command) -> Int? {
    let cost: Int
    switch command.effect(features) {
    case .none:
      // Ignored, unless there is translation (§4.5.1).
      guard registers.flag(.cr0ack, CR0.smmuen) else { return 1 }
      cost = 1
    case .forgetStreams(let first, let last): return forgetStreams(first, last)
    case .forgetContext(let stream, let substream):
      translator.forgetConfiguration(stream, substream)
      translator.notify(.configuration(first: stream, last: stream))
      cost = 1
    case .forgetContexts(let stream): cost = forgetStreamsHere(stream, stream)
    case .invalidate(.nothing):
      counters.addAlone(.invalidations)
      cost = 1
    case .invalidate(let what):
      cost = invalidate(what, leavesOnly: command.sparesTables)
      // Those who keep copies are told when it is forgotten here.
      translator.notify(.translations(what))
    }
    // Hardware has the same to do. What it cannot is tried again, as if the fetch had aborted.
    if let hardware, !hardware.invalidate(command) { return nil }
    return cost
  }

  private func forgetStreams(_ first: StreamID, _ last: StreamID) -> Int? {
    let cost = forgetStreamsHere(first, last)
    guard let result = hardware?.configurationChanged(first: first, last: last) else {
      return cost
    }
    guard result.isDone else { return nil }
    return cost + Self.systemCall * result.systemCalls + result.streams
  }

  private func forgetStreamsHere(_ first: StreamID, _ last: StreamID) -> Int {
    let stamps = translator.forgetConfigurations(first, last)
    translator.notify(.configuration(first: first, last: last))
    return 1 + stamps / 16
  }

  /// Removes translations here. What it cost: a command costs about as much as looking at 64 rows.
  @inline(__always)
  private func invalidate(
    _ what: @autoclosure () -> TLBInvalidation, leavesOnly: Bool
  ) -> Int {
    counters.addAlone(.invalidations)
    return 1 &+ translator.forgetTranslations(what(), leavesOnly: leavesOnly) &>> 6
  }

  /// CMD_SYNC (§4.7.3).
  @inline(never)
  func synchronize(isUnsettled: Bool) throws(HardwareFailure) -> Int {
    var cost = 1
    // Waiting costs the caller's time: it counts as many commands.
    if isUnsettled && accesses.drain(machine) { cost += Self.systemCall }
    if let hardware {
      cost += Self.systemCall
      try hardware.synchronize()
    }
    counters.addAlone(.syncs)
    return cost
  }

  @inline(__always)
  func renewCaches() { translator.renewCaches() }

  @inline(__always)
  func passed() { counters.addAlone(.commands) }

  /// IDR0.SEV is 0: an event is as no signal.
  @inline(__always)
  func signal(_ sync: Synchronization) {
    if sync.signal == .interrupt { interrupt(sync.address, sync.data) }
  }

  @inline(never)
  private func interrupt(_ address: UInt64, _ data: UInt32) {
    let target = PhysicalAddress(address & UInt64.ones(features.outputBits))
    if address != 0 && !bus.signal(target, data) {
      raise(GlobalError.msiCmdqAbort)
    }
    if options.hasWiredInterrupts { machine.pulse(.sync) }
  }
}
