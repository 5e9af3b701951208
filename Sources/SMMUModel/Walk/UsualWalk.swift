// SPDX-License-Identifier: MIT
import SMMUSpec

/// The walks of `TableWalker` for tables that are usual in each stage, as most are: what they go by
/// stays in registers.
extension TableWalker {
  /// Stage 1 whose tables are at physical addresses.
  @inline(__always)
  func usualStage1(
    _ table: TranslationTable, _ input: InputAddress, _ vmid: VMID, epoch: UInt32,
    near region: inout GuestMemory.Region
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input.raw, table, vmid)
    return try descendUsually(table, input.raw, .stage1, from: known(key)) { address in
      LocatedDescriptor(address: PhysicalAddress(address), size: 64)
    } load: { address throws(Fault) in
      try load(address, .stage1, near: &region)
    } found: { last in
      keep(last, key, epoch: epoch)
    }
  }

  /// Stage 1 whose tables lie behind stage 2.
  @inline(__always)
  func usualNestedStage1(
    _ table: TranslationTable, _ stage2: Stage2Regime, _ input: InputAddress, epoch: UInt32,
    near region: inout GuestMemory.Region
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(input.raw, table, stage2.vmid)
    var recent = LastTable.none
    var recentRegion = UInt64.max
    return try descendUsually(table, input.raw, .stage1, from: known(key)) { address throws(Fault) in
      let ipa = IntermediateAddress(address)
      let covered = WalkCache.Key(address, stage2.table, stage2.vmid).region
      let leaf = try usualStage2(
        ipa, .translationTable, stage2, from: covered == recentRegion ? recent : nil,
        near: &region
      ) { last in
        (recent, recentRegion) = (last, covered)
      }
      return try located(leaf, ipa, .translationTable, stage2.flags)
    } load: { address throws(Fault) in
      try load(address, .stage1, near: &region)
    } found: { last in
      keep(last, key, epoch: epoch)
    }
  }

  /// Stage 2 of an access.
  @inline(__always)
  func usualOutput(
    _ ipa: IntermediateAddress, _ stage2: Stage2Regime, epoch: UInt32,
    near region: inout GuestMemory.Region
  ) throws(Fault) -> Leaf {
    let key = WalkCache.Key(ipa.raw, stage2.table, stage2.vmid)
    return try usualStage2(ipa, .input, stage2, from: known(key), near: &region) { last in
      keep(last, key, epoch: epoch)
    }
  }

  @inline(__always)
  private func usualStage2(
    _ ipa: IntermediateAddress, _ accessClass: AccessClass, _ stage2: Stage2Regime,
    from last: LastTable?, near region: inout GuestMemory.Region, found: (LastTable) -> Void
  ) throws(Fault) -> Leaf {
    try translate(ipa, accessClass, stage2) { purpose throws(Fault) in
      try descendUsually(stage2.table, ipa.raw, purpose, from: last) { address in
        LocatedDescriptor(address: PhysicalAddress(address), size: 64)
      } load: { address throws(Fault) in
        try load(address, purpose, near: &region)
      } found: { last in
        found(last)
      }
    }
  }
}
