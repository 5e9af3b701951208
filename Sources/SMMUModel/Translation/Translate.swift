// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// From an access to its answer. The steps are those of §3.3.2 and §3.4, numbered here:
///
///   1. SMMUEN = 0: GBPA bypasses or aborts.
///   2. The stream's configuration, cached or fetched (`Configure.swift`).
///   3. Its policy: abort, bypass, or one or two stages.
///   4. The TLB.
///   5. Stage 1, its tables read through stage 2 where nested; then stage 2 (`walk`).
///   6. What was found is cached; attributes are combined if they are wanted.
///
/// A fault at any step ends in `conclude`. The micro TLB answers before all of them.
extension SMMU {
  @inline(__always)
  public func translate(_ access: Access) -> Translation {
    if let recent = micro.lookUp(access) { return recent }
    return translateKnown(access) ?? translateFully(access)
  }

  /// All steps for a stream whose configuration is cached; nil if it is not: then the caller may
  /// have to see whether there is such a stream, inside an access. Takes no lock where the TLB
  /// hits.
  @inline(never)
  public func translateKnown(_ access: Access) -> Translation? {
    let generation = micro.table.generation
    let era = control.era
    guard era.isEnabled, let (plan, tag) = configurations.plan(of: access) else { return nil }
    guard !access.flags.contains(.attributes) else { return run(access) }
    guard let answer = hit(access, plan, tag) else { return run(access, missesTLB: true) }
    // Configuration and translation are of one state, which was there when both were found.
    guard control.era == era else { return run(access) }
    micro.insert(
      access, answer.translation, answer.visible, epoch: UInt32(truncatingIfNeeded: generation))
    var translation = answer.translation
    translation.generation = generation
    return translation
  }

  /// The answer, and what the micro TLB may tell of it.
  @inline(__always)
  private func hit(
    _ access: Access, _ plan: StreamPlan, _ tag: TranslationTag
  ) -> (translation: Translation, visible: Permissions)? {
    let key: UInt64
    switch plan.policy {
    case .stage1, .nested:
      guard let canonical = plan.key(access.address) else { return nil }
      key = canonical
    case .stage2:
      key = access.address
    case .bypass:
      guard isPhysical(access.address) else { return nil }
      return (identity(access, .incoming), .all)
    case .abort:
      return nil
    }
    guard let cached = tlb.lookUp(key, tag) else { return nil }
    let effective = plan.effective(access)
    // A refusal is worked out afresh: the event must name the stage that refuses.
    guard cached.permissions.allow(access, effective) else { return nil }
    let visible = plan.visible(cached.permissions)
    return (cached.answer(access, visible, .incoming), visible)
  }

  /// Whether the configuration of an access is cached: its stream was found before.
  public func knows(_ access: Access) -> Bool { configurations.plan(of: access) != nil }

  /// All steps, for any access.
  public func translateFully(_ access: Access) -> Translation {
    run(access, mayFetch: true) ?? .nothing
  }

  /// All steps. `missesTLB`: it was looked for there already. nil if the stream's configuration is
  /// not cached and may not be fetched, or if this is a callback, which may hold a lock.
  ///
  /// What was found while registers changed may be of both states, and is found anew, in the tables
  /// where the TLB did not have it: once, as who changes them again waits for this access first.
  @inline(never)
  private func run(
    _ access: Access, missesTLB: Bool = false, mayFetch: Bool = false
  ) -> Translation? {
    guard mayFetch || !machine.isEntered else { return nil }
    // An invalidation that follows is complete only when this has ended.
    let token = accesses.begin()
    defer { accesses.end(token) }
    while true {
      let start = TranslationStart(self)
      var configuration = StreamConfiguration()
      do throws(Fault) {
        var answer = try attempt(
          access, start, &configuration, missesTLB: missesTLB, mayFetch: mayFetch)
        guard _fastPath(control.era == start.state.era) else { continue }
        answer.generation = answer.generation == 0 ? start.generation : 0
        return answer
      } catch {
        if error.isUnknownStream { return nil }
        if _fastPath(control.era == start.state.era) {
          return conclude(error, access, configuration, start.state)
        }
      }
    }
  }

  /// One run of all steps. Its answer's generation is 0, or 1 if it is not to be kept.
  @inline(__always)
  private func attempt(
    _ access: Access, _ start: TranslationStart, _ configuration: inout StreamConfiguration,
    missesTLB: Bool, mayFetch: Bool
  ) throws(Fault) -> Translation {
    guard start.state.isEnabled else { return try bypassGlobally(access, start.state.gbpa) }
    var walker = Walker(self, epoch: start.walkEpoch)
    try configure(access, &configuration, start, &walker, mayFetch: mayFetch)
    return try translate(access, configuration, start, &walker, missesTLB)
  }

