// SPDX-License-Identifier: MIT
import SMMUSpec

/// Why an access faults.
struct Reason {
  let fault: Fault
  /// The rule that a structure breaks.
  let violation: Violation?
  /// The descriptor that a walk ended at.
  let descriptor: FoundDescriptor?
}

extension Translator {
  /// Why an access faults: its steps once more, from registers and memory alone. Nothing is looked
  /// up in a cache or kept there, and no event is recorded. nil if it does not fault.
  func reason(_ access: Access) -> Reason? {
    let token = accesses.begin()
    defer { accesses.end(token) }
    let observer = Observer()
    let walker = TableWalker(
      inspector.bus, cache: inspector.cache, cachesTables: false, observer: observer)
    var plan = StreamPlan.unknown
    do throws(Fault) {
      _ = try repeatSteps(
        access, start: TranslationStart(self), walker: walker, attached: nil, plan: &plan)
      return nil
    } catch {
      return Reason(
        fault: error, violation: observer.violation, descriptor: observer.descriptor)
    }
  }

  /// What an access would come to that finds nothing in a cache. Nothing is recorded, counted or
  /// kept; what is found may be old at once, and is not to be kept either. `attached`: hardware
  /// translates the stream, by that in place of the registers and the STE.
  public func inspect(_ access: Access, attached: AssignedStream? = nil) -> Translation {
    let token = accesses.begin()
    defer { accesses.end(token) }
    var access = access
    access.flags.remove(.inspect)
    // Once more where registers changed meanwhile, as in `translateFully`.
    while true {
      let start = TranslationStart(self)
      var plan = StreamPlan.unknown
      var answer: Translation
      do throws(Fault) {
        answer = try repeatSteps(
          access, start: start, walker: inspector, attached: attached, plan: &plan)
      } catch {
        answer = outcome(error, of: access, plan: plan, era: start.era).0
      }
      answer.generation = 0
      if control.era == start.era { return answer }
    }
  }

  /// Inside an access. `plan` is as much as is known of the stream, also where it faults.
  private func repeatSteps(
    _ access: Access, start: TranslationStart, walker: TableWalker, attached: AssignedStream?,
    plan: inout StreamPlan
  ) throws(Fault) -> Translation {
    let state = control.state(start.era)
    guard state.isEnabled || attached != nil else {
      return try bypassGlobally(access, gbpa: state.gbpa, start: start)
    }
    let reader = ConfigurationReader(walker: walker, features: features, state: state)
    var passage = Passage(
      access: access, start: start, plan: .unknown, walk: Walk(walker, epoch: start.walkEpoch))
    let ste =
      if let attached {
        try entry(attached)
      } else {
        try reader.fetchSTE(access.stream)
      }
    var configuration = StreamConfiguration.unknown
    defer { plan = configuration.plan }
    try reader.decide(ste, access: access, configuration: &configuration, walk: &passage.walk)
    passage.plan = configuration.plan
    passage.walk.take(configuration, upper: passage.isUpper)
    let policy = passage.plan.policy
    // The host's stage 2 is what aborts it.
    if attached == .bypass && !features.isPhysical(access.address) { throw .silent }
    guard policy.usesTables else { return try pass(passage) }
    if policy == .stage2 && !features.isPhysical(access.address) {
      throw Fault(event: .addressSize)
    }
    return answer(passage, try walkTables(&passage, walker).0)
  }

  /// The STE of what hardware goes by. It tells no one of what it aborts without a stage 1.
  private func entry(_ attached: AssignedStream) throws(Fault) -> StreamTableEntry {
    var ste = StreamTableEntry()
    switch attached {
    case .abort: throw .silent
    case .bypass:
      ste[StreamTableEntry.v] = 1
      ste[StreamTableEntry.config] = 0b100
    case .stage1(let word0, let word1): (ste.words[0], ste.words[1]) = (word0, word1)
    }
    // Host kernels take what comes in.
    ste[StreamTableEntry.shcfg] = 0b01
    return ste
  }
}
