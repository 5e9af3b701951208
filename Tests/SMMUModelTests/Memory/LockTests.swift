// SPDX-License-Identifier: MIT
import Foundation
import SMMUAtomics
import SMMUSpec
import Synchronization
import Testing
import TestSupport

@testable import SMMUModel

/// Runs a body on several threads at once, with the number of each.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let group = DispatchGroup()
  for number in 0..<count {
    group.enter()
    Thread.detachNewThread {
      body(number)
      group.leave()
    }
  }
  group.wait()
}

private final class QuietMachine: Machine, Sendable {
  let slept = Atomic<Int>(0)
  func read(_ address: UInt64, into data: UnsafeMutableRawPointer, count: Int) -> Bool { false }
  func write(_ address: UInt64, from data: UnsafeRawPointer, count: Int) -> Bool { false }
  func wrote(_ address: UInt64, count: UInt64) {}
  func pulse(_ line: InterruptLine) {}
  func signal(_ address: UInt64, _ data: UInt32) -> Bool { true }
  func notify(stale what: Staleness, generation: UInt64) {}
  func commandsLeft() {}
  func report(_ what: Report) {}
  func sleep(_ bell: Bell, milliseconds: UInt32, unless isDone: () -> Bool) {
    slept.wrappingAdd(1, ordering: .relaxed)
    bell.wait(milliseconds: milliseconds, unless: isDone)
  }
}

/// What the threads of one test share.
private final class Shared: @unchecked Sendable {
  let guardian = AccessGuard()
  let lock = Lock()
  let machine = QuietMachine()
  let current = Atomic<Int>(0)
  let isDone = Atomic<Bool>(false)
  let misses = Atomic<Int>(0)
  /// One word per generation: whether it was freed.
  let freed: UnsafeMutablePointer<Atomic<Bool>>
  static let generations = 300
  var plain = 0

  init() {
    freed = .allocate(capacity: Self.generations + 1)
    for i in 0...Self.generations { (freed + i).initialize(to: Atomic(false)) }
  }

  deinit {
    freed.deallocate()
    guardian.deallocate()
    lock.deallocate()
  }
}

@Suite("Access guard and lock")
struct LockTests {
  @Test("draining with nobody inside returns at once")
  func empty() {
    let machine = GuestMachine(ramSize: 4096)
    machine.onRelax = { Issue.record("waited") }
    let accesses = AccessGuard()
    defer { accesses.deallocate() }
    for _ in 0..<5 {
      accesses.drain(machine)
      accesses.end(accesses.begin())
    }
  }

  @Test("draining waits for every access that began before it, ended in any order")
  func waits() {
    let machine = GuestMachine(ramSize: 4096)
    let accesses = AccessGuard()
    defer { accesses.deallocate() }
    for turns in 0..<4 {
      // The parity of the epoch differs from round to round.
      if turns % 2 == 1 { accesses.drain(machine) }
      var tokens = (0..<3).map { _ in accesses.begin() }
      var waited = 0
      machine.onRelax = {
        waited += 1
        if waited % 2 == 0 { accesses.end(tokens.removeFirst()) }
      }
      accesses.drain(machine)
      #expect(waited == 6)
      #expect(tokens.isEmpty)
      machine.onRelax = {}
    }
  }

  @Test("an access may end on another thread")
  func otherThread() {
    let shared = Shared()
    let token = shared.guardian.begin()
    onThreads(1) { _ in shared.guardian.end(token) }
    shared.guardian.drain(shared.machine)
    #expect(shared.machine.slept.load(ordering: .relaxed) == 0)
  }