  /// Step 1 (§3.11, §6.3.9.6): no fault here makes an event.
  private func bypassGlobally(_ access: Access, _ gbpa: UInt64) throws(Fault) -> Translation {
    guard !gbpa[GBPA.abort.low], isPhysical(access.address) else { throw .silent }
    let attributes =
      features.attributeTypesOverride
      ? access.attributes.overridden(
        mtcfg: gbpa[GBPA.mtcfg.low],
        memAttr: UInt8(truncatingIfNeeded: gbpa[GBPA.memAttr.high, GBPA.memAttr.low]),
        alloccfg: UInt8(truncatingIfNeeded: gbpa[GBPA.alloccfg.high, GBPA.alloccfg.low]),
        shcfg: UInt8(truncatingIfNeeded: gbpa[GBPA.shcfg.high, GBPA.shcfg.low]))
      : access.attributes.canonical
    return identity(access, attributes)
  }

  /// The access goes on as it came; the whole output space is one mapping.
  @inline(__always)
  private func identity(_ access: Access, _ attributes: MemoryAttributes) -> Translation {
    Translation(
      kind: .ok, address: access.address,
      length: (1 &<< UInt64(truncatingIfNeeded: features.outputBits)) &- access.address,
      pageBits: UInt8(truncatingIfNeeded: features.outputBits), permissions: 7, event: nil,
      attributes: access.flags.contains(.attributes) ? attributes : .incoming)
  }

  /// Steps 3 to 6.
  @inline(__always)
  private func translate(
    _ access: Access, _ configuration: StreamConfiguration, _ start: TranslationStart,
    _ walker: inout Walker, _ missesTLB: Bool
  ) throws(Fault) -> Translation {
    switch configuration.policy {
    case .abort:
      throw .silent
    case .bypass:
      // §3.4: without stage 1 the address must fit, whatever the CD of other substreams says.
      guard isPhysical(access.address) else { throw Fault(event: .addressSize) }
      return identity(access, configuration.incomingAttributes(access, features))
    case .stage1, .stage2, .nested:
      if configuration.policy == .stage2 && !isPhysical(access.address) {
        throw Fault(event: .addressSize)
      }
      return try translateByTables(access, configuration, start, &walker, missesTLB)
    }
  }

  @inline(__always)
  private func translateByTables(
    _ access: Access, _ configuration: StreamConfiguration, _ start: TranslationStart,
    _ walker: inout Walker, _ missesTLB: Bool
  ) throws(Fault) -> Translation {
    let plan = configuration.plan
    let effective = plan.effective(access)
    let key = configuration.policy.usesStage1 ? plan.key(access.address) : access.address
    if !missesTLB, let key, let cached = tlb.lookUp(key, configuration.tag),
      cached.permissions.allow(access, effective)
    {
      return cached.answer(
        access, plan.visible(cached.permissions),
        configuration.attributes(cached, access, features))
    }
    let (found, isGlobal): (CachedTranslation, Bool)
    do throws(Fault) {
      (found, isGlobal) = try walk(access, effective, configuration, &walker)
    } catch {
      settle(walker) {}
      throw error
    }
    let tag = isGlobal ? configuration.tag.global : configuration.tag
    // The micro TLB waits for a second access: many pages have one.
    settle(walker) { if let key { tlb.insert(key, tag, found, time: start.time) } }
    var answer = found.answer(
      access, plan.visible(found.permissions), configuration.attributes(found, access, features))
    // Of a piece whose leaf was noted too late for a notice, no copy may be kept: see `notify`.
    if keepsCopies && found.isPiece && micro.table.generation != start.generation {
      answer.generation = 1
    }
    return answer
  }

  /// Ends a walk: it counts, and what it found is kept.
  @inline(__always)
  private func settle(_ walker: Walker, _ insert: () -> Void) {
    tlb.lock.lock()
    counters.addAlone(.tlbMisses)
    insert()
    walker.keep(self)
    tlb.lock.unlock()
  }

  /// Step 5: the stages that the policy has.
  @inline(__always)
  private func walk(
    _ access: Access, _ effective: EffectiveAccess, _ configuration: StreamConfiguration,
    _ walker: inout Walker
  ) throws(Fault) -> (CachedTranslation, isGlobal: Bool) {
    guard configuration.policy.usesStage1 else {
      walker.stage2 = stage2(configuration)
      let found = try output(access.address, access, effective, &walker)
      return (found, false)
    }
    if configuration.policy == .nested { walker.stage2 = stage2(configuration) }
    var (found, isGlobal) = try walkStage1(access, effective, configuration, &walker)
    guard configuration.policy == .nested else { return (found, isGlobal) }
    let ipa = found.output | access.address & UInt64.ones(found.size)
    let below = try output(ipa, access, effective, &walker)
    // The span is the smaller of both (§13.6.3), the permissions what both allow.
    found.size = min(found.size, below.size)
    found.output = below.addressOfPage(ipa, found.size)
    found.permissions.formIntersection(below.permissions)
    found.stage2Attributes = below.stage2Attributes
    found.stage2Shareability = below.stage2Shareability
    return (found, isGlobal)
  }

  @inline(__always)
  private func stage2(_ configuration: StreamConfiguration) -> Stage2 {
    Stage2(configuration.ste, configuration.plan.stage2, features)
  }

