// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUBase
import SMMUModel
import SMMUSpec

/// The devices of a vSMMU by StreamID, which is of one device alone. An emulated device is its
/// StreamID and no more: translations ask for it, on any thread, where no cache knows a stream. An
/// assigned device is what its host knows of it, and is looked at in serial calls alone; that there
/// is one, and what it is attached to, is known to all threads.
///
/// A thread that asks what a stream is holds nothing of the device afterwards. What it then looks
/// at is the guest's registers and tables, inside an access that it began before it asked: those
/// stay until the access ends, whether or not the device goes meanwhile. So its answer is one of
/// before the device went, or was attached to something else.
public final class StreamDirectory {
  public static var mostEmulated: Int { 65536 }
  /// Guards `emulated` and `attachments`. Serial calls alone change them.
  private let mutex: Mutex
  /// Ascending.
  private var emulated: [StreamID] = []
  /// By StreamID, ascending; then those that have none. They come and go by `insert` and `remove`.
  var assigned: [AssignedDevice] = []
  /// Of those that have a StreamID, in their order. Guarded by the mutex.
  private var attachments: [Attachment] = []

  private struct Attachment {
    let stream: StreamID
    var attached: AssignedStream
  }

  public enum Kind {
    case emulated
    /// With what its DMA goes through.
    case assigned(AssignedStream)
  }

  init(_ mutex: Mutex) { self.mutex = mutex }
  deinit { mutex.destroy() }

  /// Where the streams from this one on begin in an ascending list.
  @inline(__always)
  private func place<Key: Comparable>(of stream: Key, count: Int, _ at: (Int) -> Key) -> Int {
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

  /// nil: neither.
  public func kind(of stream: StreamID) -> Kind? {
    mutex.locked {
      if emulatedIndex(of: stream).isThere { return .emulated }
      let place = place(of: stream, count: attachments.count) { attachments[$0].stream }
      guard place < attachments.count, attachments[place].stream == stream else { return nil }
      return .assigned(attachments[place].attached)
    }
  }

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

  /// Where the assigned devices from this StreamID on begin; nil: those that have none.
  func place(of stream: StreamID?) -> Int {
    place(of: AssignedDevice.place(of: stream), count: assigned.count) { assigned[$0].place }
  }

  func index(of stream: StreamID) -> Int? {
    let place = place(of: stream)
    return place < assigned.count && assigned[place].stream == stream ? place : nil
  }

  func index(ofID id: UInt32) -> Int? { assigned.firstIndex { $0.id == id } }

  func require(_ device: DeviceName) throws(Refusal) -> Int {
    switch device {
    case .stream(let stream):
      guard let index = index(of: stream) else {
        throw Refusal(.enoent, "no assigned device has this StreamID")
      }
      return index
    case .id(let id):
      guard let index = index(ofID: id) else {
        throw Refusal(.enoent, "no assigned device has this devid")
      }
      return index
    }
  }

  /// Its place; no other device has its StreamID.
  func insert(_ device: AssignedDevice) -> Int {
    let place = place(of: device.stream)
    assigned.insert(device, at: place)
    if let stream = device.stream {
      let attachment = Attachment(stream: stream, attached: device.state.attached)
      mutex.locked { attachments.insert(attachment, at: place) }
    }
    return place
  }

  /// The device there is attached to something else.
  func noteAttachment(at place: Int) {
    guard assigned[place].stream != nil else { return }
    let attached = assigned[place].state.attached
    mutex.locked { attachments[place].attached = attached }
  }

  func remove(at place: Int) -> AssignedDevice {
    let device = assigned.remove(at: place)
    // Those that have none are behind the others.
    if device.stream != nil { mutex.locked { _ = attachments.remove(at: place) } }
    return device
  }
}
