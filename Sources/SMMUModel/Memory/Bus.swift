// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// An external abort.
struct BusAbort: Error {}

/// A single-copy atomic 64-bit access to guest memory that others may be writing.
@inline(__always)
func atomicWord(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
  pointer.assumingMemoryBound(to: Atomic<UInt64>.self)
}

/// One aligned little-endian 64-bit word of RAM.
@inline(__always)
func loadWord(_ pointer: UnsafeMutableRawPointer) -> UInt64 {
  UInt64(littleEndian: atomicWord(pointer).pointee.load(ordering: .relaxed))
}

/// The SMMU's own accesses to memory: structures, queues, descriptors and MSIs. RAM that is
/// registered is reached directly, all else by way of the machine.
final class Bus {
  let memory: GuestMemory
  let machine: any Machine
  /// nil: what aborts is counted nowhere.
  let counters: Counters?
  /// Whose memory this is; nil = its own.
  private let lender: Bus?

  init(_ machine: any Machine, _ counters: Counters) {
    memory = GuestMemory()
    self.machine = machine
    self.counters = counters
    lender = nil
  }

  /// The same memory for who only looks.
  init(uncounted other: Bus) {
    memory = other.memory
    machine = other.machine
    counters = nil
    lender = other
  }

  deinit { if lender == nil { memory.deallocate() } }

  /// One aligned little-endian 64-bit load (§3.21.3).
  @inline(__always)
  func load64(_ address: PhysicalAddress) throws(BusAbort) -> UInt64 {
    if let host = memory.host(address.raw, 8) { return loadWord(host) }
    var word: UInt64 = 0
    guard readOutside(address, into: &word, bytes: 8) else { throw BusAbort() }
    return UInt64(littleEndian: word)
  }

  /// The same where most loads are from one region, for whoever loads more than once. Regions begin
  /// and end at pages, so an aligned word does not pass the end.
  @inline(__always)
  func load64(
    _ address: PhysicalAddress, near region: inout GuestMemory.Region
  ) throws(BusAbort) -> UInt64 {
    let offset = address.raw &- region.address
    if offset < region.length { return loadWord(region.host + Int(truncatingIfNeeded: offset)) }
    return try load64(address, movingTo: &region)
  }

  @inline(never)
  private func load64(
    _ address: PhysicalAddress, movingTo region: inout GuestMemory.Region
  ) throws(BusAbort) -> UInt64 {
    region = memory.region(around: address.raw)
    return try load64(address)
  }

  /// `count` aligned 64-bit loads in order of address.
  @inline(__always)
  func load(
    _ address: PhysicalAddress, count: Int, _ use: (Int, UInt64) -> Void
  ) throws(BusAbort) {
    if let host = memory.host(address.raw, UInt64(truncatingIfNeeded: count * 8)) {
      for i in 0..<count { use(i, loadWord(host + i * 8)) }
      return
    }
    for i in 0..<count { use(i, try load64(address + UInt64(truncatingIfNeeded: i * 8))) }
  }

  /// A queue entry of at most four words, wholly or not at all. The caller notes that RAM was
  /// written.
  func store<Entry: Layout>(_ address: PhysicalAddress, _ entry: Entry) throws(BusAbort) {
    let count = Entry.width / 64
    if let host = memory.host(address.raw, UInt64(truncatingIfNeeded: count * 8)) {
      for i in 0..<count {
        atomicWord(host + i * 8).pointee.store(entry[word: i].littleEndian, ordering: .relaxed)
      }
      return
    }
    var words = InlineArray<4, UInt64>(repeating: 0)
    for i in 0..<count { words[i] = entry[word: i].littleEndian }
    let done = withUnsafeBytes(of: &words) { bytes in
      machine.write(address.raw, from: bytes.baseAddress!, count: count * 8)
    }
    guard done else {
      counters?.add(.externalAborts)
      throw BusAbort()
    }
  }

  /// Tells of a write to registered RAM.
  func noteWritten(_ address: PhysicalAddress, _ count: UInt64) {
    if memory.host(address.raw, count) != nil { machine.wrote(address.raw, count: count) }
  }

  /// One aligned little-endian 32-bit store: an MSI, which a driver may poll for in its memory.
  func signal(_ address: PhysicalAddress, _ data: UInt32) -> Bool {
    if let host = memory.host(address.raw, 4) {
      host.assumingMemoryBound(to: Atomic<UInt32>.self).pointee
        .store(data.littleEndian, ordering: .releasing)
      machine.wrote(address.raw, count: 4)
      return true
    }
    if machine.signal(address.raw, data) { return true }
    counters?.add(.externalAborts)
    machine.report(.messageAbort(address: address.raw))
    return false
  }

  @inline(never)
  private func readOutside(_ address: PhysicalAddress, into word: inout UInt64, bytes count: Int)
    -> Bool
  {
    let done = withUnsafeMutableBytes(of: &word) { bytes in
      machine.read(address.raw, into: bytes.baseAddress!, count: count)
    }
    if !done { counters?.add(.externalAborts) }
    return done
  }
}
