// SPDX-License-Identifier: MIT
import CVSMMU

/// What one thread changes while others access: which answers there are before and after it.
struct Change {
  let name: String
  var mode = World.Mode.stage1
  var flags: UInt32 = 0
  var features = ""
  /// Input address that the change is about, of page 5.
  var address: UInt64 = 0x5000
  /// Made before the threads run.
  var prepare: (World) -> Void = { _ in }
  let apply: (World) -> Void
  /// Looked at when `apply` has returned, in the same thread.
  var completed: (World) -> Void = { _ in }
  /// Looked at when all is over; says what is wrong.
  var verdict: (World) -> String? = { _ in nil }
  var old: [World.Answer] = [.address(World.old(5))]
  var new: [World.Answer] = [.address(World.new(5))]
  /// Whoever keeps copies can be asked.
  var isNoticed = true
  /// Runs of a search for each number of switches, where there would be too many.
  var limit: Int?
  /// The situations that it is for; empty for all but special ones.
  var situations: [String] = []
}

/// How the accesses of a scene are made, and what is cached before.
struct Situation {
  let name: String
  var warm: (World, Change) -> Void = { _, _ in }
  var keeps = false
  /// For changes that name it alone.
  var isSpecial = false
  /// Runs of a search for each number of switches, where these are enough.
  var limit: Int?
  let body: (World, Change) -> Void
  /// Looked at when all is over; says what is wrong.
  var verdict: (World, Change) -> String? = { _, _ in nil }
}

struct Scene {
  let change: Change
  let situation: Situation
  /// Threads that access.
  var accessors = 1

  var name: String {
    "\(change.name)/\(situation.name)" + (accessors == 1 ? "" : "x\(accessors)")
  }

  /// A new world and the threads in it: the accesses, then the change.
  func make() -> (World, [() -> Void]) {
    let change = change, situation = situation
    let world = World(
      change.mode, flags: change.flags, keeps: situation.keeps, features: change.features)
    change.prepare(world)
    situation.warm(world, change)
    let changer = {
      change.apply(world)
      world.isComplete = true
      change.completed(world)
    }
    let accessor = { situation.body(world, change) }
    return (world, Array(repeating: accessor, count: accessors) + [changer])
  }

  /// What is wrong when all threads are done.
  func verdict(_ world: World) -> String? {
    if let wrong = change.verdict(world) ?? situation.verdict(world, change) { return wrong }
    if world.copies.contains(where: { change.isOld($0) }) { return "an old copy is still kept" }
    // Whatever happened, a new access sees the new state alone.
    for _ in 0..<2 {
      let answer = world.translate(change.address)
      if !change.new.contains(answer) { return "at the end, \(answer)" }
    }
    return nil
  }
}

extension Change {
  /// `wasComplete`: before the access, or before the use of its answer, as the guard promises.
  func judge(_ answer: World.Answer, wasComplete: Bool) {
    if new.contains(answer) || !wasComplete && old.contains(answer) { return }
    Scheduler.current?.fail(
      old.contains(answer)
        ? "\(answer) is stale: the change was complete" : "\(answer) is neither old nor new")
  }

  func isOld(_ copy: World.Copy) -> Bool {
    let answer = World.Answer.address(copy.output + (address - copy.first))
    return copy.first <= address && address <= copy.last && old.contains(answer)
      && !new.contains(answer)
  }
}

extension World {
  /// Accesses in a guard: what they are answered may be used until its end.
  func accessGuarded(_ change: Change, times: Int) {
    let token = vsmmu_access_begin(device)
    for _ in 0..<times {
      let answer = translate(change.address)
      Scheduler.current?.pause()
      change.judge(answer, wasComplete: isComplete)
    }
    vsmmu_access_end(device, token)
  }

  /// One access without a guard, by a thread that knows of the change if it is complete.
  func accessBare(_ change: Change) {
    let wasComplete = isComplete
    if wasComplete { Scheduler.current?.synchronizeWithLast() }
    change.judge(translate(change.address), wasComplete: wasComplete)
  }
}

extension Scene {
  /// Runs for each number of switches, where there would be too many.
  var limit: Int? { change.limit ?? situation.limit }

  /// With two threads that access.
  private static let withTwo: Set = [
    "TLBI_NH_VA/cold-bare", "TLBI_NH_VA/hit-bare", "TLBI_NH_VA/micro", "TLBI_NH_ASID/hit",
    "table/neighbour", "unmap/neighbour-bare", "piece/cold", "piece/keeps-cold", "CFGI_STE/cold",
    "SMMUEN-off/hit", "restore-table/cold", "stream_remove/cold", "renewal-micro/neighbour-bare",
    "renewal-TLB/cold-bare", "EVENTQ_CONS/cold-bare", "IRQ_CTRL-off/cold-bare",
    "ram_remove/dma-hit", "CMD_SYNC/open",
  ]

  static var all: [Scene] {
    var all: [Scene] = []
    for change in Change.commands + Change.states + Change.others + Change.hosts {
      for situation in Situation.all + Situation.dma + Situation.looks + Situation.special
      {
        if situation.keeps && !change.isNoticed { continue }
        let isMeant =
          change.situations.isEmpty
          ? !situation.isSpecial : change.situations.contains(situation.name)
        guard isMeant else { continue }
        let accessors = situation.name == "rivals" ? 2 : 1
        all.append(Scene(change: change, situation: situation, accessors: accessors))
      }
    }
    return all + all.filter { withTwo.contains($0.name) }.map { scene in
      var scene = scene
      scene.accessors = 2
      return scene
    }
  }
}
