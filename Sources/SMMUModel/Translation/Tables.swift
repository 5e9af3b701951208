// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// Steps 5 and 6 of a translation (`Translate.swift`).
extension Translator {
  @inline(never)
  func translateByTables(_ passage: inout Passage) throws(Fault) -> Translation {
    counters.add(.tlbMisses)
    let (found, isGlobal) = try walkTables(&passage, walker)
    if let key = passage.key {
      keep(found, key: key, owner: passage.walk.owner, isGlobal: isGlobal, time: passage.start.time)
    }
    return answer(passage, found)
  }

  /// Into the TLB. The micro TLB waits for a second access: many pages have one.
  @inline(__always)
  func keep(
    _ found: CachedTranslation, key: InputAddress, owner: TranslationOwner, isGlobal: Bool,
    time: UInt32
  ) {
    let tag = isGlobal ? owner.tag.global : owner.tag
    let seed = isGlobal ? TranslationOwner.seed(tag.key) : owner.seed
    tlb.insert(key.raw, tag: tag, seed: seed, translation: found, time: time)
  }

  @inline(__always)
  func answer(_ passage: borrowing Passage, _ found: CachedTranslation) -> Translation {
    let (access, plan) = (passage.access, passage.plan)
    var answer = found.answer(access, plan.visible(found.permissions))
    if access.flags.contains(.attributes) {
      answer.attributes = combined(found, access: access, plan: plan)
    }
    answer.generation = passage.start.generation
    if _slowPath(found.isPiece) { forbidCopies(&answer) }
    return answer
  }

  /// Of a piece whose leaf was noted too late for a notice, no copy may be kept: see `notify`.
  @inline(never)
  func forbidCopies(_ answer: inout Translation) {
    guard keepsCopies else { return }
    // After the note of its leaf (`TranslationCache.insert`).
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if micro.table.generation != answer.generation { answer.generation = 0 }
  }

  /// Step 5: the stages that the policy has.
  @inline(never)
  func walkTables(
    _ passage: inout Passage, _ walker: TableWalker
  ) throws(Fault) -> (CachedTranslation, isGlobal: Bool) {
    let policy = passage.plan.policy
    guard policy.usesStage1 else {
      let ipa = IntermediateAddress(passage.access.address)
      return (try output(ipa, passage: &passage, walker: walker), false)
    }
    let (found, isGlobal) = try walkStage1(&passage, walker)
    guard policy == .nested else { return (found, isGlobal) }
    let ipa = found.intermediate(passage.access)
    let below = try output(ipa, passage: &passage, walker: walker)
    return (found.joined(below, at: ipa), isGlobal)
  }

  @inline(__always)
  private func walkStage1(
    _ passage: inout Passage, _ walker: TableWalker
  ) throws(Fault) -> (CachedTranslation, isGlobal: Bool) {
    let half = passage.walk.stage1
    guard let key = passage.key, key.isWithin(half.table) else {
      throw WalkPurpose.stage1.fault(.translation)
    }
    let leaf =
      passage.plan.policy == .nested
      ? try walker.nestedStage1(key, &passage.walk) : try walker.stage1(key, &passage.walk)
    let found = try judge(
      leaf, half: half, key: key, access: passage.access, plan: passage.plan, isPlain: false)
    return (found, !leaf.descriptor.notGlobal)
  }

  /// What a leaf of stage 1 comes to. `isPlain`: stream and access are known to be to the tables
  /// what they say.
  @inline(__always)
  func judge(
    _ leaf: Leaf, half: Stage1Half, key: InputAddress, access: Access, plan: StreamPlan,
    isPlain: Bool
  ) throws(Fault) -> CachedTranslation {
    let descriptor = leaf.descriptor
    if !descriptor.accessFlag && !half.flags.contains(.ignoresAccessFlag) {
      throw WalkPurpose.stage1.fault(.access)
    }
    let permissions = Permissions(
      descriptor, tables: half.ignoresTables(upper: key.isUpper) ? 0 : leaf.tables,
      wxn: half.flags.contains(.writableIsNotExecutable), pan: half.flags.contains(.hasPAN))
    try require(permissions, access: access, plan: plan, purpose: .stage1, isPlain: isPlain)
    return CachedTranslation(
      page: leaf.address & ~UInt64.low(leaf.size), size: leaf.size, permissions: permissions,
      stage1Attributes: half.attributes(descriptor.attributeIndex),
      stage1Shareability: descriptor.shareability)
  }

  /// Stage 2 of the access's own address.
  @inline(__always)
  private func output(
    _ ipa: IntermediateAddress, passage: inout Passage, walker: TableWalker
  ) throws(Fault) -> CachedTranslation {
    let leaf = try walker.output(ipa, &passage.walk)
    return try judge(
      leaf, stage2: passage.walk.stage2, ipa: ipa, access: passage.access, plan: passage.plan,
      isPlain: false)
  }

  /// What a leaf of stage 2 comes to.
  @inline(__always)
  func judge(
    _ leaf: Leaf, stage2: Stage2Regime, ipa: IntermediateAddress, access: Access,
    plan: StreamPlan, isPlain: Bool
  ) throws(Fault) -> CachedTranslation {
    let permissions = Permissions(stage2: leaf.descriptor, xnx: stage2.flags.contains(.hasXNX))
    try require(
      permissions, access: access, plan: plan,
      purpose: WalkPurpose(stage2: true, accessClass: .input, ipa: ipa),
      isPlain: isPlain)
    return CachedTranslation(
      page: leaf.address & ~UInt64.low(leaf.size), size: leaf.size, permissions: permissions,
      stage2Attributes: leaf.descriptor.stage2MemAttr,
      stage2Shareability: leaf.descriptor.shareability)
  }

  @inline(__always)
  private func require(
    _ permissions: Permissions, access: Access, plan: StreamPlan, purpose: WalkPurpose,
    isPlain: Bool
  ) throws(Fault) {
    if isPlain {
      if permissions.allow(plain: access.flags) { return }
    } else if permissions.allow(access, plan.effective(access)) {
      return
    }
    throw refusal(permissions, access: access, plan: plan, purpose: purpose)
  }

  @inline(never)
  private func refusal(
    _ permissions: Permissions, access: Access, plan: StreamPlan, purpose: WalkPurpose
  ) -> Fault {
    var fault = purpose.fault(.permission)
    fault.missesRead = permissions.missesReadOnly(access, plan.effective(access))
    return fault
  }
}

extension InputAddress {
  /// Whether all bits from 64 - TxSZ up are copies of bit 55. Those of an ignored top byte are.
  @inline(__always)
  func isWithin(_ table: TranslationTable) -> Bool {
    let above = UInt64(bitPattern: Int64(bitPattern: raw) ^ (Int64(bitPattern: raw &<< 8) &>> 63))
    return above &>> UInt64(truncatingIfNeeded: table.geometry.inputBits) == 0
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
    _ found: CachedTranslation, access: Access, plan: StreamPlan
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
