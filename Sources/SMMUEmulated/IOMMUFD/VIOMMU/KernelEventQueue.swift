// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

/// VEVENTQ: a guest's events of one type, read from a file of its own.
final class KernelEventQueue: KernelObject {
  let viommu: KernelVIOMMU
  let type: UInt32
  private let depth: Int
  private struct Event {
    let sequence: UInt32
    let record: EventRecord
  }
  /// Those before `first` were read; they go together, so that to read all takes linear time.
  private var events: [Event] = []
  private var first = 0
  /// The newest sequence number that was lost, if no event came after it.
  private var lost: UInt32?
  private var next: UInt32 = 0
  /// Its file; none when the last descriptor is closed.
  var file: KernelEventQueueFile?

  init(_ viommu: KernelVIOMMU, type: UInt32, depth: Int) {
    self.viommu = viommu
    self.type = type
    self.depth = depth
  }

  override func forEachHeld(_ body: (KernelObject) -> Void) { body(viommu) }
  override func tearDown() { viommu.remove(self) }

  private var count: Int { events.count - first }
  var isEmpty: Bool { count == 0 && lost == nil }

  /// Every event takes a sequence number, kept or not. What is lost shows as a header of its own,
  /// but only at the end: once another event follows, the gap in the numbers tells.
  func append(_ record: EventRecord) {
    if count == depth || !hasRoom() {
      lost = next
    } else {
      lost = nil
      events.append(Event(sequence: next, record: record))
    }
    next = next == UInt32(Int32.max) ? 0 : next + 1
    if let file { vsmmu_system_eventfd_signal(file.eventfd) }
  }

  /// Room for one more; none without memory, and then the event is lost as on Linux.
  private func hasRoom() -> Bool {
    guard events.count == events.capacity else { return true }
    guard let reserve = Reserve(bytes: EmulatedNeed.growth(of: events)) else { return false }
    defer { reserve.giveBack() }
    reserve.covering { events.reserveCapacity(2 * events.count + 4) }
    return true
  }

  private static var headerBytes: Int { MemoryLayout<iommufd_vevent_header>.size }
  /// Of a record: a map of queues has two words, an event four.
  private var words: Int { type == IOMMUFD_VEVENTQ_TYPE_TEGRA241_CMDQV ? 2 : 4 }
  private var eventBytes: Int { Self.headerBytes + 8 * words }

  /// As many whole records as fit; 0 where there is none, without waiting.
  func read(into data: UnsafeMutableRawPointer, count: Int) throws(Errno) -> Int {
    guard count >= Self.headerBytes else { throw .einval }
    var done = 0
    defer { dropRead() }
    while first < events.count {
      guard count - done >= eventBytes else { return try partial(done) }
      let event = events[first]
      store(
        iommufd_vevent_header(flags: 0, sequence: event.sequence), record: event.record,
        at: data + done)
      done += eventBytes
      first += 1
    }
    guard let lost else { return done }
    guard count - done >= Self.headerBytes else { return try partial(done) }
    let header = iommufd_vevent_header(flags: IOMMUFD_VEVENTQ_LOST_EVENTS, sequence: lost)
    (data + done).storeBytes(of: header, as: iommufd_vevent_header.self)
    self.lost = nil
    return done + Self.headerBytes
  }

  private func dropRead() {
    guard first > events.count / 2 else { return }
    events.removeFirst(first)
    first = 0
  }

  private func partial(_ done: Int) throws(Errno) -> Int {
    guard done > 0 else { throw .einval }
    return done
  }

  private func store(
    _ header: iommufd_vevent_header, record: EventRecord, at target: UnsafeMutableRawPointer
  ) {
    target.storeBytes(of: header, as: iommufd_vevent_header.self)
    for index in 0..<words {
      target.storeBytes(
        of: record[word: index].littleEndian, toByteOffset: Self.headerBytes + 8 * index,
        as: UInt64.self)
    }
  }
}

/// The file of a vEVENTQ. It holds the queue, and the iommufd with it.
final class KernelEventQueueFile: File {
  private let queue: KernelEventQueue
  private let owner: IOMMUFDFile

  init(_ queue: KernelEventQueue, _ owner: IOMMUFDFile) {
    self.queue = queue
    self.owner = owner
  }

  override func read(into data: UnsafeMutableRawPointer, count: Int) throws(Errno) -> Int {
    let done = try queue.read(into: data, count: count)
    if queue.isEmpty { vsmmu_system_eventfd_clear(eventfd) }
    return done
  }

  override var readiness: Int32 { queue.isEmpty ? 0 : 1 }

  override func release() {
    queue.file = nil
    queue.users -= 1
    owner.kernel.descriptors.drop(owner)
  }
}
