// SPDX-License-Identifier: MIT
import SMMUSpec
import Synchronization

/// An external abort.
struct BusAbort: Error {}

/// Why a region of RAM was refused.
public enum MemoryError: Error, Equatable, Sendable {
  case unaligned, wraps, overlaps, full, absent
}

/// Registered RAM, found by address without a lock. Changes are serialised by the caller, publish a
/// new table and return the old one, to be freed when no reader can hold it.
struct GuestMemory {
  struct Region {
    var address: UInt64
    /// 0 ends the table.
    var length: UInt64
    var host: UnsafeMutableRawPointer
  }
  typealias Table = UnsafeMutablePointer<Region>

  static var capacity: Int { 64 }
  static var alignment: UInt64 { 4096 }

  private let published: UnsafeMutablePointer<Atomic<Table>>

  init() {
    published = .allocate(capacity: 1)
    published.initialize(to: Atomic(Self.table(count: 0)))
  }

  func deallocate() {
    published.pointee.load(ordering: .relaxed).deallocate()
    published.deinitialize(count: 1)
    published.deallocate()
  }

  private static func table(count: Int) -> Table {
    let table = Table.allocate(capacity: count + 1)
    // The end's host pointer is never used.
    (table + count).initialize(
      to: Region(address: 0, length: 0, host: UnsafeMutableRawPointer(table)))
    return table
  }

  /// The host address of `length` bytes that lie in one region.
  @inline(__always)
  func host(_ address: UInt64, _ length: UInt64) -> UnsafeMutableRawPointer? {
    var region = published.pointee.load(ordering: .acquiring)
    while region.pointee.length != 0 {
      let offset = address &- region.pointee.address
      if offset < region.pointee.length {
        guard region.pointee.length &- offset >= length else { return nil }
        return region.pointee.host + Int(truncatingIfNeeded: offset)
      }
      region += 1
    }
    return nil
  }

  private func count(_ table: Table) -> Int {
    var count = 0
    while table[count].length != 0 { count += 1 }
    return count
  }

  func add(
    _ address: UInt64, length: UInt64, host: UnsafeMutableRawPointer
  ) throws(MemoryError) -> Table {
    let mask = Self.alignment - 1
    guard length != 0, (address | length | UInt64(UInt(bitPattern: host))) & mask == 0 else {
      throw .unaligned
    }
    guard length - 1 <= UInt64.max - address else { throw .wraps }
    let old = published.pointee.load(ordering: .relaxed)
    let count = count(old)
    for i in 0..<count
    where address &- old[i].address < old[i].length || old[i].address &- address < length {
      throw .overlaps
    }
    guard count < Self.capacity else { throw .full }
    let new = Self.table(count: count + 1)
    new.initialize(from: old, count: count)
    (new + count).initialize(to: Region(address: address, length: length, host: host))
    published.pointee.store(new, ordering: .releasing)
    return old
  }

  func remove(_ address: UInt64) throws(MemoryError) -> Table {
    let old = published.pointee.load(ordering: .relaxed)
    let count = count(old)
    var found = 0
    while found < count && old[found].address != address { found += 1 }
    guard found < count else { throw .absent }
    let new = Self.table(count: count - 1)
    new.initialize(from: old, count: found)
    (new + found).initialize(from: old + found + 1, count: count - 1 - found)
    published.pointee.store(new, ordering: .releasing)
    return old
  }
}

/// A single-copy atomic 64-bit access to guest memory that others may be writing.
@inline(__always)
func atomicWord(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
  pointer.assumingMemoryBound(to: Atomic<UInt64>.self)
}

extension SMMU {
  /// One aligned little-endian 64-bit load (§3.21.3).
  @inline(__always)
  func load64(_ address: UInt64) throws(BusAbort) -> UInt64 {
    if let host = memory.host(address, 8) {
      return UInt64(littleEndian: atomicWord(host).pointee.load(ordering: .relaxed))
    }
    var word: UInt64 = 0
    guard readOutside(address, &word, 8) else { throw BusAbort() }
    return UInt64(littleEndian: word)
  }

  /// `count` aligned 64-bit loads in order of address.
  @inline(__always)
  func load(_ address: UInt64, _ count: Int, _ use: (Int, UInt64) -> Void) throws(BusAbort) {
    if let host = memory.host(address, UInt64(truncatingIfNeeded: count * 8)) {
      for i in 0..<count {
        use(i, UInt64(littleEndian: atomicWord(host + i * 8).pointee.load(ordering: .relaxed)))
      }
      return
    }
    for i in 0..<count { use(i, try load64(address &+ UInt64(truncatingIfNeeded: i * 8))) }
  }

  /// Aligned 64-bit stores, then the notice that RAM changed.
  func store(_ address: UInt64, _ words: Int, _ value: (Int) -> UInt64) throws(BusAbort) {
    let bytes = UInt64(truncatingIfNeeded: words * 8)
    if let host = memory.host(address, bytes) {
      for i in 0..<words {
        atomicWord(host + i * 8).pointee.store(value(i).littleEndian, ordering: .relaxed)
      }
      machine.wrote(address, count: bytes)
      return
    }
    // One call, so that a record is written wholly or not at all.
    var buffer = InlineArray<4, UInt64>(repeating: 0)
    for i in 0..<words { buffer[i] = value(i).littleEndian }
    let done = withUnsafeBytes(of: &buffer) { bytes in
      machine.write(address, from: bytes.baseAddress!, count: words * 8)
    }
    guard done else {
      counters.add(.externalAborts)
      throw BusAbort()
    }
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

  /// For the client's own accesses: `length` bytes, which may span regions; false is an abort.
  public func copyOut(
    _ address: UInt64, _ data: UnsafeMutableRawPointer, _ length: UInt64
  ) -> Bool {
    if let host = memory.host(address, length) {
      data.copyMemory(from: host, byteCount: Int(length))
      return true
    }
    return pieces(address, length) { piece, offset, count in
      if let host = memory.host(piece, count) {
        (data + offset).copyMemory(from: host, byteCount: Int(count))
        return true
      }
      return machine.read(piece, into: data + offset, count: Int(count))
    }
  }

  public func copyIn(_ address: UInt64, _ data: UnsafeRawPointer, _ length: UInt64) -> Bool {
    if let host = memory.host(address, length) {
      host.copyMemory(from: data, byteCount: Int(length))
      machine.wrote(address, count: length)
      return true
    }
    return pieces(address, length) { piece, offset, count in
      if let host = memory.host(piece, count) {
        host.copyMemory(from: data + offset, byteCount: Int(count))
        machine.wrote(piece, count: count)
        return true
      }
      return machine.write(piece, from: data + offset, count: Int(count))
    }
  }

  /// Cuts a copy at the boundaries that regions can have.
  private func pieces(
    _ address: UInt64, _ length: UInt64, _ body: (UInt64, Int, UInt64) -> Bool
  ) -> Bool {
    var done: UInt64 = 0
    while done < length {
      let piece = address &+ done
      let rest = GuestMemory.alignment - piece % GuestMemory.alignment
      let count = min(rest, length - done)
      guard body(piece, Int(done), count) else { return false }
      done += count
    }
    return true
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
