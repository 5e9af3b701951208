// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The caches together: what is removed from one must not be found in another that was filled from
/// it. Serialised by the caller.
extension Translator {
  /// Removes translations; returns how many rows were looked at (`TranslationCache.invalidate`).
  /// `leavesOnly` spares what is known of stage 1 tables. `what` is looked at only where there may
  /// be something to remove.
  @inline(__always)
  @discardableResult
  func forgetTranslations(
    _ what: @autoclosure () -> TLBInvalidation, sharedOnly: Bool = false, leavesOnly: Bool = false
  ) -> Int {
    // What fills a cache goes before it: a walk that begins between the two must not bring back
    // into the TLB what an old table says, nor an access into the micro TLB what the TLB said.
    if !leavesOnly { walker.cache.table.advance() }
    let rows = tlb.isEmpty ? tlb.expireAll() : searchTLB(what(), sharedOnly: sharedOnly)
    micro.table.advance()
    return rows
  }

  @inline(never)
  private func searchTLB(_ what: TLBInvalidation, sharedOnly: Bool) -> Int {
    tlb.invalidate(what, wildcard: vmidWildcard, sharedOnly: sharedOnly)
  }

  /// Tells those who keep copies what they must forget, when it is forgotten here: they know
  /// neither pieces of leaves nor wildcards. What they were answered in earlier generations may be
  /// meant.
  ///
  /// A piece whose leaf is not noted yet when `reach` looks is answered as one not to be kept
  /// (`translateByTables`), or after this notice, in a generation that it names.
  @inline(never)
  func notify(_ what: Staleness) {
    guard keepsCopies else { return }
    var reach = what
    if case .translations(let invalidation) = what {
      reach = .translations(vmidWildcard == 0 ? tlb.reach(of: invalidation) : .everything)
    }
    machine.notify(stale: reach, generation: micro.table.generation &- 1)
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
    configurations.forget(stream, substream)
    micro.table.advance()
  }

  /// Empties the caches, as reset and restore do.
  func forgetEverything() {
    renewCaches()
    forgetTranslations(.everything)
    forgetConfigurations(0, .max)
    accesses.drain(machine)
    notify(.translations(.everything))
  }

  /// Starts the caches' time afresh before it would wrap, once in 2^32 invalidations. What is dead
  /// stays dead: the stamps that say so go only when no look-up of before is left.
  @inline(__always)
  func renewCaches() {
    if tlb.isExhausted || configurations.isExhausted || walker.cache.table.isExhausted
      || micro.table.isExhausted
    {
      renewAll()
    }
  }

  @inline(never)
  private func renewAll() {
    tlb.close()
    configurations.close()
    walker.cache.table.close()
    micro.table.close()
    accesses.drain(machine)
    tlb.reopen()
    configurations.reopen()
    walker.cache.table.reopen()
    micro.table.reopen()
  }
}
