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
