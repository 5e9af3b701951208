// SPDX-License-Identifier: MIT
import SMMUSpec
import Synchronization

/// Cached configurations by StreamID and SubstreamID, exact under every CFGI. Look-ups take no
/// lock. What could not be fetched or was not legal is never cached.
///
/// A row: {sequence, time} · {identity} · {tag} · {plan} · STE · CD.
struct ConfigurationCache {
  private static var rowWords: Int { 24 }
  private static var usedWords: Int { 19 }
  private static var streams: Int { 1024 }
  /// Stamps: everything, then by StreamID.
  private static var everything: Int { 0 }
  private static func stream(_ id: StreamID) -> Int {
    1 &+ Int(truncatingIfNeeded: id) & (streams - 1)
  }

  private let table: SequencedTable
  private let clock: InvalidationClock
  private let lock: SpinLock

  init(entries: Int) {
    table = SequencedTable(entries: entries, rowWords: Self.rowWords)
    clock = InvalidationClock(stamps: 1 + Self.streams)
    lock = SpinLock()
  }

  func deallocate() {
    table.deallocate()
    clock.deallocate()
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
      guard let row = table.read4(number), row.1 == identity, isAlive(identity, row.time)
      else { continue }
      return (StreamPlan(raw: row.3), TranslationTag(raw: row.2))
    }
    return nil
  }

  /// All of it.
  func configuration(of access: Access) -> StreamConfiguration? {
    guard let identity = Self.identity(access) else { return nil }
    for row in set(identity) where table.peek(row, 1) == identity {
      var words = InlineArray<19, UInt64>(repeating: 0)
      let time = table.time(row)
      let isWhole = table.read(row, from: 1, Self.usedWords) { words[$0] = $1 }
      guard isWhole, words[0] == identity, isAlive(identity, time), table.time(row) == time
      else { continue }
      var ste = StreamTableEntry()
      var cd = ContextDescriptor()
      for i in 0..<8 {
        ste.words[i] = words[3 + i]
        cd.words[i] = words[11 + i]
      }
      return StreamConfiguration(
        ste: ste, cd: cd, plan: StreamPlan(raw: words[2]), tag: TranslationTag(raw: words[1]))
    }
    return nil
  }

  /// Keeps a configuration whose fetch began at `time`, unless anything was forgotten since.
  func insert(
    _ access: Access, _ configuration: StreamConfiguration, time: UInt32, _ machine: any Machine
  ) {
    guard let identity = Self.identity(access) else { return }
    lock.lock(machine)
    defer { lock.unlock() }
    guard time != InvalidationClock.closed, clock.now == time else { return }
    let row = table.replaceable(set(identity)) {
      table.peek($0, 1) == identity
    } isDead: {
      !isAlive(table.peek($0, 1), table.time($0))
    }
    table.write(row, time: time, Self.usedWords) { word in
      switch word {
      case 0: identity
      case 1: configuration.tag.raw
      case 2: configuration.plan.raw
      case 3...10: configuration.ste.words[word - 3]
      default: configuration.cd.words[word - 11]
      }
    }
  }

  /// CMD_CFGI_STE, _STE_RANGE and _ALL (§4.3.1, §4.3.2): STEs with all that was fetched through
  /// them. The cost does not grow with the range; returns how many stamps were set.
  @discardableResult
  func forget(streams first: StreamID, _ last: StreamID, _ machine: any Machine) -> Int {
    lock.lock(machine)
    defer { lock.unlock() }
    clock.advance()
    guard last &- first < UInt32(Self.streams) else {
      clock.expire(Self.everything)
      return 1
    }
    for stream in first...last { clock.expire(Self.stream(stream)) }
    return Int(last &- first) + 1
  }

  /// CMD_CFGI_CD (§4.3.3). Index 0 is also the CD of transactions without a SubstreamID.
  func forget(_ stream: StreamID, _ substream: SubstreamID, _ machine: any Machine) {
    lock.lock(machine)
    defer { lock.unlock() }
    clock.advance()
    remove(Self.identity(stream, substream, true))
    if substream == 0 { remove(Self.identity(stream, 0, false)) }
  }

  /// Renewal, in two halves with a wait between them (`SMMU.renewCaches`).
  var isExhausted: Bool { clock.isExhausted }

  func close(_ machine: any Machine) {
    lock.lock(machine)
    clock.close(Self.everything)
    table.clearAll()
    lock.unlock()
  }

  func reopen() { clock.reopen() }

  private func remove(_ identity: UInt64) {
    for row in set(identity) where table.peek(row, 1) == identity { table.clear(row) }
  }

  /// For tests: the next invalidation wraps the time.
  func setTime(_ time: UInt32) { clock.set(time) }
}
