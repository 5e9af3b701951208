// SPDX-License-Identifier: MIT
import CVSMMU

/// A guest that changes its tables and registers at random, beside accesses that the twin judges.
final class TwinRun {
  private unowned let world: World
  private var twin = Twin()
  /// By thread: the page of an access in progress, and what it may be answered.
  private var open: [Int: (page: Int, allowed: Set<World.Answer>)] = [:]

  init(_ world: World) {
    self.world = world
    world.write(0x20, 4, 0xc)
    world.write(0x44, 4, 0x8010_1000)
    world.write(0x20, 4, 0xd)
    world.state = world.saved()
    world.set(.stream, 0)
    for i in 0..<2 {
      world.set(.context(i), i)
      world.set(.table(i), i)
      for page in Twin.pages { world.set(.leaf(i, page: page), i + 1) }
    }
  }

  func run(_ steps: [Twin.Step]) {
    for step in steps {
      twin.begin(step)
      for (thread, access) in open {
        open[thread]!.allowed.formUnion(twin.allowed(access.page))
      }
      world.perform(step)
      twin.end(step)
    }
  }

  /// By a thread that knows what was done before. What it is answered in a guard may be used until
  /// the guard ends.
  func access(_ page: Int, isGuarded: Bool) {
    guard let scheduler = Scheduler.current else { return }
    scheduler.synchronizeWithLast()
    let thread = scheduler.thread
    open[thread] = (page, twin.allowed(page))
    let token = isGuarded ? vsmmu_access_begin(world.device) : 0
    let answer = world.translate(UInt64(page) << 12)
    judge(answer, page, open[thread]!.allowed)
    open[thread] = nil
    guard isGuarded else { return }
    scheduler.pause()
    judge(answer, page, twin.allowed(page))
    vsmmu_access_end(world.device, token)
  }

  private func judge(_ answer: World.Answer, _ page: Int, _ allowed: Set<World.Answer>) {
    if allowed.contains(answer) { return }
    Scheduler.current?.fail("page \(page): \(answer), where \(allowed) is allowed")
  }
}

extension World {
  fileprivate func set(_ word: Twin.Word, _ value: Int) {
    switch word {
    case .stream: self[0x40] = 1 | 5 << 1 | Self.ram + 0x1000 + UInt64(value) * 0x40
    case .context(let i):
      self[0x1008 + UInt64(i) * 0x40] = Self.ram + 0x4000 + UInt64(value) * 0x3000
    case .table(let i):
      self[0x5000 + UInt64(i) * 0x3000] = Self.ram + 0x6000 + UInt64(value) * 0x3000 | 3
    case .leaf(let i, let page):
      self[0x6000 + UInt64(i) * 0x3000 + UInt64(page) * 8] =
        value == 0 ? 0 : Twin.address(value, page) | Self.leaf
    }
  }

  fileprivate func perform(_ step: Twin.Step) {
    switch step {
    case .set(let word, let value): set(word, value)
    case .forgetPage(let page, let leavesOnly):
      command((0x12 | 7 << 48, UInt64(page) << 12 | (leavesOnly ? 1 : 0)))
    case .forgetContext: command((0x11 | 7 << 48, 0))
    case .forgetTranslations: command((0x30, 0))
    case .forgetStream: command((0x03 | 1 << 32, 1))
    case .forgetDescriptor: command((0x05 | 1 << 32, 1))
    case .enable(let isOn): write(0x20, 4, isOn ? 0xd : 0xc)
    case .restore:
      state = saved()
      expect(state.withUnsafeBytes { vsmmu_restore(device, $0.baseAddress, UInt64($0.count)) })
    }
  }
}

extension Scene {
  /// A random guest, and random accesses of one thread or two.
  static func twin(_ seed: UInt64) -> Scene {
    var random = SplitMix(state: seed)
    let steps = Twin.Step.sequence(&random)
    let warm = (0..<random.below(4)).map { _ in random.page() }
    let accesses = (0..<4).map { _ in (page: random.page(), isGuarded: random.below(3) == 0) }
    var twin = Twin()
    for step in steps {
      twin.begin(step)
      twin.end(step)
    }
    let page = Twin.pages.lowerBound
    return Scene(
      change: Change(
        name: "twin-\(seed)", address: UInt64(page) << 12,
        prepare: { world in
          world.twin = TwinRun(world)
          for page in warm { _ = world.translate(UInt64(page) << 12) }
        },
        apply: { $0.twin?.run(steps) }, old: [], new: Array(twin.allowed(page))),
      situation: Situation(name: "random") { world, _ in
        for access in accesses { world.twin?.access(access.page, isGuarded: access.isGuarded) }
      }, accessors: 1 + random.below(2))
  }
}

extension SplitMix {
  fileprivate mutating func page() -> Int { Twin.pages.lowerBound + below(Twin.pages.count) }
}
