// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// §3.21.3: which structures are read, when, and what of them is kept.
@Suite("Access to structures")
struct StructureAccessTests {
  /// A guest whose stream table lies outside RAM, where its reads are seen.
  private func watched(bits: UInt64 = 4) -> (Guest, base: UInt64) {
    let guest = Guest()
    guest.start()
    let base = guest.machine.outside.lowerBound
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = base
    guest["STRTAB_BASE_CFG"] = bits
    guest["CR0"] = 0xd
    return (guest, base)
  }

  @Test("reads are 64 bits wide, in order, and end with the structure (R-377 without LSE2, R-373)")
  func width() {
    let (guest, base) = watched()
    guest.write(Streams(guest).entry(config: 4), at: base + 3 * 64)
    var reads: [UInt64] = []
    guest.machine.onRead = { reads.append($0) }
    #expect(guest.translate(3, 0).kind == .ok)
    #expect(reads == (0..<8).map { base + 192 + $0 * 8 })
  }

  @Test("no StreamID makes a read outside the table (R-370, R-373)")
  func range() {
    let (guest, base) = watched(bits: 4)
    var reads: Set<UInt64> = []
    guest.machine.onRead = { reads.insert($0) }
    var random = SeededRandom("range", default: 3)
    for stream in 0..<StreamID(40) { _ = guest.translate(stream, 0) }
    for _ in 0..<200 { _ = guest.translate(StreamID(truncatingIfNeeded: random.next()), 0) }
    #expect(reads.allSatisfy { $0 >= base && $0 < base + 16 * 64 })
    #expect(reads.count == 16 * 8)
  }

  @Test("no StreamID makes a read beyond a level 1 span (R-370)")
  func span() {
    let guest = Guest()
    guest.start()
    let base = guest.machine.outside.lowerBound, second = base + 0x8000
    guest["CR0"] = 0xc
    guest["STRTAB_BASE"] = base
    guest["STRTAB_BASE_CFG"] = 8 | 6 << 6 | 1 << 16
    guest["CR0"] = 0xd
    // Four STEs of 64 in the first group, none in the second, too large a span in the third.
    guest.machine[base] = second | 3
    guest.machine[base + 8] = second
    guest.machine[base + 16] = second | 8
    var reads: Set<UInt64> = []
    guest.machine.onRead = { if $0 >= second { reads.insert($0) } }
    for stream in 0..<StreamID(192) { _ = guest.translate(stream, 0) }
    #expect(reads == Set((0..<32).map { second + $0 * 8 }))
  }

  @Test("pointers of an invalid STE are not followed (R-371)", arguments: [0, 1, 2])
  func invalid(kind: Int) {
    let (guest, base) = watched()
    let streams = Streams(guest)
    var ste = streams.entry(config: 5, contexts: base + 0x4000)
    // Not valid; stage 1 stalls, of which there are none; abort.
    if kind == 0 { ste[StreamTableEntry.v] = 0 }
    if kind == 1 { ste[StreamTableEntry.s1stalld] = 1 }
    if kind == 2 { ste[StreamTableEntry.config] = 1 }
    guest.write(ste, at: base)
    guest.machine.onRead = { #expect($0 < base + 64) }
    #expect(guest.translate(0, 0).kind == .abort)
    #expect(guest.takeEvents().map { $0[EventRecord.number] } == (kind == 2 ? [] : [4]))
  }

  @Test("CDs are read only through an STE with stage 1 (R-372)")
  func contexts() {
    for config: UInt64 in [4, 6] {
      let (guest, base) = watched()
      let streams = Streams(guest)
      var ste = streams.entry(config: config, contexts: base + 0x4000)
      if config == 6 { streams.addStage2(&ste, vmid: 1, root: streams.stage2Table()) }
      guest.write(ste, at: base)
      guest.machine.onRead = { #expect($0 < base + 64) }
      #expect(guest.translate(0, config == 6 ? streams.input : 0).kind == .ok)
    }
  }

  @Test("a CD that is not valid is not followed (R-371)")
  func invalidContext() {
    let guest = Guest.started()
    let streams = Streams(guest)
    let outside = guest.machine.outside.lowerBound
    let contexts = guest.allocate(64, alignment: 64)
    var cd = streams.context(outside)
    cd[ContextDescriptor.v] = 0
    guest.write(cd, at: contexts)
    streams.put(1, streams.entry(config: 5, contexts: contexts))
    guest.machine.onRead = { Issue.record("read of \($0)") }
    #expect(streams.reads(1) == nil)
    #expect(guest.takeEvents().map { $0[EventRecord.number] } == [0x0a])
  }

  @Test("a fetch that failed is tried again without an invalidation (R-374)")
  func retries() {
    let (guest, base) = watched()
    let streams = Streams(guest)
    guest.machine.aborting = [base]
    #expect(guest.translate(0, 0).event == .steFetch)
    guest.machine.aborting = []
    let contexts = base + 0x4000
    guest.write(streams.entry(config: 5, contexts: contexts), at: base)
    guest.machine.aborting = [contexts]
    #expect(guest.translate(0, streams.input).event == .cdFetch)
    guest.machine.aborting = []
    guest.write(streams.context(streams.stage1Table()), at: contexts)
    #expect(streams.reads(0) == streams.first)
  }

  @Test("a valid configuration is kept until it is invalidated, tables moved or not")
  func kept() {
    let guest = Guest.started()
    let streams = Streams(guest)
    streams.addStage1(stream: 1)
    #expect(streams.reads(1) == streams.first)
    streams.put(1, streams.entry(config: 0))
    #expect(streams.reads(1) == streams.first)
    guest.command((0x03 | 1 << 32, 1), Guest.sync)
    #expect(streams.reads(1) == nil)
  }

  @Test("an event comes from each use of a bad structure, never from a command (R-191, R-190)")
  func eventsByUse() {
    let guest = Guest.started()
    guest.command(
      (0x01 | 5 << 32, 0), (0x02 | 5 << 32, 0), (0x03 | 5 << 32, 0), (0x05 | 5 << 32, 0),
      (0x04, 31), Guest.sync)
    #expect(guest["CMDQ_CONS"] == 6)
    #expect(guest["EVENTQ_PROD"] == 0)
    for count in 1..<UInt64(4) {
      _ = guest.translate(5, 0)
      #expect(guest["EVENTQ_PROD"] == count)
    }
  }

  @Test("prefetches read nothing and are always consumed (R-279, R-280, R-281, R-283)")
  func prefetch() {
    for enables: UInt64 in [0xd, 0xc] {
      let (guest, _) = watched()
      guest["CR0"] = enables
      guest.machine.onRead = { Issue.record("read of \($0)") }
      // Any stream, substream, size, stride and address.
      let commands: [(UInt64, UInt64)] = [
        (0x01, 0), (0x01 | .max << 32, 0), (0x01 | 1 << 11 | 0xfffff << 12, 0),
        (0x02 | 3 << 32, .max & ~0x400), (0x02 | 3 << 32, 0x1f | 0x1f << 5),
      ]
      for command in commands { guest.command(command) }
      #expect(guest["CMDQ_CONS"] == UInt64(commands.count))
      #expect(guest["EVENTQ_PROD"] == 0)
      #expect(guest["GERROR"] == 0)
    }
  }
}
