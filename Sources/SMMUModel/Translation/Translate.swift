// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// From an access to its answer. The steps are those of §3.3.2 and §3.4, numbered here:
///
///   1. SMMUEN = 0: GBPA bypasses or aborts.
///   2. The stream's configuration, cached or fetched (`ConfigurationReader`).
///   3. Its policy: abort, bypass, or one or two stages.
///   4. The TLB.
///   5. Stage 1, its tables read through stage 2 where nested; then stage 2 (`Tables.swift`).
///   6. What was found is cached; attributes are combined if they are wanted.
///
/// A fault at any step ends in `conclude`. The micro TLB answers before all of them.
extension Translator {
  @inline(__always)
  public func translate(_ access: Access) -> Translation {
    if let recent = micro.lookUp(access) { return recent }
    let known = translateKnown(access)
    return known.isUnknown ? translateFully(access) : known
  }

  /// All steps for a stream whose configuration is cached; `.unknown` if it is not: then the caller
  /// may have to see whether there is such a stream, inside an access. Takes no lock where the TLB
  /// hits.
  @inline(never)
  public func translateKnown(_ access: Access) -> Translation {
    let generation = micro.table.generation
    let era = control.era
    guard era.isEnabled, let row = configurations.find(access) else { return .unknown }
    let plan = row.plan
    guard plan.isPlain, access.flags.isSubset(of: .common), let key = plan.key(access.address)
    else { return translateRarely(access, row) }
    guard let cached = tlb.lookUp(key.raw, row.owner),
      // A refusal is worked out afresh: the event must name the stage that refuses.
      cached.permissions.allow(plain: access.flags), row.isWhole,
      // Configuration and translation are of one state, which was there when both were found.
      control.era == era
    else { return walkKnown(access, row) }
    var answer = cached.answer(access, cached.permissions)
    micro.insert(
      access, answer, cached.permissions, epoch: UInt32(truncatingIfNeeded: generation))
    answer.generation = generation
    return answer
  }

  /// Bypass and abort, accesses that ask for attributes, and permissions that are overridden.
  @inline(never)
  private func translateRarely(_ access: Access, _ row: ConfigurationRow) -> Translation {
    let generation = micro.table.generation
    let era = control.era
    guard !access.flags.contains(.attributes),
      let (found, visible) = look(access, row), configurations.isAlive(row), era.isEnabled,
      control.era == era
    else { return runKnown(access, row, missesTLB: false) }
    var answer = found
    micro.insert(access, answer, visible, epoch: UInt32(truncatingIfNeeded: generation))
    answer.generation = generation
    return answer
  }

  /// The answer, and what the micro TLB may tell of it.
  private func look(
    _ access: Access, _ row: ConfigurationRow
  ) -> (answer: Translation, visible: Permissions)? {
    let plan = row.plan
    switch plan.policy {
    case .abort: return nil
    case .bypass:
      return features.isPhysical(access.address) ? (identity(access, .incoming), .all) : nil
    case .stage1, .stage2, .nested:
      guard let key = plan.key(access.address), let cached = tlb.lookUp(key.raw, row.owner),
        cached.permissions.allow(access, plan.effective(access))
      else { return nil }
      let visible = plan.visible(cached.permissions)
      return (cached.answer(access, visible), visible)
    }
  }

  @inline(never)
  private func walkKnown(_ access: Access, _ row: ConfigurationRow) -> Translation {
    runKnown(access, row, missesTLB: true)
  }

  /// Whether the configuration of an access is cached: its stream was found before.
  public func knows(_ access: Access) -> Bool { configurations.find(access) != nil }

  /// Steps 3 to 6 for a configuration that was found. `.unknown` if that or the registers changed
  /// meanwhile, or if this is a callback, which may hold a lock.
  @inline(__always)
  private func runKnown(
    _ access: Access, _ row: ConfigurationRow, missesTLB: Bool
  ) -> Translation {
    guard !machine.isEntered else { return .unknown }
    // An invalidation that follows is complete only when this has ended.
    let token = accesses.begin()
    defer { accesses.end(token) }
    let start = TranslationStart(self)
    let regime = row.regime(upper: InputAddress(access.address).isUpper, row.plan.policy)
    guard start.era.isEnabled, configurations.isAlive(row) else { return .unknown }
    do throws(Fault) {
      let answer = try translate(access, regime, start, missesTLB: missesTLB)
      return _fastPath(control.era == start.era) ? answer : .unknown
    } catch {
      guard control.era == start.era else { return .unknown }
      return conclude(error, access, regime.plan, start)
    }
  }

