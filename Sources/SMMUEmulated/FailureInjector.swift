// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUBase

/// A failure to order: what becomes of certain calls.
public struct FailureRule: Equatable, Sendable {
  public enum Effect: Equatable, Sendable {
    /// The call is not made.
    case error(Errno)
    /// IOMMU_HWPT_INVALIDATE alone, others fail without being made: `done` entries are carried out,
    /// and `reported` come back as entry_num. A Linux kernel may report more than it did.
    case partial(done: UInt32, reported: UInt32, error: Errno)
    /// A read returns at most so many bytes.
    case shortRead(Int)
    /// So many events are missing from what reads of a vEVENTQ return. The reader learns of it as
    /// from the kernel: by a gap of the sequence, or a header with LOST_EVENTS if none came after.
    case loseEvents(UInt32)
  }

  public var call: SystemCall
  /// Of ioctls: their request; 0 = any.
  public var request: UInt32
  /// The first call meant, counted from 1; for `loseEvents` only reads that return data count.
  public var nth: UInt32
  /// How many calls from then on; `loseEvents` lasts until the events are lost.
  public var times: UInt32
  public var effect: Effect

  public init(
    _ call: SystemCall, request: UInt32 = 0, nth: UInt32 = 1, times: UInt32 = 1, effect: Effect
  ) {
    self.call = call
    self.request = request
    self.nth = nth
    self.times = times
    self.effect = effect
  }

  /// Counts a call. Whether it is meant.
  fileprivate mutating func meets(_ call: SystemCall, _ request: UInt32) -> Bool {
    guard self.call == call, self.request == 0 || self.request == request else { return false }
    guard nth > 1 else { return true }
    nth -= 1
    return false
  }

  fileprivate var losesEvents: Bool {
    if case .loseEvents = effect { return true }
    return false
  }
}

/// Stands before a kernel and lets calls fail, by rules.
public final class FailureInjector: Kernel {
  /// How many rules there may be at a time.
  public static var capacity: Int { 16 }

  private let kernel: any Kernel
  private let mutex: Mutex
  private var rules: [FailureRule] = []

  private init(_ kernel: any Kernel, _ mutex: Mutex) {
    self.kernel = kernel
    self.mutex = mutex
    rules.reserveCapacity(Self.capacity)
  }

  deinit { mutex.destroy() }

  /// nil if there is no memory.
  public static func make(before kernel: any Kernel) -> FailureInjector? {
    guard let mutex = Mutex() else { return nil }
    return FailureInjector(kernel, mutex)
  }

  /// Calls count from now on. false: there are too many rules.
  public func add(_ rule: FailureRule) -> Bool {
    mutex.locked {
      guard rules.count < Self.capacity else { return false }
      if rule.times > 0 { rules.append(rule) }
      return true
    }
  }

  public func removeAll() { mutex.locked { rules.removeAll(keepingCapacity: true) } }

  /// Rules that have not had their effect yet.
  public var pending: Int { mutex.locked { rules.count } }

  /// The effect of the oldest rule that means this call. Every rule counts it.
  private func effect(_ call: SystemCall, _ request: UInt32 = 0) -> FailureRule.Effect? {
    mutex.locked {
      var effect: FailureRule.Effect?
      var spent: Int?
      for i in rules.indices where !rules[i].losesEvents {
        guard rules[i].meets(call, request), effect == nil else { continue }
        effect = rules[i].effect
        rules[i].times -= 1
        if rules[i].times == 0 { spent = i }
      }
      if let spent { rules.remove(at: spent) }
      return effect
    }
  }

  /// Fails a call that a rule means, whatever the effect: only ioctl and read know others.
  private func fail(_ call: SystemCall) throws(Errno) {
    switch effect(call) {
    case .error(let error), .partial(_, _, let error): throw error
    case .shortRead, .loseEvents, nil: return
    }
  }

  // MARK: calls

