// SPDX-License-Identifier: MIT
import SMMUBase

/// Objects by id: one namespace for all types, from 1 upwards, the lowest free id first.
final class ObjectTable {
  /// Entry i has id i + 1.
  private var entries: [ObjectEntry?] = []
  /// No entry before it is free.
  private var lowest = 0

  subscript(id: UInt32) -> ObjectEntry? {
    guard id > 0, id <= UInt32(clamping: entries.count) else { return nil }
    return entries[Int(id) - 1]
  }

  /// Gives an object its id, and it takes hold of what it stands on.
  func insert(_ entry: ObjectEntry) {
    guard let object = entry.object else { return }
    var index = lowest
    while index < entries.count, entries[index] != nil { index += 1 }
    if index == entries.count { entries.append(entry) } else { entries[index] = entry }
    lowest = index + 1
    object.id = UInt32(index) + 1
    object.forEachHeld { $0.users += 1 }
  }

  /// IOMMU_DESTROY.
  func destroy(_ id: UInt32) throws(Errno) {
    guard let object = self[id]?.object else { throw .enoent }
    guard object.users == 0 else { throw .ebusy }
    remove(object, leaving: nil)
  }

  /// Takes an object away whatever its users are, and what they do with it is their concern.
  func remove(_ object: KernelObject, leaving entry: ObjectEntry?) {
    let index = Int(object.id) - 1
    entries[index] = entry
    if entry == nil { lowest = min(lowest, index) }
    object.tearDown()
    object.forEachHeld { $0.users -= 1 }
  }

  /// The end of the iommufd: leaves first, until nothing is left that can go. Returns how many
  /// objects stayed, which is 0 if the counts are right.
  func destroyAll() -> Int {
    var progress = true
    while progress {
      progress = false
      for entry in entries {
        guard let object = entry?.object, object.users == 0 else { continue }
        remove(object, leaving: nil)
        progress = true
      }
    }
    return count
  }

  /// Of the ids up to the highest that was ever given.
  var capacity: Int { entries.count }

  var count: Int {
    var count = 0
    each { _ in count += 1 }
    return count
  }

  func each(_ body: (ObjectEntry) -> Void) {
    for entry in entries {
      if let entry, entry.object != nil { body(entry) }
    }
  }
}

/// Look-ups: an id that is unknown or names another type is ENOENT.
extension ObjectTable {
  func device(_ id: UInt32) throws(Errno) -> KernelDevice {
    guard case .device(let object) = self[id] else { throw .enoent }
    return object
  }

  func ioas(_ id: UInt32) throws(Errno) -> KernelIOAS {
    guard case .ioas(let object) = self[id] else { throw .enoent }
    return object
  }

  func paging(_ id: UInt32) throws(Errno) -> PagingHWPT {
    guard case .paging(let object) = self[id] else { throw .enoent }
    return object
  }

  func viommu(_ id: UInt32) throws(Errno) -> KernelVIOMMU {
    guard case .viommu(let object) = self[id] else { throw .enoent }
    return object
  }

  func faultQueue(_ id: UInt32) throws(Errno) -> KernelFaultQueue {
    guard case .faultQueue(let object) = self[id] else { throw .enoent }
    return object
  }
}
