// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// Cached configurations by StreamID and SubstreamID, exact under every CFGI. Look-ups take no
/// lock. What could not be fetched or was not legal is never cached.
///
/// A row: {sequence, time} · identity · the words of a `StreamConfiguration`.
struct ConfigurationCache {
  typealias Table = SequencedTable<24>
  private static var usedWords: Int { 1 + StreamConfiguration.words }
  private static var streams: Int { 1024 }
  /// Stamps: everything, then by StreamID.
  private static var everything: Int { 0 }
  private static func stream(_ id: StreamID) -> Int {
    1 &+ Int(truncatingIfNeeded: id) & (streams - 1)
  }

  private let table: Table
  private let clock: InvalidationClock
  /// A stream that goes away now, plus 1; 0 if none does.
  private let departing: UnsafeMutablePointer<Atomic<UInt64>>
  private let lock: Lock

  init(entries: Int) {
    table = Table(entries: entries)
    clock = InvalidationClock(stamps: 1 + Self.streams)
    departing = .allocate(capacity: 1)
    departing.initialize(to: Atomic(0))
    lock = Lock()
  }

  func deallocate() {
    table.deallocate()
    clock.deallocate()
    departing.deallocate()
    lock.deallocate()
  }

  /// The time to give to `insert`, taken before the fetch.
  var now: UInt32 { clock.now }

  /// StreamID [31:0], SubstreamID [51:32], SSV [52], and a bit that no empty row has.
  @inline(__always)
  private static func identity(
    _ stream: StreamID, _ substream: SubstreamID, _ isValid: Bool
  ) -> UInt64 {
    let context = isValid ? UInt64(substream) &<< 32 | 1 &<< 52 : 0
    return UInt64(stream) | context | 1 &<< 63
  }

  /// nil for a SubstreamID too wide to be told apart; none such has a configuration.
  @inline(__always)
  private static func identity(_ access: Access) -> UInt64? {
    let hasSubstream = access.flags.contains(.substream)
    if hasSubstream && access.substream >> 20 != 0 { return nil }
    return identity(access.stream, access.substream, hasSubstream)
  }

  @inline(__always)
  private func set(_ identity: UInt64) -> Range<Int> {
    table.set(identity &* 0x9e37_79b9_7f4a_7c15)
  }

  @inline(__always)
  private func isAlive(_ identity: UInt64, _ time: UInt32) -> Bool {
    time >= clock[Self.everything]
      && time >= clock[Self.stream(StreamID(truncatingIfNeeded: identity))]
  }

  /// The part that an access with a cached translation needs.
  @inline(__always)
  func plan(of access: Access) -> (plan: StreamPlan, tag: TranslationTag)? {
    guard let identity = Self.identity(access) else { return nil }
    for number in set(identity) where table.peek(number, 1) == identity {
      let begun = table.begin(number)
      let (found, tag, plan) = (table.peek(number, 1), table.peek(number, 2), table.peek(number, 3))
      guard found == identity, isAlive(identity, Table.time(begun)), table.isWhole(number, begun)
      else { continue }
      return (StreamPlan(raw: plan), TranslationTag(raw: tag))
    }
    return nil
  }

  /// Copies all of it; false if it is not here. What is not whole may have been copied too.
  func find(_ access: Access, _ configuration: inout StreamConfiguration) -> Bool {
    guard let identity = Self.identity(access) else { return false }
    for row in set(identity) where table.peek(row, 1) == identity {
      let begun = table.begin(row)
      let found = table.peek(row, 1)
      configuration.withWords { words in
        for i in 0..<StreamConfiguration.words { words[i] = table.peek(row, 2 &+ i) }
      }
      guard found == identity, isAlive(identity, Table.time(begun)), table.isWhole(row, begun)
      else { continue }
      return true
    }
    configuration = StreamConfiguration()
    return false
  }

  /// Keeps a configuration whose fetch began at `time`, unless anything was forgotten since.
  func insert(
    _ access: Access, _ configuration: StreamConfiguration, time: UInt32
  ) {
    var configuration = configuration
    guard let identity = Self.identity(access) else { return }
    lock.lock()
    defer { lock.unlock() }
    guard time != InvalidationClock.closed, clock.now == time else { return }
    let row = table.replaceable(set(identity), identity, since: clock[Self.everything]) { _ in
      true
    } isDead: {
      !isAlive(table.peek($0, 1), table.time($0))
    }
    configuration.withWords { words in
      table.write(row, time: time, Self.usedWords) { $0 == 0 ? identity : words[$0 &- 1] }
    }
  }

  /// CMD_CFGI_STE, _STE_RANGE and _ALL (§4.3.1, §4.3.2): STEs with all that was fetched through
  /// them. The cost does not grow with the range; returns how many stamps were set. Takes no lock:
  /// what another thread is about to keep belongs to a time that ends here.
  @discardableResult
  func forget(streams first: StreamID, _ last: StreamID) -> Int {
    clock.advance()
    guard last &- first < UInt32(Self.streams) else {
      clock.expire(Self.everything)
      return 1
    }
    for stream in first...last { clock.expire(Self.stream(stream)) }
    return Int(last &- first) + 1
  }

  /// CMD_CFGI_CD (§4.3.3). Index 0 is also the CD of transactions without a SubstreamID.
  func forget(_ stream: StreamID, _ substream: SubstreamID) {
    lock.lock()
    defer { lock.unlock() }
    clock.advance()
    remove(Self.identity(stream, substream, true))
    if substream == 0 { remove(Self.identity(stream, 0, false)) }
  }

  // MARK: Streams that go away

  /// From now on the stream has no configuration, for accesses in progress either. What one of them
  /// has fetched already belongs to a time that ends with the `forget` that follows.
  func bar(_ stream: StreamID) {
    departing.pointee.store(UInt64(stream) + 1, ordering: .sequentiallyConsistent)
  }

  /// When no access of before is left.
  func unbar() { departing.pointee.store(0, ordering: .releasing) }

  func isBarred(_ stream: StreamID) -> Bool {
    departing.pointee.load(ordering: .acquiring) == UInt64(stream) + 1
  }

  /// Renewal, in two halves with a wait between them (`SMMU.renewCaches`).
  var isExhausted: Bool { clock.isExhausted }

  func close() {
    lock.lock()
    clock.close(Self.everything)
    table.clearAll(lock)
    lock.unlock()
  }

  func reopen() { clock.reopen() }

  private func remove(_ identity: UInt64) {
    for row in set(identity) where table.peek(row, 1) == identity { table.clear(row) }
  }

  /// For tests: the next invalidation wraps the time.
  func setTime(_ time: UInt32) { clock.set(time) }
}
