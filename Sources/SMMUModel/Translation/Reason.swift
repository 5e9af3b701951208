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
    do throws(Fault) {
      try repeatSteps(access, observer)
      return nil
    } catch {
      return Reason(
        fault: error, violation: observer.violation, descriptor: observer.descriptor)
    }
  }

  private func repeatSteps(_ access: Access, _ observer: Observer) throws(Fault) {
    let state = control.state
    guard state.isEnabled else {
      if state.gbpa[GBPA.abort.low] || !features.isPhysical(access.address) { throw .silent }
      return
    }
    let walker = TableWalker(bus, cache: self.walker.cache, cachesTables: false, observer: observer)
    var configuration = StreamConfiguration.unknown
    let start = TranslationStart(self)
    var passage = Passage(
      access: access, start: start, plan: .unknown, walk: Walk(walker, epoch: start.walkEpoch))
    try ConfigurationReader(walker: walker, features: features, state: state)
      .fetch(access, configuration: &configuration, walk: &passage.walk)
    let policy = configuration.plan.policy
    if policy == .abort { throw .silent }
    if !policy.usesStage1 && !features.isPhysical(access.address) {
      throw Fault(event: .addressSize)
    }
    guard policy.usesTables else { return }
    passage.plan = configuration.plan
    passage.walk.take(configuration, upper: passage.isUpper)
    _ = try self.walk(&passage, walker)
  }
}
