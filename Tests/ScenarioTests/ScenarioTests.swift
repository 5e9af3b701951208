// SPDX-License-Identifier: MIT
// 181 programs of registers, memory and DMA, run through the C interface. Each observation must be
// QEMU's, or the one that `JustifiedDifference` states. A row of that table which no observation
// bears out fails here too, as the library is then not what it says.

import Testing

@Suite struct ScenarioTests {
  @Test("every observation agrees with QEMU or is justified", arguments: Scenario.all)
  func agrees(_ scenario: Scenario) throws {
    let device = try ScenarioDevice(scenario)
    let justified = JustifiedDifference.byScenario[scenario.name]?.answers ?? [:]
    for (index, step) in scenario.steps.enumerated() {
      let seen = try device.perform(step)
      let right = scenario.answers(to: index, justified)
      #expect(
        right.contains(seen) || right.isEmpty && seen == nil,
        "step \(index), \(step): saw \(seen.map(\.description) ?? "nothing"), not \(right)")
    }
  }

  @Test func theDeviceShowsTheIdentificationOfItsStage() throws {
    for stage in [Stage.one, .two, .nested] {
      let scenario = try #require(Scenario.all.first { $0.stage == stage })
      let device = try ScenarioDevice(scenario)
      for (name, offset, value) in stage.identification {
        #expect(try device.read(offset, 4) == value, "\(stage), \(name)")
      }
    }
  }

  @Test func theFileIsComplete() {
    #expect(Scenario.all.count == 181)
    #expect(Set(Scenario.all.map(\.name)).count == 181)
    for scenario in Scenario.all {
      let showing = scenario.steps.indices.filter { scenario.steps[$0].shows }
      #expect(Set(showing) == Set(scenario.qemu.keys), "\(scenario)")
    }
  }
}

/// What keeps the table from rotting: a row that no longer says anything fails.
@Suite struct JustifiedDifferenceTests {
  @Test(arguments: JustifiedDifference.all)
  func eachAnswerContradictsQEMU(_ row: JustifiedDifference) throws {
    let scenario = try #require(Scenario.all.first { $0.name == row.scenario })
    #expect(!row.answers.isEmpty)
    for (index, answer) in row.answers {
      let qemu = try #require(scenario.qemu[index], "step \(index) shows nothing")
      #expect(!answer.agrees(with: qemu), "step \(index) is no difference")
    }
  }

  @Test(arguments: JustifiedDifference.all)
  func eachRowNamesItsReason(_ row: JustifiedDifference) {
    #expect(row.clause.wholeMatch(of: /\d+(\.\d+)+/) != nil)
    #expect(!row.rules.isEmpty)
    #expect(row.rules.allSatisfy { $0.wholeMatch(of: /[RT]-\d{3}/) != nil })
    #expect(!row.reason.isEmpty)
  }

  @Test func aScenarioHasOneRow() {
    #expect(JustifiedDifference.byScenario.count == JustifiedDifference.all.count)
  }

  @Test func theKnownDeviationsOfQEMUAreInTheTable() {
    for scenario in Scenario.all where scenario.isKnownDeviation {
      #expect(JustifiedDifference.byScenario[scenario.name] != nil, "\(scenario)")
    }
  }
}

extension Scenario {
  /// The answers that are right at a step; none for a step that shows nothing.
  fileprivate func answers(to index: Int, _ justified: [Int: Observation]) -> [Observation] {
    guard let answer = justified[index] ?? qemu[index] else { return [] }
    return [answer] + fresherAnswers(to: index)
  }

  /// QEMU's later answers to an access that may still see what was true before.
  private func fresherAnswers(to index: Int) -> [Observation] {
    guard case .access(let access) = steps[index], access.mayBeStale else { return [] }
    return steps.indices.dropFirst(index + 1).compactMap { later in
      guard case .access(let other) = steps[later], other.address == access.address,
        other.stream == access.stream
      else { return nil }
      return qemu[later]
    }
  }
}

extension Step {
  fileprivate var shows: Bool {
    switch self {
    case .poke, .write: false
    case .peek, .read, .access, .events, .interrupts: true
    }
  }
}

extension [Observation] {
  fileprivate func contains(_ seen: Observation?) -> Bool {
    contains { answer in seen.map(answer.agrees(with:)) ?? false }
  }
}
