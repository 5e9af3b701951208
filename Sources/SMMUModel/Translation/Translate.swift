// SPDX-License-Identifier: MIT
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

  /// All steps for a stream whose configuration is cached; nil if it is not. Takes no lock where
  /// the TLB hits.
  @inline(never)
  public func translateKnown(_ access: Access) -> Translation? {
    let epoch = micro.table.now
    guard registers.flag(.cr0ack, CR0.smmuen), let (plan, tag) = configurations.plan(of: access)
    else { return nil }
    guard !access.flags.contains(.attributes) else { return translateFully(access) }
    return hit(access, plan, tag, epoch) ?? translateFully(access, missesTLB: true)
  }

  @inline(__always)
  private func hit(
    _ access: Access, _ plan: StreamPlan, _ tag: TranslationTag, _ epoch: UInt32
  ) -> Translation? {
    let key: UInt64
    switch plan.policy {
    case .stage1, .nested:
      guard let canonical = plan.key(access.address) else { return nil }
      key = canonical
    case .stage2:
      key = access.address
    case .bypass:
      guard isPhysical(access.address) else { return nil }
      let answer = identity(access, .incoming)
      micro.insert(access, answer, .all, epoch: epoch)
      return answer
    case .abort:
      return nil
    }
    guard let cached = tlb.lookUp(key, tag) else { return nil }
    let effective = plan.effective(access)
    // A refusal is worked out afresh: the event must name the stage that refuses.
    guard cached.permissions.allow(access, effective) else { return nil }
    let visible = plan.visible(cached.permissions)
    let answer = cached.answer(access, visible, .incoming)
    micro.insert(access, answer, visible, epoch: epoch)
    return answer
  }

  /// Whether the configuration of an access is cached: its stream was found before.
  public func knows(_ access: Access) -> Bool { configurations.plan(of: access) != nil }

  /// All steps, for any access. `missesTLB`: it was looked for there already.
  @inline(never)
  public func translateFully(_ access: Access, missesTLB: Bool = false) -> Translation {
    // An invalidation that follows is complete only when this has ended.
    let token = accesses.begin()
    defer { accesses.end(token) }
    // Sampled before the configuration is: a table pointer that a CFGI and a TLBI have replaced
    // meanwhile must not fill a TLB.
    let time = tlb.now
    var walker = Walker(self)
    guard registers.flag(.cr0ack, CR0.smmuen) else { return bypassGlobally(access) }
    var configuration = StreamConfiguration()
    do throws(Fault) {
      try configure(access, &configuration, &walker)
      return try translate(access, configuration, time, &walker, missesTLB)
    } catch {
      return conclude(error, access, configuration)
    }
  }

  /// Step 1 (§3.11, §6.3.9.6): no fault here makes an event.
  private func bypassGlobally(_ access: Access) -> Translation {
    let gbpa = registers[.gbpa]
    guard !gbpa[GBPA.abort.low], isPhysical(access.address) else {
      return conclude(.silent, access, StreamConfiguration())
    }
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
    _ access: Access, _ configuration: StreamConfiguration, _ time: UInt32,
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
      return try translateByTables(access, configuration, time, &walker, missesTLB)
    }
  }

  @inline(__always)
  private func translateByTables(
    _ access: Access, _ configuration: StreamConfiguration, _ time: UInt32,
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
    settle(walker) { if let key { tlb.insert(key, tag, found, time: time) } }
    return found.answer(
      access, plan.visible(found.permissions), configuration.attributes(found, access, features))
  }

  /// Ends a walk: it counts, and what it found is kept unless translation was turned off meanwhile.
  @inline(__always)
  private func settle(_ walker: Walker, _ insert: () -> Void) {
    tlb.lock.lock(machine)
    counters.addAlone(.tlbMisses)
    if registers.flag(.cr0ack, CR0.smmuen) {
      insert()
      walker.keep(self)
    }
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
