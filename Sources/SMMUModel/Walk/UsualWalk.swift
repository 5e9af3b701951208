// SPDX-License-Identifier: MIT
import SMMUSpec

/// The walks of `TableWalker` for tables that are usual in each stage, as most are: what they go by
/// stays in registers.
extension TableWalker {
  /// Stage 1 whose tables are at physical addresses.
  @inline(__always)
  func usualStage1(
    _ table: TranslationTable, input: InputAddress, vmid: VMID, epoch: UInt32,
    near region: inout GuestMemory.Region
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input.raw, table: table, vmid: vmid)
    return try descendUsually(table, input: input.raw, purpose: .stage1, from: known(key)) {
      address in
      LocatedDescriptor(address: PhysicalAddress(address), size: 64)
    } load: { address throws(Fault) in
      try load(address, purpose: .stage1, near: &region)
    } found: { last in
      keep(last, key: key, epoch: epoch)
    }
  }

  /// Stage 1 whose tables lie behind stage 2.
  @inline(__always)
  func usualNestedStage1(
    _ table: TranslationTable, stage2: Stage2Regime, input: InputAddress, epoch: UInt32,
    near region: inout GuestMemory.Region
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input.raw, table: table, vmid: stage2.vmid)
    var recent = LastTable.none
    var recentRegion = UInt64.max
    return try descendUsually(table, input: input.raw, purpose: .stage1, from: known(key)) {
      address throws(Fault) in
      let ipa = IntermediateAddress(address)
      let covered = WalkCache.Key(address, table: stage2.table, vmid: stage2.vmid).region
      let leaf = try usualStage2(
        ipa, accessClass: .translationTable, stage2: stage2,
        from: covered == recentRegion ? recent : nil,
        near: &region
      ) { last in
        (recent, recentRegion) = (last, covered)
      }
      return try located(leaf, ipa: ipa, accessClass: .translationTable, flags: stage2.flags)
    } load: { address throws(Fault) in
      try load(address, purpose: .stage1, near: &region)
    } found: { last in
      keep(last, key: key, epoch: epoch)
    }
  }

  /// Stage 2 of an access.
  @inline(__always)
  func usualOutput(
    _ ipa: IntermediateAddress, stage2: Stage2Regime, epoch: UInt32,
    near region: inout GuestMemory.Region
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(ipa.raw, table: stage2.table, vmid: stage2.vmid)
    return try usualStage2(
      ipa, accessClass: .input, stage2: stage2, from: known(key), near: &region
    ) { last in
      keep(last, key: key, epoch: epoch)
    }
  }

  @inline(__always)
  private func usualStage2(
    _ ipa: IntermediateAddress, accessClass: AccessClass, stage2: Stage2Regime,
    from last: LastTable?, near region: inout GuestMemory.Region, found: (LastTable) -> Void
  ) throws(Fault) -> Leaf {
    try translate(ipa, accessClass: accessClass, stage2: stage2) { purpose throws(Fault) in
      try descendUsually(stage2.table, input: ipa.raw, purpose: purpose, from: last) { address in
        LocatedDescriptor(address: PhysicalAddress(address), size: 64)
      } load: { address throws(Fault) in
        try load(address, purpose: purpose, near: &region)
      } found: { last in
        found(last)
      }
    }
  }
}
