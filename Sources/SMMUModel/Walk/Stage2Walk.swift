// SPDX-License-Identifier: MIT
import SMMUSpec

extension TableWalker {
  /// Translates the IPA of an access up to the Access flag; permissions are the caller's to judge
  /// (§7.3.22).
  @inline(never)
  func output(_ ipa: IntermediateAddress, _ walk: inout Walk) throws(Fault) -> Leaf {
    let key = WalkCache.Key(ipa.raw, table: walk.stage2.table, vmid: walk.stage2.vmid)
    return try translate(
      .output, ipa: ipa, accessClass: .input, walk: &walk, from: known(key), key: key)
  }

  /// The physical address of a structure or stage 1 descriptor, which is read as data by the SMMU
  /// itself (§13.1.2): S2AP alone counts, and S2PTW may refuse Device memory (§5.2 S2PTW).
  ///
  /// Such tables lie close to each other, or are found once: the walk cache has what is below them.
  @inline(never)
  func structure(
    _ ipa: IntermediateAddress, accessClass: AccessClass, walk: inout Walk
  ) throws(Fault) -> LocatedDescriptor {
    let key = WalkCache.Key(ipa.raw, table: walk.stage2.table, vmid: walk.stage2.vmid)
    let last = walk.recentRegion == key.region ? walk.recent : nil
    let leaf = try translate(
      .structure, ipa: ipa, accessClass: accessClass, walk: &walk, from: last, key: key)
    return try located(leaf, ipa: ipa, accessClass: accessClass, flags: walk.stage2.flags)
  }

  /// Where a structure is that stage 2 lets be read.
  @inline(__always)
  func located(
    _ leaf: Leaf, ipa: IntermediateAddress, accessClass: AccessClass, flags: Stage2Flags
  ) throws(Fault) -> LocatedDescriptor {
    guard leaf.descriptor.stage2Read, !flags.contains(.refusesDeviceWalks) || !isDevice(leaf, flags)
    else {
      throw WalkPurpose(stage2: true, accessClass: accessClass, ipa: ipa).fault(.permission)
    }
    return LocatedDescriptor(address: PhysicalAddress(leaf.address), size: leaf.size)
  }

  @inline(__always)
  private func translate(
    _ mode: WalkMode, ipa: IntermediateAddress, accessClass: AccessClass, walk: inout Walk,
    from last: LastTable?, key: WalkCache.Key
  ) throws(Fault) -> Leaf {
    let stage2 = walk.stage2
    return try translate(ipa, accessClass: accessClass, stage2: stage2) { purpose throws(Fault) in
      try descend(
        mode, table: stage2.table, input: ipa.raw, purpose: purpose, walk: &walk, from: last,
        key: key)
    }
  }

  @inline(__always)
  func translate(
    _ ipa: IntermediateAddress, accessClass: AccessClass, stage2: Stage2Regime,
    descend: (WalkPurpose) throws(Fault) -> Leaf
  ) throws(Fault) -> Leaf {
    let purpose = WalkPurpose(stage2: true, accessClass: accessClass, ipa: ipa)
    if ipa.raw & ~UInt64.low(stage2.table.geometry.inputBits) != 0 {
      throw purpose.fault(.translation)
    }
    let leaf = try descend(purpose)
    if !leaf.descriptor.accessFlag && !stage2.flags.contains(.ignoresAccessFlag) {
      throw purpose.fault(.access)
    }
    return leaf
  }

  @inline(never)
  private func isDevice(_ leaf: Leaf, _ flags: Stage2Flags) -> Bool {
    MemoryAttributes.isDevice(
      stage2: UInt8(truncatingIfNeeded: leaf.descriptor.stage2MemAttr),
      forced: flags.contains(.forcesAttributes))
  }
}
