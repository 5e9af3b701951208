// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Which path a transaction takes: CR0 and STE.Config, S1DSS and SSV.
@Suite struct StreamPolicyTests {
  typealias S = StreamTableEntry

  @Test("Config 0b0xx aborts silently, whatever else the STE and the access hold (T-050)")
  func aborting() {
    let scene = Scene(.stage2)
    for config in 0...3 as ClosedRange<UInt64> {
      var ste = StreamTableEntry(words: InlineArray(repeating: .max))
      ste[S.config] = config
      scene.ste = ste
      scene.apply()
      for substream in [nil, 0, 5, 0xffff_ffff] as [SubstreamID?] {
        for address in [0, Scene.middle, .max] as [UInt64] {
          let (answer, records) = scene.access(address, [], substream: substream)
          #expect(answer.kind == .abort)
          #expect(answer.event == nil)
          #expect(records.isEmpty)
        }
      }
    }
  }

  @Test("Bypass leaves the address as it is, and a SubstreamID is C_BAD_SUBSTREAMID (T-037)")
  func bypass() {
    let scene = Scene(.bypass)
    let (answer, records) = scene.access(0x1234_5678_9abc, [.write])
    #expect(answer.kind == .ok)
    #expect(answer.address == 0x1234_5678_9abc)
    #expect(answer.length == (1 << 48) - 0x1234_5678_9abc)
    #expect(answer.permissions == 7)
    #expect(records.isEmpty)
    #expect(scene.event(0, substream: 0) == .badSubstreamID)
    #expect(scene.event(0, substream: 7) == .badSubstreamID)
  }

  @Test("A stage 2 stream with a SubstreamID is C_BAD_SUBSTREAMID (T-003)")
  func stage2() {
    let scene = Scene(.stage2)
    #expect(scene.isFine())
    let (answer, records) = scene.access(substream: 3)
    #expect(answer.kind == .abort)
    #expect(records[0][EventRecord.number] == 8)
    #expect(scene.isFine())
  }

  /// Table 3.2, with CDs at indices 0 and 2 of a table of four.
  @Test("S1DSS and SSV decide the CD as table 3.2 has it (T-047, T-225)")
  func substreams() {
    for mode in [Scene.Mode.stage1, .nested] {
      let scene = Scene(mode)
      let offset = mode == .nested ? Scene.intermediate : 0
      let table = scene.guest.allocate(4 * 64)
      scene.guest.write(scene.cd, at: table)
      var other = scene.cd
      other[ContextDescriptor.asid] = 6
      let tables = TableBuilder(scene.guest, offset: offset)
      let far = mode == .nested ? Scene.upperMiddle : Scene.upperOutput
      tables.map(Scene.input, far, TableBuilder.stage1Leaf)
      other[ContextDescriptor.ttb0] = tables.base >> 4
      scene.guest.write(other, at: table + 128)
      scene.ste[S.s1ContextPtr] = (table &+ offset) >> 6
      scene.ste[S.s1cdMax] = 2
      for dss in 0...3 as ClosedRange<UInt64> {
        scene.ste[S.s1dss] = dss
        scene.apply()
        let plain = scene.access().0
        switch dss {
        case 1:
          // Bypass: the address goes to stage 2, which does not know it, or out.
          #expect(plain.event == (mode == .nested ? .translation : nil))
          #expect(mode == .nested || plain.address == Scene.input)
        case 2: #expect(plain.address == Scene.output)
        default: #expect(plain.event == .streamDisabled)
        }
        #expect(scene.event(substream: 0) == (dss == 2 ? .streamDisabled : nil))
        #expect(scene.access(substream: 2).0.address == Scene.upperOutput)
        #expect(scene.event(substream: 3) == .badCD)
        #expect(scene.event(substream: 4) == .badSubstreamID)
        #expect(scene.event(substream: 0xffff_ffff) == .badSubstreamID)
      }
    }
  }

  @Test("S1CDMax = 0 or SSIDSIZE = 0 leave one CD, and no SubstreamIDs (T-063)")
  func noSubstreams() {
    for width in [0, 20] as [UInt32] {
      var f = Features.full
      f[.idr1, IDR1.ssidsize] = width
      let scene = Scene(.stage1, f)
      for dss in 0...3 as ClosedRange<UInt64> {
        scene.ste[S.s1dss] = dss
        scene.ste[S.s1cdMax] = width == 0 ? 5 : 0
        scene.apply()
        #expect(scene.access().0.address == Scene.output)
        #expect(scene.event(substream: 0) == .badSubstreamID)
      }
    }
  }

  @Test("A SubstreamID wider than SSIDSIZE is not truncated (T-005)")
  func wideSubstream() {
    let scene = Scene(.stage1)
    let table = scene.guest.allocate(4 * 64)
    scene.guest.write(scene.cd, at: table + 64)
    scene.ste[S.s1ContextPtr] = table >> 6
    scene.ste[S.s1cdMax] = 2
    scene.apply()
    #expect(scene.event(substream: 1) == nil)
    for wide in [1 << 20 | 1, 1 << 31 | 1] as [SubstreamID] {
      #expect(scene.event(substream: wide) == .badSubstreamID)
    }
    #expect(scene.event(substream: 1) == nil)
  }

  @Test("F_STREAM_DISABLED carries neither SSV nor SubstreamID (T-225, T-229)")
  func disabledRecord() {
    let scene = Scene(.stage1)
    scene.ste[S.s1cdMax] = 2
    scene.ste[S.s1dss] = 2
    scene.apply()
    let record = scene.access(substream: 0).1[0]
    #expect(record.words[0] == 6 | 1 << 32)
    #expect([record.words[1], record.words[2], record.words[3]] == [0, 0, 0])
  }

