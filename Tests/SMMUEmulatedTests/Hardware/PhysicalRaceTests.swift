// SPDX-License-Identifier: MIT
import Foundation
import SMMUBase
import SMMUModel
import SMMUSpec
import Synchronization
import Testing

@testable import SMMUEmulated

/// Devices that go on while the kernel changes what they may do.
@Suite(.serialized) struct PhysicalRaceTests {
  /// Runs `device` on threads over and over until `kernel` is done.
  private func race(
    threads: Int = 2, _ device: @escaping @Sendable () -> Void, kernel: () throws -> Void
  ) rethrows {
    let isOver = OverFlag()
    let group = DispatchGroup()
    for _ in 0..<threads {
      DispatchQueue.global().async(group: group) {
        while !isOver.value { device() }
      }
    }
    defer {
      isOver.value = true
      group.wait()
    }
    try kernel()
  }

  final class OverFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var value: Bool {
      get { flag.load(ordering: .acquiring) }
      set { flag.store(newValue, ordering: .releasing) }
    }
  }

  /// For closures that only read it.
  struct Shared<T>: @unchecked Sendable { let value: T }

  /// The address to which accesses go, and what must never be read.
  private static let poison: UInt64 = 0xdead_dead_dead_dead

  @Test("When a TLBI and its CMD_SYNC are done, no DMA reads the page any more")
  func unmap() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 8)
    let shared = Shared(value: bench)
    let poisoned = Shared(value: ManagedCounter())
    let page = bench.memory.address
    try race {
      let (word, answer) = shared.value.read(8, Bench.ipa)
      if answer.kind == .ok && word == Self.poison { poisoned.value.add() }
    } kernel: {
      for _ in 0..<300 {
        bench.second.unmap(Bench.ipa, length: 4096)
        try bench.smmu.issue([bench.forgetPage(Bench.ipa)])
        bench.memory.word(0).value = Self.poison
        bench.memory.word(0).value = 1
        bench.second.map(Bench.ipa, to: page, length: 4096, readable: true, writable: true)
        bench.smmu.takeEvents { _ in }
      }
    }
    #expect(poisoned.value.count == 0)
  }

  @Test("An STE that changes in one word is never seen invalid; DMA passes or aborts, no more")
  func replace() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 8)
    bench.memory.word(0).value = 7
    let shared = Shared(value: bench)
    let wrong = Shared(value: ManagedCounter())
    var events = 0
    race {
      let (word, answer) = shared.value.read(8, Bench.ipa)
      if answer.kind == .ok && word != 7 { wrong.value.add() }
      if answer.kind != .ok && answer.event != nil { wrong.value.add() }
    } kernel: {
      for i in 0..<300 {
        bench.smmu.install(i % 2 == 0 ? .abort : bench.entry(), for: 8)
        bench.smmu.takeEvents { _ in events += 1 }
      }
    }
    #expect(wrong.value.count == 0)
    #expect(events == 0)
  }

  @Test("CPUs' TLBIs, commands, events and DMA at once")
  func everything() throws {
    let bench = try Bench(linked: true)
    bench.smmu.install(bench.entry(), for: 8)
    let shared = Shared(value: bench)
    let events = Shared(value: ManagedCounter())
    try race(threads: 3) {
      _ = shared.value.read(8, Bench.ipa)
      _ = shared.value.read(8, Bench.ipa + 0x2000)
      _ = shared.value.read(8, 0x1000)
      shared.value.smmu.takeEvents { _ in events.value.add() }
    } kernel: {
      // Threads begin when they like, and are given time to.
      for i in 0..<100_000 where i < 300 || events.value.count == 0 {
        if i >= 300 { Thread.sleep(forTimeInterval: 0.001) }
        bench.smmu.broadcast(i % 3 == 0 ? .everything : .vmid(bench.vmid))
        try bench.smmu.issue([bench.forgetStage1(), bench.forgetPage(Bench.ipa)])
      }
    }
    #expect(events.value.count > 0)
    #expect(bench.read(8, Bench.ipa).1.kind == .ok)
  }

  final class ManagedCounter: Sendable {
    private let value = Atomic<Int>(0)
    func add() { value.wrappingAdd(1, ordering: .relaxed) }
    var count: Int { value.load(ordering: .relaxed) }
  }
}
