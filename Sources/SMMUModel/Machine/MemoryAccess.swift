// SPDX-License-Identifier: MIT
// The SMMU's own accesses to memory: structures, queues, descriptors and MSIs.
import SMMUAtomics
import SMMUSpec

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

extension SMMU {
  /// One aligned little-endian 64-bit load (§3.21.3).
  @inline(__always)
  func load64(_ address: UInt64) throws(BusAbort) -> UInt64 {
    if let host = memory.host(address, 8) { return loadWord(host) }
    var word: UInt64 = 0
    guard readOutside(address, &word, 8) else { throw BusAbort() }
    return UInt64(littleEndian: word)
  }

  /// The same where most loads are from one region, for whoever loads more than once. Regions begin
  /// and end at pages, so an aligned word does not pass the end.
  @inline(__always)
  func load64(_ address: UInt64, near region: inout GuestMemory.Region) throws(BusAbort) -> UInt64 {
    let offset = address &- region.address
    if offset < region.length { return loadWord(region.host + Int(truncatingIfNeeded: offset)) }
    return try load64(address, movingTo: &region)
  }

  @inline(never)
  private func load64(
    _ address: UInt64, movingTo region: inout GuestMemory.Region
  ) throws(BusAbort) -> UInt64 {
    region = memory.region(around: address)
    return try load64(address)
  }

  /// `count` aligned 64-bit loads in order of address.
  @inline(__always)
  func load(_ address: UInt64, _ count: Int, _ use: (Int, UInt64) -> Void) throws(BusAbort) {
    if let host = memory.host(address, UInt64(truncatingIfNeeded: count * 8)) {
      for i in 0..<count { use(i, loadWord(host + i * 8)) }
      return
    }
    for i in 0..<count { use(i, try load64(address &+ UInt64(truncatingIfNeeded: i * 8))) }
  }

  /// A queue entry of at most four words, wholly or not at all. The caller notes that RAM was
  /// written.
  func store<Entry: Layout>(_ address: UInt64, _ entry: Entry) throws(BusAbort) {
    let count = Entry.width / 64
    if let host = memory.host(address, UInt64(truncatingIfNeeded: count * 8)) {
      for i in 0..<count {
        atomicWord(host + i * 8).pointee.store(entry[word: i].littleEndian, ordering: .relaxed)
      }
      return
    }
    var words = InlineArray<4, UInt64>(repeating: 0)
    for i in 0..<count { words[i] = entry[word: i].littleEndian }
    let done = withUnsafeBytes(of: &words) { bytes in
      machine.write(address, from: bytes.baseAddress!, count: count * 8)
    }
    guard done else {
      counters.add(.externalAborts)
      throw BusAbort()
    }
  }

  /// Tells of a write to registered RAM.
  func noteWritten(_ address: UInt64, _ count: UInt64) {
    if memory.host(address, count) != nil { machine.wrote(address, count: count) }
  }

  /// One aligned little-endian 32-bit store: an MSI, which a driver may poll for in its memory.
  func signal(_ address: UInt64, _ data: UInt32) -> Bool {
    if let host = memory.host(address, 4) {
      host.assumingMemoryBound(to: Atomic<UInt32>.self).pointee
        .store(data.littleEndian, ordering: .releasing)
      machine.wrote(address, count: 4)
      return true
    }
    if machine.signal(address, data) { return true }
    counters.add(.externalAborts)
    machine.report(.messageAbort(address: address))
    return false
  }

  @inline(never)
  private func readOutside(_ address: UInt64, _ word: inout UInt64, _ count: Int) -> Bool {
    let done = withUnsafeMutableBytes(of: &word) { bytes in
      machine.read(address, into: bytes.baseAddress!, count: count)
    }
    if !done { counters.add(.externalAborts) }
    return done
  }
}
