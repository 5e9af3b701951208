// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

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

  /// A look-up passes those that were added before it: the small ones of many belong behind.
  static var capacity: Int { 512 }
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

  /// The region that was added first, or an empty one.
  @inline(__always)
  var firstRegion: Region { published.pointee.load(ordering: .acquiring).pointee }

  /// The region around an address; an empty one if there is none.
  func region(around address: UInt64) -> Region {
    var region = published.pointee.load(ordering: .acquiring)
    while region.pointee.length != 0 && address &- region.pointee.address >= region.pointee.length {
      region += 1
    }
    return region.pointee
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

  /// The length of the region that begins at `address`.
  func length(at address: UInt64) -> UInt64? {
    let table = published.pointee.load(ordering: .relaxed)
    for i in 0..<count(table) where table[i].address == address { return table[i].length }
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
