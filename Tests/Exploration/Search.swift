// SPDX-License-Identifier: MIT
import CExploration

/// All runs of a scene within bounds, as long as the limit lasts; then random ones beyond them.
struct Search {
  let scene: Scene
  var bounds = Bounds()
  var limit = 20_000
  var randomRuns = 200
  var seed: UInt64 = 1

  struct Outcome {
    var runs = 0
    var isExhaustive = false
    var failure: String?
    var schedule = ""
  }

  /// What needs few switches is looked for first.
  func run() -> Outcome {
    var outcome = Outcome(isExhaustive: true)
    let places = Places()
    for preemptions in 0...bounds.preemptions where outcome.failure == nil {
      searchAll(places, Bounds(preemptions: preemptions, oldLoads: bounds.oldLoads), &outcome)
    }
    if outcome.failure == nil { searchRandomly(places, &outcome) }
    return outcome
  }

  private func searchAll(_ places: Places, _ bounds: Bounds, _ outcome: inout Outcome) {
    var next: Choices? = Choices()
    let end = outcome.runs + (scene.limit ?? limit)
    while let choices = next, outcome.failure == nil {
      guard outcome.runs < end else {
        outcome.isExhaustive = false
        return
      }
      let run = attempt(places, bounds, choices, &outcome)
      next = places.hasGrown ? Choices() : run.successor
    }
  }

  private func searchRandomly(_ places: Places, _ outcome: inout Outcome) {
    var random = SplitMix(state: seed)
    let wide = Bounds(preemptions: 8, oldLoads: bounds.oldLoads == 0 ? 0 : 4)
    for _ in 0..<randomRuns where outcome.failure == nil {
      _ = attempt(places, wide, Choices(random: random.next()), &outcome)
    }
  }

  private func attempt(
    _ places: Places, _ bounds: Bounds, _ choices: Choices, _ outcome: inout Outcome
  ) -> Choices {
    let run = Self.execute(scene, places, bounds, choices)
    outcome.runs += 1
    // Where decisions were missing, so was some of what orders loads.
    if let failure = run.failure, !places.hasGrown {
      outcome.failure = failure
      outcome.schedule = run.choices.schedule
    }
    return run.choices
  }

  static func execute(
    _ scene: Scene, _ places: Places, _ bounds: Bounds, _ choices: Choices,
    tell: ((String) -> Void)? = nil
  ) -> (failure: String?, choices: Choices) {
    allocations_begin()
    let (world, bodies) = scene.make()
    allocations_end()
    let scheduler = Scheduler(places, bounds, choices, bodies, tell: tell)
    scheduler.run()
    // The threads of a run that failed are left where they were, and all that they hold.
    if scheduler.failure != nil { _ = Unmanaged.passRetained(world) }
    return (scheduler.failure ?? scene.verdict(world), scheduler.choices)
  }
}
