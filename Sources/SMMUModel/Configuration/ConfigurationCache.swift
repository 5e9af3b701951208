// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// Cached configurations by StreamID and SubstreamID, exact under every CFGI. Look-ups take no
/// lock. What could not be fetched or was not legal is never cached.
///
/// A row: {sequence, time} · identity · tag · plan · lower and upper table, MAIR · stage 2 table, a
/// table being its base, geometry and what lies outside · the rest of the tag's owner.
final class ConfigurationCache {
  typealias Table = SequencedTable<16>
  private static var streams: Int { 1024 }
  /// Stamps: everything, then by StreamID.
  private static var everything: Int { InvalidationClock.everything }
  private static func stream(_ id: StreamID) -> Int {
    1 &+ Int(truncatingIfNeeded: id) & (streams - 1)
  }

  private let table: Table
  private let clock: InvalidationClock
  /// A stream that goes away now, plus 1; 0 if none does.
  private let departing: UnsafeMutablePointer<Atomic<UInt64>>

  init(entries: Int) {
    table = Table(entries: entries)
    clock = InvalidationClock(stamps: 1 + Self.streams)
    departing = .allocate(capacity: 1)
    departing.initialize(to: Atomic(0))
  }

  deinit {
    table.deallocate()
    clock.deallocate()
    departing.deallocate()
  }

  /// The time to give to `insert`, taken before the fetch.
  var now: UInt32 { clock.now }

  /// StreamID [31:0], SubstreamID [51:32], SSV [52], and a bit that no empty row has.
  @inline(__always)
  private static func identity(
    _ stream: StreamID, substream: SubstreamID, isValid: Bool
  ) -> UInt64 {
    let context = isValid ? UInt64(substream) &<< 32 | 1 &<< 52 : 0
    return UInt64(stream) | context | 1 &<< 63
  }

  /// nil for a SubstreamID too wide to be told apart; none such has a configuration.
  @inline(__always)
  private static func identity(_ access: Access) -> UInt64? {
    let hasSubstream = access.flags.contains(.substream)
    if hasSubstream && access.substream >> 20 != 0 { return nil }
    return identity(access.stream, substream: access.substream, isValid: hasSubstream)
  }

  @inline(__always)
  private static func hash(_ identity: UInt64) -> UInt64 { identity &* 0x9e37_79b9_7f4a_7c15 }

  @inline(__always)
  private func isAlive(_ identity: UInt64, _ time: UInt32) -> Bool {
    time >= clock[Self.everything]
      && time >= clock[Self.stream(StreamID(truncatingIfNeeded: identity))]
  }

  /// The row of an access's configuration, to be read from until `isWhole` says whether all that
  /// was read is of one configuration.
  @inline(__always)
  func find(_ access: Access) -> ConfigurationRow? {
    guard let identity = Self.identity(access) else { return nil }
    var row = table.firstRow(Self.hash(identity))
    let end = row + Table.words
    while row != end {
      if row[1].load(ordering: .relaxed) == identity {
        let begun = row[0].load(ordering: .acquiring)
        if row[1].load(ordering: .relaxed) == identity
          && isAlive(identity, SequencedRow.time(begun))
        {
          return ConfigurationRow(words: row, begun: begun)
        }
      }
      row += Table.row
    }
    return nil
  }

  /// Whether a row that was found is still that, and nothing was forgotten of it since.
  @inline(__always)
  func isAlive(_ row: ConfigurationRow) -> Bool {
    isAlive(row.identity, SequencedRow.time(row.begun)) && row.isWhole
  }

  /// Keeps a configuration whose fetch began at `time`, unless anything was forgotten since.
  func insert(
    _ access: Access, configuration: StreamConfiguration, time: UInt32
  ) {
    guard let identity = Self.identity(access) else { return }
    let first = table.firstRow(Self.hash(identity))
    let free = table.replaceable(first, word1: identity, since: clock[Self.everything]) { _ in true
    }
    let row =
      free
      ?? table.victim(first) { row in
        !isAlive(
          row[1].load(ordering: .relaxed), SequencedRow.time(row[0].load(ordering: .relaxed)))
      }
    let words = ConfigurationRow.words(identity, configuration)
    table.fill(row, time: time, clock: clock) { row in
      for i in 0..<ConfigurationRow.used { row[1 &+ i].store(words[i], ordering: .relaxed) }
    }
  }

  /// CMD_CFGI_STE, _STE_RANGE and _ALL (§4.3.1, §4.3.2): STEs with all that was fetched through
  /// them. The cost does not grow with the range; returns how many stamps were set. Looks at no
  /// row: what another thread is about to keep belongs to a time that ends here.
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
    clock.advanceAndFence()
    remove(Self.identity(stream, substream: substream, isValid: true))
    if substream == 0 { remove(Self.identity(stream, substream: 0, isValid: false)) }
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
    clock.close()
    table.clearAll()
  }

  func reopen() { clock.reopen() }

  private func remove(_ identity: UInt64) {
    for row in table.set(Self.hash(identity)) {
      table.clear(row) { $0[1].load(ordering: .relaxed) == identity }
    }
  }

  /// For tests: the next invalidation wraps the time.
  func setTime(_ time: UInt32) { clock.set(time) }
}
