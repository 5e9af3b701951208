// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

@Suite("Guest memory")
struct GuestMemoryTests {
  /// Host memory that is never touched: only addresses count.
  private func host(_ page: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(bitPattern: 0x10_0000_0000 + page * 4096)!
  }

  /// Adds a region; nil if it was accepted.
  private func add(
    _ memory: GuestMemory, _ address: UInt64, _ length: UInt64, _ page: Int = 0
  ) -> MemoryError? {
    do throws(MemoryError) {
      try memory.add(address, length: length, host: host(page)).deallocate()
    } catch { return error }
    return nil
  }

  private func remove(_ memory: GuestMemory, _ address: UInt64) -> MemoryError? {
    do throws(MemoryError) { try memory.remove(address).deallocate() } catch { return error }
    return nil
  }

  @Test("an address is found with its offset, to the last byte and no further")
  func lookUp() {
    let memory = GuestMemory()
    defer { memory.deallocate() }
    #expect(memory.host(0x4000, 1) == nil)
    #expect(add(memory, 0x4000, 0x2000) == nil)
    #expect(memory.host(0x4000, 8) == host(0))
    #expect(memory.host(0x5ff8, 8) == host(1) + 0xff8)
    #expect(memory.host(0x4000, 0x2000) == host(0))
    #expect(memory.host(0x4000, 0x2001) == nil)
    #expect(memory.host(0x5ff9, 8) == nil)
    #expect(memory.host(0x3fff, 1) == nil)
    #expect(memory.host(0x3ff8, 16) == nil)
    #expect(memory.host(0x6000, 1) == nil)
    #expect(memory.host(0x5fff, .max) == nil)
  }

  @Test("an access does not span regions, even adjacent ones")
  func adjacent() {
    let memory = GuestMemory()
    defer { memory.deallocate() }
    #expect(add(memory, 0x4000, 0x1000, 0) == nil)
    #expect(add(memory, 0x5000, 0x1000, 1) == nil)
    #expect(memory.host(0x4ff8, 8) == host(0) + 0xff8)
    #expect(memory.host(0x4ffc, 8) == nil)
    #expect(memory.host(0x5000, 8) == host(1))
  }

  @Test("the last page of the address space can be memory")
  func top() {
    let memory = GuestMemory()
    defer { memory.deallocate() }
    #expect(add(memory, 0xffff_ffff_ffff_f000, 0x1000) == nil)
    #expect(memory.host(0xffff_ffff_ffff_fff8, 8) == host(0) + 0xff8)
    #expect(memory.host(0xffff_ffff_ffff_fffc, 8) == nil)
    #expect(memory.host(0, 1) == nil)
    #expect(add(memory, 0xffff_ffff_ffff_e000, 0x3000) == .wraps)
    #expect(add(memory, 0x2000, 0xffff_ffff_ffff_f000) == .wraps)
  }

