// SPDX-License-Identifier: MIT
import CVSMMU

extension Situation {
  private static func guarded(_ world: World, _ change: Change) {
    world.accessGuarded(change, times: 2)
  }

  private static func bare(_ world: World, _ change: Change) {
    world.accessBare(change)
    world.accessBare(change)
  }

  private static func translate(_ world: World, _ change: Change, times: Int) {
    for _ in 0..<times { _ = world.translate(change.address) }
  }

  private static func neighbour(_ world: World, _ change: Change) {
    _ = world.translate(change.address + 0x1000)
  }

  static var all: [Situation] {
    [
    Situation(name: "cold", body: guarded),
    // The configuration and the last table are known, the page is not.
    Situation(name: "neighbour", warm: neighbour, body: guarded),
    // The TLB knows the page, and the micro TLB is filled.
    Situation(name: "hit", warm: { translate($0, $1, times: 1) }, body: guarded),
    Situation(name: "micro", warm: { translate($0, $1, times: 2) }, body: guarded),
    Situation(name: "cold-bare", body: bare),
    Situation(name: "neighbour-bare", warm: neighbour, body: bare),
    Situation(name: "hit-bare", warm: { translate($0, $1, times: 1) }, body: bare),
    Situation(name: "micro-bare", warm: { translate($0, $1, times: 2) }, body: bare),
    Situation(name: "keeps-cold", keeps: true) { world, change in world.keep(change.address) },
    Situation(name: "keeps-neighbour", warm: neighbour, keeps: true) { world, change in
      world.keep(change.address)
    },
    Situation(name: "keeps-fill", warm: { translate($0, $1, times: 1) }, keeps: true) {
      world, change in world.keep(change.address)
    },
    Situation(name: "keeps-hit", warm: { translate($0, $1, times: 2) }, keeps: true) {
      world, change in world.keep(change.address)
    },
    ]
  }

  static var special: [Situation] {
    [
    // An access that looks nothing up: what waits for it sleeps, and is rung for.
    Situation(name: "open", isSpecial: true) { world, _ in
      for _ in 0..<2 {
        let token = vsmmu_access_begin(world.device)
        Scheduler.current?.pause()
        vsmmu_access_end(world.device, token)
      }
    },
    // Two threads whose pages have one row of the micro TLB.
    Situation(
      name: "rivals",
      warm: { world, _ in for address in World.rivals { _ = world.translate(address) } },
      isSpecial: true
    ) { world, _ in
      let mine = Scheduler.current?.thread ?? 0
      for i in [mine, mine, mine] {
        let answer = world.translate(World.rivals[i])
        if answer != world.rivalAnswers[i] { Scheduler.current?.fail("\(answer) is a rival's") }
      }
    },
    ]
  }

  /// A DMA whose bytes go to a device: to the old place only until the change is complete.
  static var dma: [Situation] {
    [
    Situation(name: "dma-cold") { world, change in _ = world.dma(change.address) },
    Situation(name: "dma-neighbour", warm: neighbour) { world, change in
      _ = world.dma(change.address)
    },
    Situation(name: "dma-fill", warm: { translate($0, $1, times: 1) }) { world, change in
      _ = world.dma(change.address)
    },
    Situation(name: "dma-hit", warm: { translate($0, $1, times: 2) }) { world, change in
      _ = world.dma(change.address)
    },
    ]
  }
}

/// VSMMU_ACCESS_INSPECT beside each change: what is seen is old or new, whatever caches have, and
/// nothing is left of the look.
extension Situation {
  static var looks: [Situation] {
    [
    Situation(
      name: "look-cold", warm: { world, _ in world.counted = world.counters },
      limit: 200, body: look
    ) { world, change in world.traceOfLooks ?? world.cached(change) },
    Situation(
      name: "look-hit",
      warm: { world, change in
        translate(world, change, times: 2)
        world.counted = world.counters
      }, limit: 200, body: look
    ) { world, _ in world.traceOfLooks },
    ]
  }

  private static func look(_ world: World, _ change: Change) {
    let token = vsmmu_access_begin(world.device)
    for _ in 0..<2 {
      let answer = world.look(change.address)
      Scheduler.current?.pause()
      change.judge(answer, wasComplete: world.isComplete)
    }
    vsmmu_access_end(world.device, token)
  }
}

extension World {
  var counters: vsmmu_counters {
    var counters = vsmmu_counters()
    counters.size = UInt32(MemoryLayout<vsmmu_counters>.size)
    expect(vsmmu_get_counters(device, &counters))
    return counters
  }

  func look(_ address: UInt64) -> Answer {
    kept(address, flags: UInt32(VSMMU_ACCESS_INSPECT)).answer
  }

  /// What looks have left that nobody else did.
  var traceOfLooks: String? {
    let now = counters
    if now.tlb_misses != counted.tlb_misses { return "a look counts as a miss of the TLB" }
    if now.configuration_misses != counted.configuration_misses {
      return "a look counts as a miss of the configurations"
    }
    let events = now.events_recorded + now.events_dropped
    return events == counted.events_recorded + counted.events_dropped
      ? nil : "a look leaves an event"
  }

  /// Where nothing but looks was before, an access finds nothing in a cache.
  func cached(_ change: Change) -> String? {
    let before = counters
    guard before.configuration_misses == 0 else { return nil }
    guard case .address(let address) = translate(change.address), address >= Self.data else {
      return nil
    }
    let now = counters
    return now.tlb_misses == before.tlb_misses + 1
      && now.configuration_misses == before.configuration_misses + 1 ? nil : "a look was cached"
  }
}