  public func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    try fail(.open)
    return try kernel.open(path)
  }

  /// Linux closes the descriptor whatever it returns, and so does this.
  public func close(_ fd: Int32) throws(Errno) {
    let effect = effect(.close)
    try kernel.close(fd)
    if case .error(let error) = effect { throw error }
  }

  @discardableResult
  public func control(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    switch effect(.control, request) {
    case .error(let error): throw error
    case .partial(let done, let reported, let error):
      try invalidate(fd, request: request, argument: argument, done: done, reported: reported)
      throw error
    case .shortRead, .loseEvents, nil:
      return try kernel.control(fd, request: request, argument: argument)
    }
  }

  /// The first entries of an invalidation alone.
  private func invalidate(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?, done: UInt32,
    reported: UInt32
  ) throws(Errno) {
    guard request == IOMMUFD_HWPT_INVALIDATE.rawValue, let argument else { return }
    // A caller's pointer may be aligned to nothing.
    let size = argument.loadUnaligned(as: UInt32.self)
    guard size >= UInt32(MemoryLayout<iommufd_hwpt_invalidate>.size) else { return }
    let place = 24  // entry_num
    let asked = argument.loadUnaligned(fromByteOffset: place, as: UInt32.self)
    if min(done, asked) > 0 {
      argument.storeBytes(of: min(done, asked), toByteOffset: place, as: UInt32.self)
      try kernel.control(fd, request: request, argument: argument)
    }
    argument.storeBytes(of: min(reported, asked), toByteOffset: place, as: UInt32.self)
  }

  public func read(
    _ fd: Int32, into data: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) -> Int {
    var most = count
    switch effect(.read) {
    case .error(let error), .partial(_, _, let error): throw error
    case .shortRead(let bytes): most = min(count, max(0, bytes))
    case .loseEvents, nil: break
    }
    let length = try kernel.read(fd, into: data, count: most)
    return length > 0 ? lose(data, length) : length
  }

  public func write(
    _ fd: Int32, from data: UnsafeRawPointer, count: Int
  ) throws(Errno) -> Int {
    try fail(.write)
    return try kernel.write(fd, from: data, count: count)
  }

  public func poll(_ fd: Int32) throws(Errno) -> Int32 {
    try fail(.poll)
    return try kernel.poll(fd)
  }

  public func duplicate(_ fd: Int32) throws(Errno) -> Int32 {
    try fail(.duplicate)
    return try kernel.duplicate(fd)
  }

  public func same(_ fd: Int32, _ other: Int32) throws(Errno) -> Bool {
    try fail(.same)
    return try kernel.same(fd, other)
  }

  public func map(
    _ fd: Int32, offset: UInt64, length: Int
  ) throws(Errno) -> UnsafeMutableRawPointer {
    try fail(.map)
    return try kernel.map(fd, offset: offset, length: length)
  }

  public func unmap(_ address: UnsafeMutableRawPointer, length: Int) {
    kernel.unmap(address, length: length)
  }
}

// MARK: - lost events

extension FailureInjector {
  /// Takes events out of what a vEVENTQ returned. Returns the bytes that are left.
  private func lose(_ data: UnsafeMutableRawPointer, _ length: Int) -> Int {
    mutex.locked {
      for i in rules.indices {
        guard case .loseEvents(let count) = rules[i].effect, rules[i].meets(.read, 0) else {
          continue
        }
        var rest = count
        let left = EventText.drop(&rest, from: data, length: length)
        rules[i].effect = .loseEvents(rest)
        if rest == 0 { rules.remove(at: i) }
        return left
      }
      return length
    }
  }
}

/// What a read of a vEVENTQ returns: headers, each with a record unless events were lost.
private enum EventText {
  private static var header: Int { MemoryLayout<iommufd_vevent_header>.size }
  private static var event: Int { header + MemoryLayout<iommufd_vevent_arm_smmuv3>.size }

  /// Drops the first `count` events, and leaves in it how many were still to drop.
  static func drop(
    _ count: inout UInt32, from data: UnsafeMutableRawPointer, length: Int
  ) -> Int {
    var source = 0
    var target = 0
    var lastLost: UInt32?
    while source + header <= length {
      let flags = data.loadUnaligned(fromByteOffset: source, as: UInt32.self)
      let sequence = data.loadUnaligned(fromByteOffset: source + 4, as: UInt32.self)
      let isEvent = flags & IOMMUFD_VEVENTQ_LOST_EVENTS == 0
      let size = isEvent ? event : header
      guard source + size <= length else { break }
      if isEvent && count > 0 {
        count -= 1
        lastLost = sequence
      } else {
        (data + target).copyMemory(from: data + source, byteCount: size)
        target += size
        // What comes after them shows the loss by its sequence number.
        lastLost = nil
      }
      source += size
    }
    guard let lastLost else { return target }
    data.storeBytes(of: IOMMUFD_VEVENTQ_LOST_EVENTS, toByteOffset: target, as: UInt32.self)
    data.storeBytes(of: lastLost, toByteOffset: target + 4, as: UInt32.self)
    return target + header
  }
}

extension FailureInjector {
  /// nil if there is no memory. A target that makes an `any Kernel` of a class gets its witness
  /// table once more, so users of this target have it made here.
  @inline(never)
  public static func make(before host: EmulatedHost) -> FailureInjector? {
    make(before: host as any Kernel)
  }
}