  @inline(__always)
  private func walkStage1(
    _ access: Access, _ effective: EffectiveAccess, _ configuration: StreamConfiguration,
    _ walker: inout Walker
  ) throws(Fault) -> (CachedTranslation, isGlobal: Bool) {
    let cd = configuration.cd
    let purpose = WalkPurpose.stage1
    guard let stage1 = Stage1(configuration.plan, cd, access.address) else {
      throw purpose.fault(.translation)
    }
    let leaf =
      configuration.policy == .nested
      ? try walkNested(stage1.table, stage1.input, configuration.tag, &walker)
      : try walk(stage1.table, stage1.input, configuration.tag, purpose, &walker)
    let descriptor = leaf.descriptor
    if !descriptor.accessFlag && !cd.flag(ContextDescriptor.affd) { throw purpose.fault(.access) }
    let isIgnored =
      features.hierarchicalAttributeDisable
      && cd.flag(access.address[55] ? ContextDescriptor.had1 : ContextDescriptor.had0)
    let permissions = Permissions(descriptor, table: isIgnored ? 0 : leaf.tables, cd)
    try require(permissions, access, effective, purpose)
    return (
      CachedTranslation(
        output: leaf.address.aligned(down: leaf.size), size: leaf.size, stage1Size: leaf.size,
        permissions: permissions,
        stage1Attributes: cd.memoryAttributes(descriptor.attributeIndex),
        stage1Shareability: UInt8(truncatingIfNeeded: descriptor.shareability),
        stage2Attributes: 0, stage2Shareability: 0),
      !descriptor.notGlobal
    )
  }

  /// Stage 2 of the access's own address.
  private func output(
    _ ipa: UInt64, _ access: Access, _ effective: EffectiveAccess, _ walker: inout Walker
  ) throws(Fault) -> CachedTranslation {
    let found = try translate(intermediate: ipa, .input, &walker)
    let permissions = Permissions(stage2: found.descriptor, xnx: walker.stage2.hasXNX)
    try require(
      permissions, access, effective,
      WalkPurpose(stage2: true, accessClass: .input, ipa: ipa))
    return CachedTranslation(
      output: found.address.aligned(down: found.size), size: found.size, permissions: permissions,
      stage1Attributes: 0, stage1Shareability: 0,
      stage2Attributes: UInt8(truncatingIfNeeded: found.descriptor.stage2MemAttr),
      stage2Shareability: UInt8(truncatingIfNeeded: found.descriptor.shareability))
  }

  @inline(__always)
  private func require(
    _ permissions: Permissions, _ access: Access, _ effective: EffectiveAccess,
    _ purpose: WalkPurpose
  ) throws(Fault) {
    if permissions.allow(access, effective) { return }
    var fault = purpose.fault(.permission)
    fault.missesRead = permissions.missesReadOnly(access, effective)
    throw fault
  }
}

extension CachedTranslation {
  /// The output page for a smaller page around `input`.
  fileprivate func addressOfPage(_ input: UInt64, _ size: Int) -> UInt64 {
    output | (input & UInt64.ones(self.size)).aligned(down: size)
  }

  @inline(__always)
  fileprivate func answer(
    _ access: Access, _ visible: Permissions, _ attributes: MemoryAttributes
  ) -> Translation {
    let offset = access.address & UInt64.ones(size)
    return Translation(
      kind: .ok, address: output | offset,
      length: (1 &<< UInt64(truncatingIfNeeded: size)) &- offset,
      pageBits: UInt8(truncatingIfNeeded: size),
      permissions: visible.visible(privileged: access.flags.contains(.privileged)), event: nil,
      attributes: attributes)
  }
}

extension StreamConfiguration {
  /// The access's attributes after the STE's overrides (§13.2).
  fileprivate func incomingAttributes(_ access: Access, _ features: Features) -> MemoryAttributes {
    guard features.attributeTypesOverride else { return access.attributes.canonical }
    return access.attributes.overridden(
      mtcfg: ste.flag(StreamTableEntry.mtcfg),
      memAttr: UInt8(truncatingIfNeeded: ste[StreamTableEntry.memAttr]),
      alloccfg: UInt8(truncatingIfNeeded: ste[StreamTableEntry.alloccfg]),
      shcfg: UInt8(truncatingIfNeeded: ste[StreamTableEntry.shcfg]))
  }

  /// Step 6: the output attributes (§13.4), worked out only where they are asked for.
  @inline(__always)
  fileprivate func attributes(
    _ found: CachedTranslation, _ access: Access, _ features: Features
  ) -> MemoryAttributes {
    access.flags.contains(.attributes) ? combined(found, access, features) : .incoming
  }

  @inline(never)
  private func combined(
    _ found: CachedTranslation, _ access: Access, _ features: Features
  ) -> MemoryAttributes {
    var attributes = incomingAttributes(access, features)
    if policy.usesStage1 {
      attributes = attributes.replaced(
        mair: found.stage1Attributes, shareability: found.stage1Shareability)
    }
    if policy.usesStage2 {
      attributes = attributes.combined(
        stage2: found.stage2Attributes, shareability: found.stage2Shareability,
        forced: features.forcedWriteBack && ste.flag(StreamTableEntry.s2fwb))
    }
    return attributes
  }
}
