// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUBase
import SMMUSpec

/// The devices of a vSMMU by StreamID, which is of one device alone. An emulated device is its
/// StreamID and no more: translations ask for it, on any thread, where no cache knows a stream. An
/// assigned device is what its host knows of it, and is looked at in serial calls alone.
public final class StreamDirectory {
  public static var mostEmulated: Int { 65536 }
  /// Guards `emulated`. Serial calls alone change it.
  private let mutex: Mutex
  /// Ascending.
  private var emulated: [StreamID] = []
  /// By StreamID, ascending.
  var assigned: [AssignedDevice] = []

  init(_ mutex: Mutex) { self.mutex = mutex }
  deinit { mutex.destroy() }

  /// Where the streams from this one on begin in an ascending list.
  @inline(__always)
  private func place(of stream: StreamID, count: Int, _ at: (Int) -> StreamID) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if at(middle) < stream { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

// MARK: Emulated devices

extension StreamDirectory {
  public var emulatedCount: Int { mutex.locked { emulated.count } }

  public func isEmulated(_ stream: StreamID) -> Bool {
    mutex.locked { emulatedIndex(of: stream).isThere }
  }

  private func emulatedIndex(of stream: StreamID) -> (place: Int, isThere: Bool) {
    let place = place(of: stream, count: emulated.count) { emulated[$0] }
    return (place, place < emulated.count && emulated[place] == stream)
  }

  func addEmulated(_ stream: StreamID) throws(Refusal) {
    try requireUnassigned(stream)
    try mutex.locked { () throws(Refusal) in
      let found = emulatedIndex(of: stream)
      guard !found.isThere else { throw Refusal(.eexist, "stream was added before") }
      guard emulated.count < Self.mostEmulated else {
        throw Refusal(.enomem, "stream is one more than the 65536 possible")
      }
      emulated.insert(stream, at: found.place)
    }
  }

  func removeEmulated(_ stream: StreamID) throws(Refusal) {
    try mutex.locked { () throws(Refusal) in
      let found = emulatedIndex(of: stream)
      guard found.isThere else { throw Refusal(.enoent, "stream was not added") }
      emulated.remove(at: found.place)
    }
  }

  func requireUnassigned(_ stream: StreamID) throws(Refusal) {
    guard index(of: stream) == nil else {
      throw Refusal(.eexist, "an assigned device has this StreamID")
    }
  }
}

// MARK: Assigned devices

extension StreamDirectory {
  public var assignedCount: Int { assigned.count }

  /// Where the assigned devices from this StreamID on begin.
  func place(of stream: StreamID) -> Int {
    place(of: stream, count: assigned.count) { assigned[$0].stream }
  }

  func index(of stream: StreamID) -> Int? {
    let place = place(of: stream)
    return place < assigned.count && assigned[place].stream == stream ? place : nil
  }

  /// Of the device that a caller names.
  func require(named device: UInt64) throws(Refusal) -> Int {
    guard device >> 32 == 0 else { throw Refusal(.einval, "device is no StreamID") }
    return try require(StreamID(truncatingIfNeeded: device))
  }

  func require(_ stream: StreamID) throws(Refusal) -> Int {
    guard let index = index(of: stream) else {
      throw Refusal(.enoent, "no assigned device has this StreamID")
    }
    return index
  }

  /// Its place; no device has its StreamID.
  func insert(_ device: AssignedDevice) -> Int {
    let place = place(of: device.stream)
    assigned.insert(device, at: place)
    return place
  }
}
