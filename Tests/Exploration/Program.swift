// SPDX-License-Identifier: MIT
import Glibc

/// explore [OPTION...] [WORD...]: searches the scenes whose names have one of the words in them,
/// all without one.
@main struct Program {
  static let usage = """
    explore [OPTION...] [WORD...]
      --preemptions N     switches away from a thread that could go on (2)
      --old-loads N       loads that return an older value, as weaker machines may (0)
      --limit N           runs of a scene before random ones begin (20000)
      --random N          random runs beyond the bounds (200)
      --seed N            of the random runs (1)
      --weaken FILE:LINE  takes the ordering of one access away: some scene should fail
      --replay SCHEDULE   one run of the first scene, step by step
      --until-failure     ends with the first scene that fails
      --twin N            N random guests from the seed on instead of the scenes
      --list              the scenes
    """

  private var bounds = Bounds()
  private var limit = 20_000
  private var randomRuns = 200
  private var seed: UInt64 = 1
  private var twins = 0
  private var words: [String] = []
  private var replay: Choices?
  private var lists = false
  private var endsWithFailure = false

  static func main() {
    guard let program = Program(CommandLine.arguments.dropFirst()) else {
      print(usage)
      exit(2)
    }
    exit(program.run() ? 0 : 1)
  }

  private init?(_ given: ArraySlice<String>) {
    var arguments = given
    while let argument = arguments.popFirst() {
      guard argument.hasPrefix("--") else {
        words.append(argument)
        continue
      }
      if argument == "--list" {
        lists = true
        continue
      }
      if argument == "--until-failure" {
        endsWithFailure = true
        continue
      }
      guard let value = arguments.popFirst() else { return nil }
      switch argument {
      case "--weaken": Weakening.current = Weakening(site: value)
      case "--replay":
        replay = Choices(schedule: value)
        if replay == nil { return nil }
      default:
        guard let number = Int(value), number >= 0, set(argument, number) else { return nil }
      }
    }
  }

  private mutating func set(_ option: String, _ number: Int) -> Bool {
    switch option {
    case "--preemptions": bounds.preemptions = number
    case "--old-loads": bounds.oldLoads = number
    case "--limit": limit = number
    case "--random": randomRuns = number
    case "--twin": twins = number
    case "--seed": seed = UInt64(number)
    default: return false
    }
    return true
  }

  private func run() -> Bool {
    let all = twins == 0 ? Scene.all : (0..<twins).map { .twin(seed + UInt64($0)) }
    let scenes = all.filter { scene in
      words.isEmpty || words.contains { scene.name.contains($0) }
    }
    if lists {
      for scene in scenes { print(scene.name) }
      return true
    }
    guard let replay else { return search(scenes) }
    return scenes.first.map { step($0, replay) } ?? false
  }

  private func search(_ scenes: [Scene]) -> Bool {
    var passed = 0
    var failed = 0
    var total = 0
    for scene in scenes where failed == 0 || !endsWithFailure {
      let outcome = Search(
        scene: scene, bounds: bounds, limit: limit, randomRuns: randomRuns, seed: seed
      ).run()
      total += outcome.runs
      if let failure = outcome.failure {
        failed += 1
        print("FAIL \(scene.name), run \(outcome.runs): \(failure)")
        print("     --replay \(outcome.schedule)")
      } else {
        passed += 1
        print("ok   \(scene.name): \(outcome.runs) runs\(outcome.isExhaustive ? "" : ", not all")")
      }
      fflush(nil)
    }
    print("> \(total) runs, random ones from seed \(seed)")
    print("\(passed) passed, \(failed) failed")
    return failed == 0
  }

  private func step(_ scene: Scene, _ choices: Choices) -> Bool {
    let wide = Bounds(preemptions: .max, oldLoads: .max)
    let run = Search.execute(scene, Places(all: true), wide, choices) { print($0) }
    print(run.failure ?? "nothing is wrong")
    return run.failure == nil
  }
}
