// SPDX-License-Identifier: MIT
import SMMUSpec

/// The caches together: what is removed from one must not be found in another that was filled from
/// it. Serialised by the caller.
extension SMMU {
  /// Removes translations; returns how many rows were looked at (`TranslationCache.invalidate`).
  /// `leavesOnly` spares what is known of stage 1 tables.
  @inline(__always)
  @discardableResult
  func forgetTranslations(
    _ what: TLBInvalidation, sharedOnly: Bool = false, leavesOnly: Bool = false
  ) -> Int {
    // What fills a cache goes before it: a walk that begins between the two must not bring back
    // into the TLB what an old table says, nor an access into the micro TLB what the TLB said.
    if !leavesOnly { walks.table.advance() }
    let rows = tlb.expireIfEmpty() ? 0 : searchTLB(what, sharedOnly: sharedOnly)
    micro.table.advance()
    return rows
  }

  @inline(never)
  private func searchTLB(_ what: TLBInvalidation, sharedOnly: Bool) -> Int {
    tlb.invalidate(
      tlb.widened(what), wildcard: vmidWildcard, sharedOnly: sharedOnly, machine)
  }

  /// What those who keep copies must forget: they know neither pieces of leaves nor wildcards.
  @inline(never)
  func reach(of what: TLBInvalidation) -> TLBInvalidation {
    vmidWildcard == 0 ? tlb.widened(what) : .everything
  }

  /// VMID bits that invalidations ignore (§3.17.6); reserved values are 0.
  private var vmidWildcard: VMID {
    guard features.vmidWildcards else { return 0 }
    let bits = Int(truncatingIfNeeded: registers[.cr0][CR0.vmw.high, CR0.vmw.low])
    return bits > 4 ? 0 : VMID(truncatingIfNeeded: UInt64.ones(bits))
  }

  /// Removes the configurations of streams; returns what that took
  /// (`ConfigurationCache.forget(streams:)`).
  @discardableResult
  func forgetConfigurations(_ first: StreamID, _ last: StreamID) -> Int {
    let stamps = configurations.forget(streams: first, last)
    micro.table.advance()
    return stamps
  }

  /// Removes what came from one CD.
  func forgetConfiguration(_ stream: StreamID, _ substream: SubstreamID) {
    configurations.forget(stream, substream, machine)
    micro.table.advance()
  }

  /// Empties the caches, as reset and restore do.
  func forgetEverything() {
    renewCaches()
    forgetTranslations(.everything)
    forgetConfigurations(0, .max)
    accesses.drain(machine)
    machine.forget(.translations(.everything))
  }

  /// Starts the caches' time afresh before it would wrap, once in 2^32 invalidations. What is dead
  /// stays dead: the stamps that say so go only when no look-up of before is left.
  @inline(__always)
  func renewCaches() {
    if tlb.isExhausted || configurations.isExhausted || walks.table.isExhausted
      || micro.table.isExhausted
    {
      renewAll()
    }
  }

  @inline(never)
  private func renewAll() {
    tlb.close(machine)
    configurations.close(machine)
    tlb.lock.lock(machine)
    walks.table.close(machine)
    tlb.lock.unlock()
    micro.table.close(machine)
    accesses.drain(machine)
    tlb.reopen()
    configurations.reopen()
    walks.table.reopen()
    micro.table.reopen()
  }
}
