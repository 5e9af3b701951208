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
  /// may have to see whether there is such a stream, inside an access.
  @inline(never)
  public func translateKnown(_ access: Access) -> Translation {
    translateKnown(access, unless: machine.isEntered)
  }

  /// The same. A callback, which may hold a lock, is told what is cached alone.
  @inline(__always)
  public func translateKnown(
    _ access: Access, unless isEntered: @autoclosure () -> Bool
  ) -> Translation {
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
    else { return isEntered() ? .unknown : walkKnown(access, row) }
    var answer = cached.answer(access, cached.permissions)
    micro.insert(
      access, answer: answer, permissions: cached.permissions,
      epoch: UInt32(truncatingIfNeeded: generation))
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
    else { return machine.isEntered ? .unknown : runKnown(access, row) }
    var answer = found
    micro.insert(
      access, answer: answer, permissions: visible, epoch: UInt32(truncatingIfNeeded: generation))
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

  /// Whether the configuration of an access is cached: its stream was found before.
  public func knows(_ access: Access) -> Bool { configurations.find(access) != nil }

  /// Steps 3 to 6 for a configuration that was found. `.unknown` if that or registers changed
  /// meanwhile.
  @inline(never)
  func runKnown(_ access: Access, _ row: ConfigurationRow) -> Translation {
    // An invalidation that follows is complete only when this has ended.
    let token = accesses.begin()
    let start = TranslationStart(self)
    var passage = Passage(
      access: access, start: start, plan: .unknown, walk: Walk(walker, epoch: start.walkEpoch))
    passage.plan = row.plan
    passage.walk.take(row, upper: passage.isUpper)
    var answer = Translation.unknown
    if start.era.isEnabled && configurations.isAlive(row) {
      do throws(Fault) {
        answer = try translate(&passage)
        if _slowPath(control.era != start.era) { answer = .unknown }
      } catch {
        if control.era == start.era {
          answer = conclude(error, of: access, plan: passage.plan, era: start.era)
        }
      }
    }
    accesses.end(token)
    return answer
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
      let configurationTime = configurations.now
      let start = TranslationStart(self)
      var passage = Passage(
        access: access, start: start, configurationTime: configurationTime, plan: .unknown,
        walk: Walk(walker, epoch: start.walkEpoch))
      do throws(Fault) {
        let answer = try attempt(&passage)
        if control.era == start.era { return answer }
      } catch {
        if control.era == start.era {
          return conclude(error, of: access, plan: passage.plan, era: start.era)
        }
      }
    }
  }

  private func attempt(_ passage: inout Passage) throws(Fault) -> Translation {
    let state = control.state(passage.start.era)
    guard state.isEnabled else {
      return try bypassGlobally(passage.access, gbpa: state.gbpa, start: passage.start)
    }
    try configure(&passage, state)
    return try translate(&passage)
  }

  /// Step 2: finds the cached configuration, or fetches one, which is then cached.
  private func configure(_ passage: inout Passage, _ state: ControlState) throws(Fault) {
    let access = passage.access
    if let row = configurations.find(access) {
      passage.walk.take(row, upper: passage.isUpper)
      let plan = row.plan
      if configurations.isAlive(row) {
        passage.plan = plan
        return
      }
    }
    if configurations.isBarred(access.stream) { throw .silent }
    counters.add(.configurationMisses)
    var configuration = StreamConfiguration.unknown
    defer { passage.plan = configuration.plan }
    let reader = ConfigurationReader(walker: walker, features: features, state: state)
    try reader.fetch(access, configuration: &configuration, walk: &passage.walk)
    configurations.insert(access, configuration: configuration, time: passage.configurationTime)
    passage.walk.take(configuration, upper: passage.isUpper)
  }

  /// Step 1 (§3.11, §6.3.9.6): no fault here makes an event.
  func bypassGlobally(
    _ access: Access, gbpa: UInt64, start: TranslationStart
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
  private func translate(_ passage: inout Passage) throws(Fault) -> Translation {
    let policy = passage.plan.policy
    guard policy.usesTables else { return try pass(passage) }
    if policy == .stage2 && !features.isPhysical(passage.access.address) {
      throw Fault(event: .addressSize)
    }
    if let found = look(passage) { return found }
    return try translateByTables(&passage)
  }

  /// Step 4, for an access of any kind.
  @inline(never)
  private func look(_ passage: borrowing Passage) -> Translation? {
    guard let key = passage.key, let cached = tlb.lookUp(key.raw, passage.walk.owner),
      cached.permissions.allow(passage.access, passage.plan.effective(passage.access))
    else { return nil }
    return answer(passage, cached)
  }

  /// A stream without tables.
  @inline(never)
  func pass(_ passage: borrowing Passage) throws(Fault) -> Translation {
    let access = passage.access
    guard passage.plan.policy == .bypass else { throw .silent }
    // §3.4: without stage 1 the address must fit, whatever the CD of other substreams says.
    guard features.isPhysical(access.address) else { throw Fault(event: .addressSize) }
    var answer = identity(access, incomingAttributes(access, passage.plan))
    answer.generation = passage.start.generation
    return answer
  }
}
