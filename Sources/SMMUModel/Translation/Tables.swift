// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// Steps 4 to 6 of a translation (`Translate.swift`).
extension Translator {
  @inline(never)
  func translateByTables(
    _ access: Access, _ regime: Regime, _ policy: StreamPolicy, _ start: TranslationStart,
    missesTLB: Bool
  ) throws(Fault) -> Translation {
    let key = regime.plan.key(access.address)
    if !missesTLB, let key, let cached = tlb.lookUp(key.raw, regime.owner),
      cached.permissions.allow(access, regime.plan.effective(access))
    {
      return answer(access, cached, regime.plan, start)
    }
    var walk = Walk(walker, stage2: regime.stage2)
    let (found, isGlobal): (CachedTranslation, Bool)
    do throws(Fault) {
      (found, isGlobal) = try self.walk(access, key, regime, policy, walker, &walk)
    } catch {
      keep(walk.found, start.walkEpoch)
      throw error
    }
    let tag = isGlobal ? regime.owner.tag.global : regime.owner.tag
    // The micro TLB waits for a second access: many pages have one.
    if let key { tlb.insert(key.raw, tag, found, time: start.time) }
    keep(walk.found, start.walkEpoch)
    return answer(access, found, regime.plan, start)
  }

  /// Keeps what a walk has found on its way.
  @inline(never)
  private func keep(_ found: FoundTables, _ epoch: UInt32) {
    counters.add(.tlbMisses)
    found.keep(in: walker.cache, epoch: epoch)
  }

  @inline(__always)
  private func answer(
    _ access: Access, _ found: CachedTranslation, _ plan: StreamPlan, _ start: TranslationStart
  ) -> Translation {
    var answer = found.answer(access, plan.visible(found.permissions))
    if _slowPath(access.flags.contains(.attributes)) {
      answer.attributes = combined(found, access, plan)
    }
    answer.generation = generation(of: found, start)
    return answer
  }

  /// Of a piece whose leaf was noted too late for a notice, no copy may be kept: see `notify`.
  @inline(__always)
  private func generation(of found: CachedTranslation, _ start: TranslationStart) -> UInt64 {
    guard _slowPath(found.isPiece), keepsCopies else { return start.generation }
    // After the note of its leaf (`TranslationCache.insert`).
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return micro.table.generation == start.generation ? start.generation : 0
  }

  /// Step 5: the stages that the policy has.
  @inline(__always)
  func walk(
    _ access: Access, _ key: InputAddress?, _ regime: Regime, _ policy: StreamPolicy,
    _ walker: TableWalker, _ walk: inout Walk
  ) throws(Fault) -> (CachedTranslation, isGlobal: Bool) {
    guard policy.usesStage1 else {
      let ipa = IntermediateAddress(access.address)
      return (try output(ipa, access, regime.plan, walker, &walk), false)
    }
    var (found, isGlobal) = try walkStage1(access, key, regime, policy, walker, &walk)
    guard policy == .nested else { return (found, isGlobal) }
    let ipa = IntermediateAddress(found.output | access.address & UInt64.low(found.size))
    found.join(try output(ipa, access, regime.plan, walker, &walk), at: ipa)
    return (found, isGlobal)
  }

  @inline(__always)
  private func walkStage1(
    _ access: Access, _ key: InputAddress?, _ regime: Regime, _ policy: StreamPolicy,
    _ walker: TableWalker, _ walk: inout Walk
  ) throws(Fault) -> (CachedTranslation, isGlobal: Bool) {
    let half = regime.stage1
    // All bits from 64 - TxSZ up are copies of bit 55, those of an ignored top byte excepted.
    guard let key, key.isWithin(half.table.geometry.inputBits) else {
      throw WalkPurpose.stage1.fault(.translation)
    }
    let leaf = try walker.walk(
      policy == .nested ? .nested : .stage1, half.table, key, regime.owner.tag.vmid, &walk)
    let descriptor = leaf.descriptor
    if !descriptor.accessFlag && !half.flags.contains(.ignoresAccessFlag) {
      throw WalkPurpose.stage1.fault(.access)
    }
    let permissions = Permissions(
      descriptor, tables: half.ignoresTables(upper: key.isUpper) ? 0 : leaf.tables,
      wxn: half.flags.contains(.writableIsNotExecutable), pan: half.flags.contains(.hasPAN))
    try require(permissions, access, regime.plan, .stage1)
    return (
      CachedTranslation(
        output: leaf.address & ~UInt64.low(leaf.size), size: leaf.size, stage1Size: leaf.size,
        permissions: permissions, stage1Attributes: half.attributes(descriptor.attributeIndex),
        stage1Shareability: UInt8(truncatingIfNeeded: descriptor.shareability),
        stage2Attributes: 0, stage2Shareability: 0),
      !descriptor.notGlobal
    )
  }