  /// All steps, for any access.
  ///
  /// What was found while registers changed may be of both states, and is found anew: once, as who
  /// changes them again waits for this access first.
  @inline(never)
  public func translateFully(_ access: Access) -> Translation {
    let token = accesses.begin()
    defer { accesses.end(token) }
    while true {
      let start = TranslationStart(self)
      var plan = StreamPlan.unknown
      do throws(Fault) {
        let answer = try attempt(access, start, &plan)
        if control.era == start.era { return answer }
      } catch {
        if control.era == start.era { return conclude(error, access, plan, start) }
      }
    }
  }

  private func attempt(
    _ access: Access, _ start: TranslationStart, _ plan: inout StreamPlan
  ) throws(Fault) -> Translation {
    let state = control.state(start.era)
    guard state.isEnabled else { return try bypassGlobally(access, state.gbpa, start) }
    let regime = try configure(access, state, start, &plan)
    return try translate(access, regime, start, missesTLB: false)
  }

  /// Step 2: finds the cached configuration, or fetches one, which is then cached.
  private func configure(
    _ access: Access, _ state: ControlState, _ start: TranslationStart, _ plan: inout StreamPlan
  ) throws(Fault) -> Regime {
    let upper = InputAddress(access.address).isUpper
    if let row = configurations.find(access) {
      let regime = row.regime(upper: upper, row.plan.policy)
      if configurations.isAlive(row) {
        plan = regime.plan
        return regime
      }
    }
    if configurations.isBarred(access.stream) { throw .silent }
    counters.add(.configurationMisses)
    var configuration = StreamConfiguration.unknown
    defer { plan = configuration.plan }
    var walk = Walk(walker, stage2: .none)
    let reader = ConfigurationReader(walker: walker, features: features, state: state)
    // The tables that it finds on the way to a CD are found again by the access.
    try reader.fetch(access, &configuration, &walk)
    configurations.insert(access, configuration, time: start.configurationTime)
    return Regime(configuration, upper: upper)
  }

  /// Step 1 (§3.11, §6.3.9.6): no fault here makes an event.
  private func bypassGlobally(
    _ access: Access, _ gbpa: UInt64, _ start: TranslationStart
  ) throws(Fault) -> Translation {
    guard !gbpa[GBPA.abort.low], features.isPhysical(access.address) else { throw .silent }
    let attributes =
      features.attributeTypesOverride
      ? AttributeOverride(gbpa: gbpa).applied(to: access.attributes)
      : access.attributes.canonical
    var answer = identity(access, attributes)
    answer.generation = start.generation
    return answer
  }

  /// The access goes on as it came; the whole output space is one mapping.
  private func identity(_ access: Access, _ attributes: MemoryAttributes) -> Translation {
    var answer = Translation(
      address: access.address,
      length: (1 &<< UInt64(truncatingIfNeeded: features.outputBits)) &- access.address,
      pageBits: UInt64(truncatingIfNeeded: features.outputBits), permissions: 7)
    if access.flags.contains(.attributes) { answer.attributes = attributes }
    return answer
  }

  /// Steps 3 to 6.
  @inline(__always)
  private func translate(
    _ access: Access, _ regime: Regime, _ start: TranslationStart, missesTLB: Bool
  ) throws(Fault) -> Translation {
    let policy = regime.plan.policy
    guard policy.usesTables else { return try pass(access, regime, start) }
    if policy == .stage2 && !features.isPhysical(access.address) {
      throw Fault(event: .addressSize)
    }
    return try translateByTables(access, regime, policy, start, missesTLB: missesTLB)
  }

  /// A stream without tables.
  @inline(never)
  private func pass(
    _ access: Access, _ regime: Regime, _ start: TranslationStart
  ) throws(Fault) -> Translation {
    guard regime.plan.policy == .bypass else { throw .silent }
    // §3.4: without stage 1 the address must fit, whatever the CD of other substreams says.
    guard features.isPhysical(access.address) else { throw Fault(event: .addressSize) }
    var answer = identity(access, incomingAttributes(access, regime.plan))
    answer.generation = start.generation
    return answer
  }
}
