// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// CMD_CFGI_* as a driver sees them: a changed structure is used after the command, and was not
/// before it, so that the test would fail without the command.
@Suite("Configuration invalidation by commands")
struct ConfigurationCommandTests {
  private let guest = Guest.started()
  private var streams: Streams { Streams(guest) }

  /// A stream that bypasses, used once, and then changed to abort.
  private func cached(_ stream: StreamID) {
    streams.put(stream, streams.entry(config: 4))
    #expect(guest.translate(stream, 0x1000).kind == .ok)
    streams.put(stream, streams.entry(config: 0))
    #expect(guest.translate(stream, 0x1000).kind == .ok, "stream \(stream) was not cached")
  }

  private func isForgotten(_ stream: StreamID) -> Bool {
    guest.translate(stream, 0x1000).kind == .abort
  }

  @Test("CFGI_STE removes one STE, with either Leaf (R-285, R-284)", arguments: [0, 1])
  func ste(leaf: UInt64) {
    cached(1)
    cached(2)
    guest.command((0x03 | 2 << 32, leaf), Guest.sync)
    #expect(isForgotten(2))
    #expect(!isForgotten(1))
    #expect(guest.machine.stale == [.configuration(first: 2, last: 2)])
  }

  @Test("CFGI_STE_RANGE removes the aligned block around its StreamID (R-287, R-284)")
  func range() {
    for stream in 0..<StreamID(16) { cached(stream) }
    // Range 1: four StreamIDs.
    guest.command((0x04 | 6 << 32, 1), Guest.sync)
    for stream in 0..<StreamID(16) { #expect(isForgotten(stream) == (4...7).contains(stream)) }
    #expect(guest.machine.stale == [.configuration(first: 4, last: 7)])
  }

  @Test("CFGI_ALL removes everything, its StreamID ignored (R-288, R-265)")
  func all() {
    for stream in 0..<StreamID(8) { cached(stream) }
    guest.command((0x04 | 0xdead_beef << 32, 31), Guest.sync)
    for stream in 0..<StreamID(8) { #expect(isForgotten(stream)) }
    #expect(guest.machine.stale == [.configuration(first: 0, last: .max)])
  }

  @Test("the largest ranges cost no more than a small one (R-289)")
  func cost() {
    let time = processorSeconds {
      for range: UInt64 in [20, 24, 28, 30, 31] {
        for _ in 0..<20 { guest.command((0x04, range)) }
      }
    }
    #expect(guest.smmu.counters[.commands] == 100)
    // One visit per StreamID would take hours.
    #expect(time < 5)
  }

  @Test("a StreamID that cannot exist is no error (R-275)")
  func impossibleStream() {
    let small = Guest.started(.linux)
    small.command((0x03 | 0xdead_beef << 32, 0), (0x05 | 0xdead_beef << 32 | 0xfffff << 12, 0))
    small.command((0x06 | 0xdead_beef << 32, 0), Guest.sync)
    #expect(small["CMDQ_CONS"] == 4)
    #expect(small["GERROR"] == 0)
  }

  // MARK: CDs

  /// A stream with four CDs of one table each.
  private func contexts(_ stream: StreamID) -> UInt64 {
    let streams = streams
    let table = guest.allocate(256, alignment: 256)
    let root = streams.stage1Table()
    for i in 0..<UInt64(4) {
      guest.write(streams.context(root, asid: ASID(i)), at: table + i * 64)
    }
    streams.put(stream, streams.entry(config: 5, contexts: table, bits: 2))
    for i in 0..<SubstreamID(4) {
      // S1DSS 2: substream 0 is for transactions without one.
      #expect(streams.reads(stream, substream: i == 0 ? nil : i) == streams.first)
    }
    for i in 0..<UInt64(4) { guest.machine[table + i * 64] = 0 }
    for i in 0..<SubstreamID(4) { #expect(!isStale(stream, i), "CD \(i) was not cached") }
    return table
  }

  private func isStale(_ stream: StreamID, _ substream: SubstreamID) -> Bool {
    streams.reads(stream, substream: substream == 0 ? nil : substream) == nil
  }

  @Test("CFGI_CD removes the CD of its SubstreamID (R-290, R-291)", arguments: [0, 1])
  func cd(leaf: UInt64) {
    _ = contexts(1)
    guest.command((0x05 | 2 << 12 | 1 << 32, leaf), Guest.sync)
    for i in 0..<SubstreamID(4) { #expect(isStale(1, i) == (i == 2)) }
    // Index 0 is the CD of transactions without a SubstreamID.
    guest.command((0x05 | 1 << 32, leaf), Guest.sync)
    #expect(isStale(1, 0))
    #expect(!isStale(1, 1))
  }

  @Test("CFGI_CD_ALL, CFGI_STE and CFGI_ALL remove all CDs of a stream (R-294, R-285, R-288)")
  func allCDs() {
    for command: (UInt64, UInt64) in [(0x06 | 1 << 32, 0), (0x03 | 1 << 32, 1), (0x04, 31)] {
      let guest = ConfigurationCommandTests()
      _ = guest.contexts(1)
      guest.guest.command(command, Guest.sync)
      for i in 0..<SubstreamID(4) { #expect(guest.isStale(1, i)) }
    }
  }

  @Test("a SubstreamID without substreams names no CD, and is no error (R-293, R-275)")
  func noSubstreams() {
    var features = Features.full
    features[.idr1, IDR1.ssidsize] = 0
    let guest = Guest.started(features)
    let streams = Streams(guest)
    let contexts = streams.addStage1(stream: 1)
    #expect(streams.reads(1) == streams.first)
    guest.machine[contexts] = 0
    guest.command((0x05 | 5 << 12 | 1 << 32, 1), Guest.sync)
    #expect(guest["CMDQ_CONS"] == 2)
    #expect(streams.reads(1) == streams.first)
    guest.command((0x05 | 1 << 32, 1), Guest.sync)
    #expect(streams.reads(1) == nil)
  }

  // MARK: What is derived

  @Test("changed L1STDs and L1CDs are used after their commands (R-286, R-291)")
  func firstLevels() {
    guest["CR0"] = 0xc
    let first = guest.allocate(64, alignment: 64), second = guest.allocate(0x2000)
    guest["STRTAB_BASE"] = first
    guest["STRTAB_BASE_CFG"] = 6 | 6 << 6 | 1 << 16
    guest["CR0"] = 0xd
    guest.machine[first] = second | 7
    let streams = streams
    guest.write(streams.entry(config: 4), at: second + 64)
    guest.write(streams.entry(config: 0), at: second + 0x1000 + 64)
    #expect(guest.translate(1, 0).kind == .ok)
    guest.machine[first] = (second + 0x1000) | 7
    #expect(guest.translate(1, 0).kind == .ok)
    guest.command((0x03 | 1 << 32, 0), Guest.sync)
    #expect(guest.translate(1, 0).kind == .abort)

    // Two levels of CDs: 64 of them behind each L1CD.
    let table = guest.allocate(64, alignment: 64), leaves = guest.allocate(0x2000)
    let root = streams.stage1Table()
    guest.machine[table] = leaves | 1
    guest.write(streams.context(root), at: leaves + 64)
    var ste = streams.entry(config: 5, contexts: table, bits: 7)
    ste[StreamTableEntry.s1fmt] = 1
    guest.write(ste, at: second + 0x1000 + 128)
    #expect(streams.reads(2, substream: 1) == streams.first)
    guest.machine[table] = (leaves + 0x1000) | 1
    #expect(streams.reads(2, substream: 1) == streams.first)
    guest.command((0x05 | 1 << 12 | 2 << 32, 0), Guest.sync)
    #expect(streams.reads(2, substream: 1) == nil)
  }

  @Test("what the TLB does not hold is fresh after CFGI alone (R-296)")
  func derived() {
    let streams = streams
    let contexts = streams.addStage1(stream: 1, asid: 3)
    #expect(streams.reads(1) == streams.first)
    // The CD's control of its lower half.
    var cd = streams.context(guest.machine[contexts + 8] & ~0xf, asid: 3)
    cd[ContextDescriptor.ttb0] = guest.machine[contexts + 8] >> 4
    cd[ContextDescriptor.epd0] = 1
    guest.write(cd, at: contexts)
    #expect(streams.reads(1) == streams.first)
    guest.command((0x05 | 1 << 32, 1), Guest.sync)
    #expect(streams.reads(1) == nil)
    cd[ContextDescriptor.epd0] = 0
    guest.write(cd, at: contexts)
    guest.command((0x05 | 1 << 32, 1), Guest.sync)
    #expect(streams.reads(1) == streams.first)
    // The STE's policy.
    streams.put(1, streams.entry(config: 4))
    guest.command((0x03 | 1 << 32, 1), Guest.sync)
    #expect(streams.reads(1) == streams.input)
  }

  @Test("after a SYNC no event comes of what it removed (R-364)")
  func eventsAfter() {
    let streams = streams
    let contexts = streams.addStage1(stream: 1)
    // A CD whose lower half is off: every access makes an event.
    guest.machine[contexts] |= 1 << 14
    for count in 1...UInt64(2) {
      #expect(streams.reads(1) == nil)
      #expect(guest["EVENTQ_PROD"] == count)
    }
    guest.machine[contexts] &= ~(1 << 14)
    #expect(streams.reads(1) == nil)
    #expect(guest["EVENTQ_PROD"] == 3)
    guest.command((0x05 | 1 << 32, 1), Guest.sync)
    #expect(streams.reads(1) == streams.first)
    #expect(guest["EVENTQ_PROD"] == 3)
  }

  @Test("a fetch that an invalidation overtakes is not kept (R-379)")
  func overtaken() {
    let streams = streams
    let outside = guest.machine.outside.lowerBound
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = outside
    guest["CR0"] = 0xd
    guest.write(streams.entry(config: 4), at: outside)
    var isFirst = true
    guest.machine.onRead = { [guest] address in
      guard isFirst, address == outside + 8 else { return }
      isFirst = false
      guest.write(streams.entry(config: 0), at: outside)
      guest.command((0x03, 1))
    }
    _ = guest.translate(0, 0x1000)
    #expect(!isFirst)
    #expect(guest.translate(0, 0x1000).kind == .abort)
  }

  @Test("configuration is invalidated with SMMUEN = 0 (R-299, R-067)")
  func disabled() {
    cached(1)
    guest["CR0"] = 0xc
    guest.command((0x03 | 1 << 32, 1), Guest.sync)
    guest["CR0"] = 0xd
    #expect(isForgotten(1))
  }
}
