// SPDX-License-Identifier: MIT
import SMMUBase

/// IOAS: an I/O address space, and the page tables that follow it.
final class KernelIOAS: KernelObject {
  private struct Reservation {
    let range: IOVARange
    /// Who reserved it: a page table what it cannot reach, a device what it keeps for itself.
    let owner: KernelObject
  }

  /// Sorted, disjoint.
  private(set) var areas: [IOVAArea] = []
  private var reservations: [Reservation] = []
  /// Where addresses may be chosen; empty = anywhere.
  private var allowed: [IOVARange] = []
  private var tables: [PagingHWPT] = []
  /// What hardware reads by physical addresses, which must stay.
  private struct Lock {
    let range: IOVARange
    let owner: KernelObject
  }
  private var locks: [Lock] = []
  var hasHugePages = true

  /// Bytes that addresses and lengths are multiples of: any, until a page table needs pages.
  var alignment: UInt64 { tables.isEmpty ? 1 : 4096 }

  /// Nothing is mapped where a BAR was revoked.
  override func check(_ broken: inout BrokenInvariants) {
    for area in areas where area.isHole {
      for table in tables where table.maps(area) {
        broken.add("a BAR that was revoked is mapped at ", area.first)
      }
    }
  }
}

// MARK: Look-ups

extension KernelIOAS {
  /// The index of the first area that ends at `iova` or after it.
  private func index(from iova: UInt64) -> Int {
    var low = 0
    var high = areas.count
    while low < high {
      let middle = (low + high) / 2
      if areas[middle].last < iova { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func hasArea(_ first: UInt64, _ last: UInt64) -> Bool {
    let index = index(from: first)
    return index < areas.count && areas[index].first <= last
  }

  private func isReserved(_ first: UInt64, _ last: UInt64) -> Bool {
    reservations.contains { $0.range.meets(first, last) }
  }

  /// The addresses that nothing reserves, in order.
  func forEachUsableRange(_ body: (IOVARange) -> Void) {
    var taken: [IOVARange] = []
    for reservation in reservations { taken.add(inOrder: reservation.range) }
    var next: UInt64 = 0
    for range in taken {
      if range.first > next { body(IOVARange(first: next, last: range.first - 1)) }
      if range.last == .max { return }
      next = max(next, range.last + 1)
    }
    body(IOVARange(first: next, last: .max))
  }
}

// MARK: Mapping

extension KernelIOAS {
  /// Maps at a given address, or chooses one.
  func map(
    at fixed: UInt64?, address: UInt64, length: UInt64, readable: Bool, writable: Bool,
    memory: MappedMemory
  ) throws(Errno) -> UInt64 {
    guard length != 0 else { throw .einval }
    guard !address.addingReportingOverflow(length).overflow else { throw .eoverflow }
    let first: UInt64
    if let fixed {
      try check(fixed, length)
      first = fixed
    } else {
      first = try choose(address, length)
    }
    let area = IOVAArea(
      first: first, last: first &+ (length &- 1), address: address, isReadable: readable,
      isWritable: writable, memory: memory)
    guard area.isAligned(to: alignment) else { throw .einval }
    if !tables.isEmpty { try area.pin() }
    var bytes = EmulatedNeed.growth(of: areas)
    for table in tables { bytes += table.needed(for: area) }
    try reserving(bytes, orThrow: Errno.enomem) { () throws(Errno) in
      areas.insert(area, at: index(from: first))
      for table in tables { table.map(area) }
    }
    return first
  }

  private func check(_ iova: UInt64, _ length: UInt64) throws(Errno) {
    guard iova & (alignment &- 1) == 0 else { throw .einval }
    let (last, overflow) = iova.addingReportingOverflow(length - 1)
    guard !overflow else { throw .eoverflow }
    guard !isReserved(iova, last) else { throw .einval }
    guard !hasArea(iova, last) else { throw .eexist }
  }

  /// The lowest free page.
  func choose(_ address: UInt64, _ length: UInt64) throws(Errno) -> UInt64 {
    guard length < .max / 2 else { throw .eoverflow }
    guard address & (alignment &- 1) == 0 else { throw .einval }
    let page: UInt64 = 4096
    // Never address 0, nor the last page.
    let anywhere = [IOVARange(first: page, last: .max - page)]
    for range in allowed.isEmpty ? anywhere : allowed {
      var first = aligned(up: range.first, page)
      while let start = first, start <= range.last, range.last - start >= length - 1 {
        let last = start + (length - 1)
        guard let blocker = lastBlocker(start, last) else { return start }
        first = blocker == .max ? nil : aligned(up: blocker + 1, page)
      }
    }
    throw .enospc
  }

  private func aligned(up value: UInt64, _ page: UInt64) -> UInt64? {
    let (sum, overflow) = value.addingReportingOverflow(page - 1)
    return overflow ? nil : sum & ~(page - 1)
  }

  /// The end of something that lies in the way.
  private func lastBlocker(_ first: UInt64, _ last: UInt64) -> UInt64? {
    let index = index(from: first)
    if index < areas.count, areas[index].first <= last { return areas[index].last }
    return reservations.first { $0.range.meets(first, last) }?.range.last
  }

  /// Removes the areas within a range, and returns their bytes. Stops at one that only partly lies
  /// there.
  func unmap(_ first: UInt64, _ last: UInt64) throws(Errno) -> UInt64 {
    var bytes: UInt64 = 0
    let place = index(from: first)
    while place < areas.count, areas[place].first <= last {
      let area = areas[place]
      guard !locks.contains(where: { $0.range.meets(area.first, area.last) }) else { throw .ebusy }
      guard area.first >= first, area.last <= last else { throw .enoent }
      areas.remove(at: place)
      bytes &+= area.length
      for table in tables { table.unmap(area) }
    }
    if bytes == 0 && !(first == 0 && last == .max) { throw .enoent }
    return bytes
  }

  /// Takes what is mapped of a BAR out of the page tables. The areas stay.
  func unmapTables(of bar: EmulatedBAR) {
    for area in areas where area.isOf(bar) && !area.isHole {
      for table in tables { table.unmap(area) }
    }
  }

  /// The memory behind a range that areas cover without a hole, piece by piece.
  func forEachPiece(
    _ iova: UInt64, length: UInt64, _ body: (IOVAArea) throws(Errno) -> Void
  ) throws(Errno) {
    guard length != 0 else { throw .einval }
    let (last, overflow) = iova.addingReportingOverflow(length - 1)
    guard !overflow else { throw .eoverflow }
    var next = iova
    var place = index(from: iova)
    while true {
      guard place < areas.count, areas[place].first <= next else { throw .enoent }
      let area = areas[place]
      let end = min(area.last, last)
      try body(
        IOVAArea(
          first: next, last: end, address: area.address &+ (next &- area.first),
          isReadable: area.isReadable, isWritable: area.isWritable, memory: area.memory))
      if end == last { return }
      next = end + 1
      place += 1
    }
  }
}

// MARK: What hardware reads

extension KernelIOAS {
  /// Keeps mappings for an owner, whole pages of them, and returns the physical address of `iova`.
  func lock(_ iova: UInt64, length: UInt64, for owner: KernelObject) throws(Errno) -> UInt64 {
    let first = iova & ~4095
    let last = (iova + (length - 1)) | 4095
    var next: UInt64?
    var start: UInt64 = 0
    var isContiguous = true
    try forEachPiece(first, length: last - first + 1) { (piece) throws(Errno) in
      if next == nil { start = piece.address }
      isContiguous = isContiguous && (next ?? piece.address) == piece.address
      next = piece.address &+ piece.length
    }
    guard isContiguous else { throw .efault }
    locks.append(Lock(range: IOVARange(first: first, last: last), owner: owner))
    return start + (iova - first)
  }

  func unlock(_ owner: KernelObject) { locks.removeAll { $0.owner === owner } }
}

// MARK: What limits it

extension KernelIOAS {
  /// IOMMU_IOAS_ALLOW_IOVAS: replaces the whole list.
  func allow(_ ranges: [IOVARange]) throws(Errno) {
    for range in ranges where isReserved(range.first, range.last) { throw .eaddrinuse }
    allowed = ranges
  }

  /// Takes addresses out of use, for as long as `owner` is there.
  func reserve(_ range: IOVARange, for owner: KernelObject) throws(Errno) {
    guard !hasArea(range.first, range.last),
      !allowed.contains(where: { $0.meets(range.first, range.last) })
    else { throw .eaddrinuse }
    reservations.append(Reservation(range: range, owner: owner))
  }

  func release(of owner: KernelObject) { reservations.removeAll { $0.owner === owner } }

  /// A new page table: it can hold all that is mapped, and reaches no further than `reach`.
  func add(_ table: PagingHWPT, reach: UInt64) throws(Errno) {
    for area in areas where !area.isAligned(to: 4096) { throw .eaddrinuse }
    for area in areas { try area.pin() }
    var bytes = EmulatedNeed.growth(of: tables)
    for area in areas { bytes += table.needed(for: area) }
    try reserving(bytes, orThrow: Errno.enomem) { () throws(Errno) in
      if reach != .max {
        try reserve(IOVARange(first: reach + 1, last: .max), for: table)
      }
      tables.append(table)
      for area in areas { table.map(area) }
    }
  }

  func remove(_ table: PagingHWPT) {
    tables.removeAll { $0 === table }
    release(of: table)
  }

  func forEachTable(_ body: (PagingHWPT) -> Void) {
    for table in tables { body(table) }
  }
}

extension Errno {
  /// What Linux says on every architecture that it shares its numbers with.
  static var eaddrinuse: Errno { Errno(code: 98) }
}
