// SPDX-License-Identifier: MIT
import SMMUSpec

/// Broadcast TLB maintenance (§3.17): the TLBI instructions of PEs, which reach TLBs but neither
/// configuration caches nor ATCs. Serialised by the caller, as commands are.
///
/// A scope says it as the command of the same scope would: VMALLE1 is `.stage1`, ASIDE1 `.asid`,
/// VAE1 and VALE1 `.address`, VAAE1 and VAALE1 `.address` of no ASID, IPAS2E1 `.intermediate`,
/// VMALLS12E1 `.vmid`, ALLE1 `.everything`, those of EL2 `.nothing`; with IS, OS, nXS and range
/// forms alike. Values have 16 bits, zero-extended by a PE that has 8.
extension SMMU {
  /// IDR0.BTM and CR2.PTM = 0 (§6.3.12).
  public var takesPartInBroadcast: Bool {
    features.broadcast && !registers.flag(.cr2, CR2.ptm)
  }

  /// When this returns, no access uses what it removed: it is the TLBI with the DSB that follows.
  public func broadcast(_ scope: TLBInvalidation) {
    guard takesPartInBroadcast, let what = matched(scope) else { return }
    counters.addAlone(.invalidations)
    translator.renewCaches()
    translator.forgetTranslations(what, sharedOnly: true)
    translator.notify(.translations(what))
    accesses.drain(machine)
    commands.isUnsettled = false
  }

  /// The scope in this SMMU's widths; nil if it can match nothing here. Of a stage that does not
  /// exist it is ignored; a combined one acts on the other.
  private func matched(_ scope: TLBInvalidation) -> TLBInvalidation? {
    switch scope {
    case .nothing:
      // As for the commands: who has them accepted has streams that it takes for EL2's.
      return options.commandRules.acceptEL2 ? .ofEL2(features) : nil
    case .everything:
      return scope
    case .vmid(let vmid):
      return isOwn(vmid: vmid) ? scope : nil
    case .stage1(let vmid):
      return features.stage1 && isOwn(vmid: vmid) ? scope : nil
    case .asid(let vmid, let asid):
      return features.stage1 && isOwn(vmid: vmid) && isOwn(asid: asid) ? scope : nil
    case .address(let vmid, let asid, let range):
      guard features.stage1, isOwn(vmid: vmid), asid.map({ isOwn(asid: $0) }) ?? true,
        range.first <= range.last
      else { return nil }
      return .address(vmid, asid: asid, range: range.canonical)
    case .intermediate(let vmid, let range):
      return features.stage2 && isOwn(vmid: vmid) && range.first <= range.last ? scope : nil
    }
  }

  /// §3.17.4: 8 bits match where the upper 8 are zero. Without stage 2 all is VMID 0 (§3.17).
  private func isOwn(vmid: VMID) -> Bool {
    features.stage2 ? features.vmid16 || vmid <= 0xff : vmid == 0
  }

  private func isOwn(asid: ASID) -> Bool { features.asid16 || asid <= 0xff }

  /// For checks: the VMIDs with whose translations the TLB may still answer, some more than once.
  public func eachCachedVMID(_ body: (VMID) -> Void) { translator.tlb.eachVMID(body) }
}

extension AddressRange {
  /// Bits [63:56] of a TLBI's VA count as copies of bit 55, so a tagged address names what the
  /// plain one does. Bytes under several tags are all addresses.
  fileprivate var canonical: AddressRange {
    guard first >> 56 == last >> 56 else { return .all }
    return AddressRange(
      first: InputAddress(ignoringTopByte: first).raw,
      last: InputAddress(ignoringTopByte: last).raw)
  }
}
