// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec
import Testing

@testable import SMMUEmulated

@Suite struct VMIDAllocatorTests {
  /// Loads and puts others until the round changes.
  private func rollOver(_ vmids: VMIDAllocator, on cpu: Int = 0) throws(Errno) {
    let before = vmids.rollovers
    while vmids.rollovers == before {
      try vmids.load(VMIDHolder(), on: cpu)
      vmids.put(cpu)
    }
  }

  private func error(_ body: () throws(Errno) -> Void) -> Errno? {
    do throws(Errno) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  @Test("Numbers begin at 1; 0 is never given")
  func first() throws {
    let vmids = VMIDAllocator(bits: 8, cpus: 1, pinLimit: 0)
    let holder = VMIDHolder()
    #expect(vmids.vmid(of: holder) == 0)
    var seen: Set<VMID> = []
    for _ in 0..<255 {
      let holder = VMIDHolder()
      try vmids.load(holder, on: 0)
      vmids.put(0)
      seen.insert(vmids.vmid(of: holder))
    }
    #expect(seen == Set(1...255))
    #expect(vmids.rollovers == 0)
    try vmids.load(holder, on: 0)
    #expect(vmids.rollovers == 1)
    #expect(vmids.vmid(of: holder) != 0)
  }

  @Test("A number stays for its round, loaded or not")
  func stable() throws {
    let vmids = VMIDAllocator(bits: 8, cpus: 2, pinLimit: 0)
    let holder = VMIDHolder()
    try vmids.load(holder, on: 0)
    let number = vmids.vmid(of: holder)
    vmids.put(0)
    for _ in 0..<100 { try vmids.load(VMIDHolder(), on: 1) }
    try vmids.load(holder, on: 1)
    #expect(vmids.vmid(of: holder) == number)
    #expect(vmids.isCurrent(holder))
  }

  @Test("A VM that runs at a rollover keeps its number, on every CPU; an idle one may lose it")
  func reserved() throws {
    let vmids = VMIDAllocator(bits: 8, cpus: 4, pinLimit: 0)
    let running = VMIDHolder()
    let idle = VMIDHolder()
    try vmids.load(idle, on: 0)
    vmids.put(0)
    try vmids.load(running, on: 2)
    try vmids.load(running, on: 3)
    let number = vmids.vmid(of: running)
    try rollOver(vmids)
    #expect(!vmids.isCurrent(running))
    #expect(vmids.isTaken(number))
    // The next rollover comes before the VM was loaded again.
    try rollOver(vmids)
    #expect(vmids.isTaken(number))
    try vmids.load(running, on: 2)
    #expect(vmids.vmid(of: running) == number)
    try vmids.load(running, on: 3)
    #expect(vmids.vmid(of: running) == number)
    // Whoever came first after the rollover took the number of the idle one.
    #expect(!vmids.isCurrent(idle))
    try vmids.load(idle, on: 0)
    #expect(vmids.vmid(of: idle) != number)
  }

  @Test("After a rollover a number that is still free is taken up again")
  func reuse() throws {
    let vmids = VMIDAllocator(bits: 8, cpus: 1, pinLimit: 0)
    var holders: [VMIDHolder] = []
    for _ in 0..<255 {
      holders.append(VMIDHolder())
      try vmids.load(holders[holders.count - 1], on: 0)
      vmids.put(0)
    }
    try vmids.load(VMIDHolder(), on: 0)
    vmids.put(0)
    #expect(vmids.rollovers == 1)
    let last = vmids.vmid(of: holders[200])
    try vmids.load(holders[200], on: 0)
    #expect(vmids.vmid(of: holders[200]) == last)
  }

  @Test("A pinned number survives rollovers, and its holder's id follows the round")
  func pinnedAcrossRollover() throws {
    let vmids = VMIDAllocator(bits: 8, cpus: 2, pinLimit: 0)
    let holder = VMIDHolder()
    let number = try vmids.pin(holder)
    #expect(number != 0)
    for _ in 0..<3 {
      try rollOver(vmids)
      #expect(vmids.isTaken(number) && vmids.isPinned(number))
      #expect(vmids.vmid(of: holder) == number)
      // Were the id left stale, each load would take the slow path from now on.
      try vmids.load(holder, on: 1)
      #expect(vmids.isCurrent(holder))
      #expect(vmids.vmid(of: holder) == number)
      vmids.put(1)
    }
    try rollOver(vmids)
    // Pinning again does not change it either.
    #expect(try vmids.pin(holder) == number)
    try vmids.unpin(holder)
    #expect(vmids.isPinned(number))
    try vmids.unpin(holder)
    #expect(!vmids.isPinned(number))
    #expect(vmids.isTaken(number))
    #expect(error { () throws(Errno) in try vmids.unpin(holder) } == .einval)
    try rollOver(vmids)
    try rollOver(vmids)
    #expect(vmids.pinCount == 0)
  }

  @Test("With as many CPUs as numbers, none can be pinned", arguments: [253, 254, 255, 300, 1024])
  func manyCPUs(cpus: Int) throws {
    let vmids = VMIDAllocator(bits: 8, cpus: cpus, pinLimit: 0)
    #expect(vmids.pinLimit == (cpus == 253 ? 1 : 0))
    let holder = VMIDHolder()
    if cpus == 253 { _ = try vmids.pin(holder) }
    #expect(error { () throws(Errno) in _ = try vmids.pin(VMIDHolder()) } == .enospc)
    #expect(error { () throws(Errno) in _ = try vmids.pinPrivate(below: 256) } == .enospc)
    #expect(vmids.pinFailures == 2)
    #expect(VMIDAllocator(bits: 8, cpus: cpus, pinLimit: 7).pinLimit <= 1)
  }

  @Test("More CPUs than numbers: who finds none is refused, and nobody gets 0 or another's")
  func exhaustion() throws {
    let vmids = VMIDAllocator(bits: 8, cpus: 300, pinLimit: 0)
    var seen: Set<VMID> = []
    for cpu in 0..<255 {
      let holder = VMIDHolder()
      try vmids.load(holder, on: cpu)
      seen.insert(vmids.vmid(of: holder))
    }
    #expect(seen == Set(1...255))
    let late = VMIDHolder()
    #expect(error { () throws(Errno) in try vmids.load(late, on: 255) } == .ebusy)
    #expect(vmids.vmid(of: late) == 0)
    vmids.put(17)
    // What CPU 17 ran with was reserved by the rollover just now, and is free after the next.
    try vmids.load(late, on: 255)
    #expect(vmids.vmid(of: late) == 18)
  }

  @Test("A pin that is refused is an error and counted; it gives no number")
  func refusal() throws {
    let vmids = VMIDAllocator(bits: 8, cpus: 4, pinLimit: 2)
    #expect(vmids.pinLimit == 2)
    _ = try vmids.pin(VMIDHolder())
    let second = VMIDHolder()
    _ = try vmids.pin(second)
    let third = VMIDHolder()
    #expect(error { () throws(Errno) in _ = try vmids.pin(third) } == .enospc)
    #expect(vmids.vmid(of: third) == 0)
    #expect(third.pins == 0)
    #expect(vmids.pinFailures == 1)
    // One that is pinned already needs no further place.
    _ = try vmids.pin(second)
    try vmids.unpin(second)
    try vmids.unpin(second)
    #expect(try vmids.pin(third) != 0)
    #expect(vmids.pinCount == 2)
    #expect(vmids.pinnedNumbers == 2)
  }

  @Test("A VM that never ran can be pinned, and runs with that number")
  func neverRan() throws {
    let vmids = VMIDAllocator(bits: 16, cpus: 4, pinLimit: 0)
    let holder = VMIDHolder()
    let number = try vmids.pin(holder)
    try vmids.load(holder, on: 0)
    #expect(vmids.vmid(of: holder) == number)
  }

  @Test("Private numbers keep below a narrower limit, through rollovers")
  func privateNumbers() throws {
    let vmids = VMIDAllocator(bits: 16, cpus: 4, pinLimit: 0)
    for _ in 0..<1000 {
      try vmids.load(VMIDHolder(), on: 0)
      vmids.put(0)
    }
    var holders: [VMIDHolder] = []
    for _ in 0..<255 {
      holders.append(try vmids.pinPrivate(below: 256))
      #expect(vmids.vmid(of: holders[holders.count - 1]) <= 255)
    }
    #expect(vmids.rollovers == 1)
    #expect(Set(holders.map { vmids.vmid(of: $0) }).count == 255)
    #expect(error { () throws(Errno) in _ = try vmids.pinPrivate(below: 256) } == .enospc)
    _ = try vmids.pinPrivate(below: 1 << 16)
    try vmids.unpin(holders[3])
    // Taken until the next rollover, which the search for it brings about.
    let again = try vmids.pinPrivate(below: 256)
    #expect(vmids.vmid(of: again) == vmids.vmid(of: holders[3]))
  }
}
