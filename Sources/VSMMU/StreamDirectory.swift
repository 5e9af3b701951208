// SPDX-License-Identifier: MIT
import CSupport
import SMMUAtomics
import VSMMUShared

/// The StreamIDs that the VMM has added, sorted. Asked only where the caches do not know a stream.
final class StreamDirectory {
  static var capacity: Int { 65536 }
  private let mutex: Mutex
  private var ids: [UInt32] = []

  init(_ mutex: Mutex) { self.mutex = mutex }
  deinit { mutex.destroy() }

  var isEmpty: Bool { mutex.locked { ids.isEmpty } }
  var count: Int { mutex.locked { ids.count } }

  func contains(_ id: UInt32) -> Bool {
    mutex.locked {
      let place = lowerBound(id)
      return place < ids.count && ids[place] == id
    }
  }

  func add(_ id: UInt32) throws(Refusal) {
    try mutex.locked { () throws(Refusal) in
      let place = lowerBound(id)
      if place < ids.count && ids[place] == id {
        throw refusal(vsmmu_support_eexist, "stream", " was added before")
      }
      guard ids.count < Self.capacity else {
        throw refusal(vsmmu_support_enomem, "stream", " is one more than the 65536 possible")
      }
      ids.insert(id, at: place)
    }
  }

  func remove(_ id: UInt32) throws(Refusal) {
    try mutex.locked { () throws(Refusal) in
      let place = lowerBound(id)
      guard place < ids.count && ids[place] == id else {
        throw refusal(vsmmu_support_enoent, "stream", " was not added")
      }
      ids.remove(at: place)
    }
  }

  private func lowerBound(_ id: UInt32) -> Int {
    var low = 0, high = ids.count
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