  @Test("what is not made of pages is refused")
  func alignment() {
    let memory = GuestMemory()
    defer { memory.deallocate() }
    #expect(add(memory, 0x4000, 0) == .unaligned)
    #expect(add(memory, 0x4001, 0x1000) == .unaligned)
    #expect(add(memory, 0x4800, 0x1000) == .unaligned)
    #expect(add(memory, 0x4000, 0x1800) == .unaligned)
    #expect(throws: MemoryError.unaligned) {
      try memory.add(0x4000, length: 0x1000, host: host(0) + 8)
    }
    #expect(memory.host(0x4000, 1) == nil)
  }

  @Test("overlaps are refused from every side")
  func overlaps() {
    let memory = GuestMemory()
    defer { memory.deallocate() }
    #expect(add(memory, 0x10000, 0x4000) == nil)
    for (address, length): (UInt64, UInt64) in [
      (0x10000, 0x4000), (0x10000, 0x1000), (0x13000, 0x1000), (0x11000, 0x1000),
      (0xf000, 0x2000), (0x13000, 0x2000), (0x8000, 0x10000), (0, 0x8000_0000),
    ] {
      #expect(add(memory, address, length) == .overlaps, "\(address) \(length)")
    }
    #expect(add(memory, 0xf000, 0x1000) == nil)
    #expect(add(memory, 0x14000, 0x1000) == nil)
  }

  @Test("512 regions fit; removing one makes room")
  func capacity() {
    let memory = GuestMemory()
    defer { memory.deallocate() }
    for i in 0..<512 { #expect(add(memory, UInt64(i) * 0x10000, 0x1000, i) == nil) }
    #expect(add(memory, 0x1000_0000, 0x1000) == .full)
    for i in 0..<512 { #expect(memory.host(UInt64(i) * 0x10000, 8) == host(i)) }
    #expect(remove(memory, 0x5_0000) == nil)
    #expect(add(memory, 0x1000_0000, 0x1000, 77) == nil)
    #expect(memory.host(0x5_0000, 8) == nil)
    #expect(memory.host(0x1000_0000, 8) == host(77))
    for i in 0..<512 where i != 5 {
      #expect(memory.host(UInt64(i) * 0x10000, 8) == host(i))
      let region = memory.region(around: UInt64(i) * 0x10000 + 0xff8)
      #expect(region.address == UInt64(i) * 0x10000 && region.host == host(i))
    }
    #expect(memory.region(around: 0x5_0000).length == 0)
  }

  @Test("a region is removed by its first address alone")
  func removal() {
    let memory = GuestMemory()
    defer { memory.deallocate() }
    #expect(remove(memory, 0x4000) == .absent)
    #expect(add(memory, 0x4000, 0x2000) == nil)
    #expect(remove(memory, 0x5000) == .absent)
    #expect(remove(memory, 0x4000) == nil)
    #expect(memory.host(0x4000, 8) == nil)
    #expect(remove(memory, 0x4000) == .absent)
    #expect(add(memory, 0x4000, 0x2000) == nil)
  }

  @Test("random changes agree with a list of pages")
  func random() {
    var random = SeededRandom("guest memory", default: 5)
    let memory = GuestMemory()
    defer { memory.deallocate() }
    // Page of the guest to page of the host; first page to length.
    var pages: [UInt64: Int] = [:]
    var regions: [UInt64: UInt64] = [:]
    for step in 0..<400 {
      let page = UInt64(random.below(48))
      let length = UInt64(1 + random.below(4))
      if random.chance(40), let first = regions.keys.sorted().first(where: { $0 >= page }) {
        #expect(remove(memory, first << 12) == nil)
        for i in 0..<regions[first]! { pages[first + i] = nil }
        regions[first] = nil
      } else {
        let isFree = (0..<length).allSatisfy { pages[page + $0] == nil }
        #expect(add(memory, page << 12, length << 12, step * 8) == (isFree ? nil : .overlaps))
        guard isFree else { continue }
        regions[page] = length
        for i in 0..<length { pages[page + i] = step * 8 + Int(i) }
      }
      for page in 0..<UInt64(52) {
        #expect(memory.host(page << 12 | 0x10, 8) == pages[page].map { host($0) + 0x10 })
      }
    }
  }

  // MARK: The SMMU's accesses

  @Test("removing RAM waits for accesses that may use it")
  func removalWaits() {
    let guest = Guest()
    let token = guest.smmu.beginAccess()
    var waited = 0
    guest.machine.onRelax = {
      waited += 1
      guest.smmu.endAccess(token)
    }
    #expect(throws: Never.self) { try guest.smmu.removeMemory(GuestMachine.ramBase) }
    #expect(waited == 1)
    #expect(throws: MemoryError.absent) { try guest.smmu.removeMemory(GuestMachine.ramBase) }
  }

  @Test("words are little-endian, from RAM and from the machine")
  func words() throws {
    let guest = Guest()
    let outside = guest.machine.outside.lowerBound
    for i in 0..<8 { guest.machine.outsideBytes[i] = UInt8(i + 1) }
    for i in 0..<8 { (guest.machine.host + i).storeBytes(of: UInt8(i + 1), as: UInt8.self) }
    #expect(try guest.smmu.bus.load64(PhysicalAddress(outside)) == 0x0807_0605_0403_0201)
    let ram = PhysicalAddress(GuestMachine.ramBase)
    #expect(try guest.smmu.bus.load64(ram) == 0x0807_0605_0403_0201)
    var record = EventRecord()
    record.words[0] = 0x1122_3344_5566_7788
    try guest.smmu.bus.store(PhysicalAddress(outside), record)
    #expect(guest.machine.outsideBytes[0] == 0x88 && guest.machine.outsideBytes[7] == 0x11)
    try guest.smmu.bus.store(PhysicalAddress(GuestMachine.ramBase), record)
    #expect(guest.machine.host.load(as: UInt8.self) == 0x88)
    #expect(guest.smmu.bus.signal(PhysicalAddress(GuestMachine.ramBase + 4), 0xaabb_ccdd))
    #expect(guest.machine[GuestMachine.ramBase] == 0xaabb_ccdd_5566_7788)
  }

  @Test("what no one answers is an external abort, and counted")
  func aborts() {
    let guest = Guest()
    #expect(throws: BusAbort.self) { try guest.smmu.bus.load64(PhysicalAddress(0x7000_0000)) }
    #expect(throws: BusAbort.self) {
      try guest.smmu.bus.store(PhysicalAddress(0x7000_0000), EventRecord())
    }
    #expect(guest.smmu.counters[.externalAborts] == 2)
  }

  @Test("a record outside RAM is one write")
  func oneWrite() throws {
    let guest = Guest()
    var writes: [GuestMachine.Call] = []
    guest.machine.onCall = { writes.append($0) }
    let outside = guest.machine.outside.lowerBound
    var record = EventRecord()
    for i in 0..<4 { record.words[i] = UInt64(i) + 1 }
    try guest.smmu.bus.store(PhysicalAddress(outside), record)
    #expect(writes == [.write(outside)])
    #expect((0..<4).map { guest.machine[outside + $0 * 8] } == [1, 2, 3, 4])
  }

  @Test("a client's copy spans regions, and ends where nobody answers")
  func copies() {
    let guest = Guest()
    let top = GuestMachine.ramBase + guest.machine.ramSize
    // A second region right behind the first, and the machine's memory elsewhere.
    let more = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { more.deallocate() }
    #expect(throws: Never.self) {
      try guest.smmu.addMemory(top, length: 4096, host: more)
    }
    func copy(_ address: UInt64, _ bytes: inout [UInt8], write: Bool) -> Bool {
      let count = UInt64(bytes.count)
      let access = Access(stream: 1, flags: write ? .write : [], address: address)
      return bytes.withUnsafeMutableBytes {
        guest.smmu.transfer(access, data: $0.baseAddress!, length: count)
      }.kind == .ok
    }
    var data = (0..<64).map { UInt8($0) }
    var back = [UInt8](repeating: 0, count: 64)
    // Across the regions, and through the machine across one of its pages.
    for address in [top - 32, guest.machine.outside.lowerBound + 4096 - 8] {
      #expect(copy(address, &data, write: true))
      back = [UInt8](repeating: 0, count: 64)
      #expect(copy(address, &back, write: false))
      #expect(back == data)
    }
    let last = guest.machine.host + Int(guest.machine.ramSize) - 1
    #expect(last.load(as: UInt8.self) == 31)
    #expect(more.load(as: UInt8.self) == 32)
    #expect(!copy(top + 4096 - 8, &data, write: true))
    #expect(!copy(top + 4096 - 8, &back, write: false))
  }
}