  /// Stage 2 of the access's own address.
  @inline(__always)
  private func output(
    _ ipa: IntermediateAddress, _ access: Access, _ plan: StreamPlan, _ walker: TableWalker,
    _ walk: inout Walk
  ) throws(Fault) -> CachedTranslation {
    let found = try walker.output(ipa, &walk)
    let permissions = Permissions(
      stage2: found.descriptor, xnx: walk.stage2.flags.contains(.hasXNX))
    try require(
      permissions, access, plan, WalkPurpose(stage2: true, accessClass: .input, ipa: ipa))
    return CachedTranslation(
      output: found.address & ~UInt64.low(found.size), size: found.size, permissions: permissions,
      stage1Attributes: 0, stage1Shareability: 0,
      stage2Attributes: UInt8(truncatingIfNeeded: found.descriptor.stage2MemAttr),
      stage2Shareability: UInt8(truncatingIfNeeded: found.descriptor.shareability))
  }

  @inline(__always)
  private func require(
    _ permissions: Permissions, _ access: Access, _ plan: StreamPlan, _ purpose: WalkPurpose
  ) throws(Fault) {
    if plan.isPlain && access.flags.isSubset(of: .common) {
      if permissions.allow(plain: access.flags) { return }
    } else if permissions.allow(access, plan.effective(access)) {
      return
    }
    var fault = purpose.fault(.permission)
    fault.missesRead = permissions.missesReadOnly(access, plan.effective(access))
    throw fault
  }
}

extension InputAddress {
  /// Whether all bits from `inputBits` up are copies of bit 55.
  @inline(__always)
  fileprivate func isWithin(_ inputBits: Int) -> Bool {
    let above = UInt64(bitPattern: Int64(bitPattern: raw) ^ (Int64(bitPattern: raw &<< 8) &>> 63))
    return above &>> UInt64(truncatingIfNeeded: inputBits) == 0
  }
}

extension CachedTranslation {
  /// Stage 2 on top of stage 1: the smaller size, the permissions of both.
  @inline(__always)
  fileprivate mutating func join(_ below: CachedTranslation, at ipa: IntermediateAddress) {
    size = min(size, below.size)
    output = below.output | ipa.raw & UInt64.low(below.size) & ~UInt64.low(size)
    permissions.formIntersection(below.permissions)
    stage2Attributes = below.stage2Attributes
    stage2Shareability = below.stage2Shareability
  }

  @inline(__always)
  func answer(_ access: Access, _ visible: Permissions) -> Translation {
    let offset = access.address & UInt64.low(size)
    return Translation(
      address: output | offset, length: (1 &<< UInt64(truncatingIfNeeded: size)) &- offset,
      pageBits: UInt64(truncatingIfNeeded: size),
      permissions: UInt64(visible.visible(privileged: access.flags.contains(.privileged))))
  }
}

/// Step 6: the output attributes (§13.4), worked out only where they are asked for.
extension Translator {
  /// The access's attributes after the STE's overrides (§13.2).
  func incomingAttributes(_ access: Access, _ plan: StreamPlan) -> MemoryAttributes {
    guard features.attributeTypesOverride else { return access.attributes.canonical }
    return plan.attributeOverride.applied(to: access.attributes)
  }

  @inline(never)
  fileprivate func combined(
    _ found: CachedTranslation, _ access: Access, _ plan: StreamPlan
  ) -> MemoryAttributes {
    var attributes = incomingAttributes(access, plan)
    if plan.policy.usesStage1 {
      attributes = attributes.replaced(
        mair: found.stage1Attributes, shareability: found.stage1Shareability)
    }
    if plan.policy.usesStage2 {
      attributes = attributes.combined(
        stage2: found.stage2Attributes, shareability: found.stage2Shareability,
        forced: plan.stage2.contains(.forcesAttributes))
    }
    return attributes
  }
}