  @Test("a token from nowhere stays inside the table")
  func strayToken() {
    let accesses = AccessGuard()
    defer { accesses.deallocate() }
    for token: UInt64 in [.max, 1 << 63, 0xffff_0000] { #expect(!accesses.end(token)) }
    #expect(accesses.begin() < 64 * 16)
  }

  @Test("what is freed after a drain is used by no thread (R-315, R-362)")
  func threads() {
    let shared = Shared()
    onThreads(4) { number in
      if number == 0 {
        for generation in 0..<Shared.generations {
          shared.current.store(generation + 1, ordering: .sequentiallyConsistent)
          shared.guardian.drain(shared.machine)
          shared.freed[generation].store(true, ordering: .sequentiallyConsistent)
        }
        shared.isDone.store(true, ordering: .sequentiallyConsistent)
        return
      }
      while !shared.isDone.load(ordering: .relaxed) {
        let token = shared.guardian.begin()
        let mine = shared.current.load(ordering: .sequentiallyConsistent)
        for _ in 0..<20 where shared.freed[mine].load(ordering: .sequentiallyConsistent) {
          shared.misses.wrappingAdd(1, ordering: .relaxed)
        }
        shared.guardian.end(token)
      }
    }
    #expect(shared.misses.load(ordering: .relaxed) == 0)
  }

  @Test("a lock lets one thread in at a time")
  func exclusion() {
    let shared = Shared()
    onThreads(4) { _ in
      for _ in 0..<2000 {
        shared.lock.lock()
        shared.plain += 1
        shared.lock.unlock()
      }
    }
    #expect(shared.plain == 8000)
  }

  @Test("who finds a lock held sleeps until it is let go")
  func sleeps() {
    let shared = Shared()
    onThreads(2) { number in
      if number == 0 {
        shared.lock.lock()
        shared.current.store(1, ordering: .sequentiallyConsistent)
        while shared.current.load(ordering: .sequentiallyConsistent) != 2 { sched_yield() }
        // Long enough for the other one to fall asleep.
        for _ in 0..<500 { sched_yield() }
        shared.plain = 5
        shared.lock.unlock()
      } else {
        while shared.current.load(ordering: .sequentiallyConsistent) != 1 { sched_yield() }
        shared.current.store(2, ordering: .sequentiallyConsistent)
        shared.lock.lock()
        #expect(shared.plain == 5)
        shared.lock.unlock()
      }
    }
  }

  @Test("each transaction is under the old or the new SMMUEN, never between (R-073)")
  func enableRace() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    guest.machine.onRelax = { sched_yield() }
    let mapped = streams.first, input = streams.input
    let shared = Shared()
    nonisolated(unsafe) let device = guest
    onThreads(3) { number in
      if number == 0 {
        for round in 0..<400 { device["CR0"] = round % 2 == 0 ? 0xc : 0xd }
        shared.isDone.store(true, ordering: .sequentiallyConsistent)
        return
      }
      while !shared.isDone.load(ordering: .relaxed) {
        let result = device.smmu.translate(Access(stream: 1, address: input))
        if result.kind != .ok || (result.address != mapped && result.address != input) {
          shared.misses.wrappingAdd(1, ordering: .relaxed)
        }
      }
    }
    #expect(shared.misses.load(ordering: .relaxed) == 0)
    #expect(guest["EVENTQ_PROD"] == 0)
  }

  @Test("structures and tables may change under the readers, who see one state (R-376, R-382)")
  func updateRace() {
    let guest = Guest.started()
    let streams = Streams(guest)
    let contexts = streams.addStage1(stream: 1)
    guest.machine.onRelax = { sched_yield() }
    let root = guest.machine[contexts + 8] & ~0xf
    let leaf = streams.leaf(root, streams.input)
    // Two pages with different rights: read-write, and read-only.
    let writable = Streams.page(streams.first), readOnly = Streams.page(streams.second) | 1 << 7
    let first = streams.first, second = streams.second, input = streams.input
    let shared = Shared()
    let entry = guest.machine[Streams.place(1) + 8]
    nonisolated(unsafe) let device = guest
    onThreads(3) { number in
      if number == 0 {
        for round in 0..<400 {
          device.machine[leaf] = round % 2 == 0 ? readOnly : writable
          // Bits of the STE that are software's own.
          device.machine[Streams.place(1) + 8] = entry | UInt64(round & 15) << 20
          device.command((0x12, input), (0x03 | 1 << 32, 1), Guest.sync)
        }
        shared.isDone.store(true, ordering: .sequentiallyConsistent)
        return
      }
      while !shared.isDone.load(ordering: .relaxed) {
        let result = device.smmu.translate(Access(stream: 1, address: input))
        let isWhole =
          result.kind == .ok
          && (result.address == first && result.permissions & 2 != 0
            || result.address == second && result.permissions & 2 == 0)
        if !isWhole { shared.misses.wrappingAdd(1, ordering: .relaxed) }
      }
    }
    #expect(shared.misses.load(ordering: .relaxed) == 0)
    #expect(guest.smmu.counters[.commands] == 1200)
  }

  @Test("events of many threads are each recorded once (R-190, R-157)")
  func eventRace() {
    // The memory of one machine behind another, which records nothing and so may be shared.
    let memory = GuestMachine(), machine = QuietMachine()
    let smmu = SMMU(.full, machine: machine)
    #expect(throws: Never.self) {
      try smmu.addMemory(GuestMachine.ramBase, length: memory.ramSize, host: memory.host)
    }
    for (name, value): (String, UInt64) in [
      ("CR2", 2), ("EVENTQ_BASE", Guest.eventQueue | 12), ("CR0", 5),
    ] {
      let row = Guest.row(name)
      smmu.writeRegister(at: UInt64(row.offset), width: row.register.width, value: value)
    }
    onThreads(4) { number in
      for i in 0..<StreamID(500) {
        _ = smmu.translate(Access(stream: StreamID(number) << 16 | i | 1 << 31, address: 0))
      }
    }
    #expect(smmu.readRegister(at: 0xa8, width: 4) == 2000)
    var seen: Set<UInt64> = []
    for slot in 0..<UInt64(2000) { seen.insert(memory[Guest.eventQueue + slot * 32]) }
    #expect(seen.count == 2000)
    #expect(seen.allSatisfy { $0 & 0xffff_ffff == 2 })
  }
}