  @Test("S1DSS bypass never reads a CD (T-048)")
  func bypassedContext() {
    for mode in [Scene.Mode.stage1, .nested] {
      let scene = Scene(mode)
      scene.ste[S.s1cdMax] = 2
      scene.ste[S.s1dss] = 1
      scene.ste[S.s1ContextPtr] = scene.guest.machine.outside.lowerBound >> 6
      scene.apply()
      var reads = 0
      scene.guest.machine.onRead = { _ in reads += 1 }
      let address = mode == .nested ? Scene.middle : 0x55_5555_5000
      let (answer, records) = scene.access(address)
      #expect(answer.kind == .ok)
      #expect(answer.address == (mode == .nested ? Scene.output : address))
      #expect(records.isEmpty)
      #expect(reads == 0)
    }
  }

  @Test("A SubstreamID picks the CD and nothing of stage 2 (T-004)")
  func substreamAndStage2() {
    let scene = Scene(.nested)
    let table = scene.guest.allocate(4 * 64)
    for i in 0..<4 as Range<UInt64> { scene.guest.write(scene.cd, at: table + i * 64) }
    scene.ste[S.s1ContextPtr] = (table + Scene.intermediate) >> 6
    scene.ste[S.s1cdMax] = 2
    scene.ste[S.s1dss] = 2
    scene.apply()
    // Equal tags: one walk serves them all.
    let misses = { scene.guest.smmu.counters[.tlbMisses] }
    #expect(scene.access(substream: 1).0.address == Scene.output)
    let after = misses()
    #expect(scene.access(substream: 3).0.address == Scene.output)
    #expect(scene.access().0.address == Scene.output)
    #expect(misses() == after)
  }

  // MARK: SMMUEN = 0

  private func disabled(_ features: Features = .full, gbpa: UInt64 = 0x1000) -> Guest {
    let guest = Guest(features)
    guest.start()
    guest["CR0"] = 0xc
    guest["GBPA"] = gbpa | 1 << 31
    return guest
  }

  @Test("With SMMUEN = 0 accesses pass as they are, any substream, up to OAS (R-092, T-025)")
  func globalBypass() {
    let guest = disabled()
    for (address, substream) in [
      (0, nil), (0xffff_ffff_ffff, nil), (0x1234, 5), (77, 0xffff_ffff),
    ] as [(UInt64, SubstreamID?)] {
      let answer = guest.translate(9, address, [.write], substream: substream)
      #expect(answer.kind == .ok)
      #expect(answer.address == address)
    }
    for address in [1 << 48, 1 << 63, .max] as [UInt64] {
      #expect(guest.translate(9, address).kind == .abort)
    }
    #expect(guest.takeEvents().isEmpty)
  }

  @Test("With SMMUEN = 0 and ABORT = 1 everything aborts without event (R-091)")
  func globalAbort() {
    let guest = disabled(gbpa: 0x1000 | 1 << 20)
    #expect(guest.translate(9, 0x1000).kind == .abort)
    #expect(guest.translate(9, 0x1000).event == nil)
    #expect(guest.takeEvents().isEmpty)
  }

  @Test("With SMMUEN = 0 no structure is read and no event is made (R-066, R-068, T-203)")
  func globalSilence() {
    let guest = disabled()
    let outside = guest.machine.outside.lowerBound
    guest["STRTAB_BASE"] = outside
    var reads = 0
    guest.machine.onRead = { _ in reads += 1 }
    _ = guest.translate(0xffff_ffff, 0x1000)
    _ = guest.translate(1, 0x1000)
    #expect(reads == 0)
    #expect(guest.takeEvents().isEmpty)
    // Nothing was cached either: what the table says when enabled is news.
    guest.machine[outside + 64] = 1 | 4 << 1
    guest["CR0"] = 0xd
    #expect(guest.translate(1, 0x1000).kind == .ok)
    #expect(reads > 0)
  }

  @Test("Caches survive SMMUEN 1, 0, 1 and obey commands meanwhile (T-051, R-067, R-074, R-299)")
  func cachesSurvive() {
    let scene = Scene(.stage1), guest = scene.guest
    #expect(scene.isFine())
    // Stale on purpose.
    scene.lower.set(Scene.input, 0)
    guest["CR0"] = 0xc
    guest["CR0"] = 0xd
    #expect(scene.access().0.address == Scene.output)
    guest["CR0"] = 0xc
    guest.command((0x30, 0), Guest.sync)
    guest["CR0"] = 0xd
    #expect(scene.event() == .translation)
  }

  @Test("CFGI acts with SMMUEN = 0 (T-319, R-299)")
  func forgetsWhileDisabled() {
    let scene = Scene(.bypass), guest = scene.guest
    #expect(scene.isFine())
    scene.ste[S.config] = 0
    guest.write(scene.ste, at: Guest.streamTable + 64)
    guest["CR0"] = 0xc
    guest.command((0x03 | 1 << 32, 1), Guest.sync)
    guest["CR0"] = 0xd
    #expect(scene.access().0.kind == .abort)
  }

  @Test("With SMMUEN = 1 GBPA means nothing (R-099)")
  func globalIgnored() {
    let scene = Scene(.bypass)
    scene.guest["GBPA"] = 1 << 20 | 1 << 31
    #expect(scene.isFine())
  }

  @Test("GBPA changes by writes with Update alone (T-053)")
  func update() {
    let guest = disabled()
    guest["GBPA"] = 1 << 20
    #expect(guest.translate(1, 0).kind == .ok)
    guest["GBPA"] = 1 << 20 | 1 << 31
    #expect(guest.translate(1, 0).kind == .abort)
    #expect(guest["GBPA"] == 1 << 20)
  }
}
