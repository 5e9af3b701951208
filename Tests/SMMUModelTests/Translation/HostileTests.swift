// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Guests that write what no driver would: the model neither traps nor hangs, and still answers as
/// the reference.
@Suite struct HostileTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  static let addresses: [UInt64] = [
    0, 1, 0xfff, 1 << 47, (1 << 48) - 1, 1 << 48, 1 << 55, (1 << 56) - 1, 1 << 63,
    0xffff_8000_0000_0000, .max - 0xfff, .max,
  ]
  static let substreams: [SubstreamID?] = [nil, 0, 1, 0xf_ffff, 0x10_0000, .max]

  private func accessAll(_ world: RandomWorld) {
    let reference = world.reference
    for address in Self.addresses {
      for substream in Self.substreams {
        for bits in [0, 7, 16] as [UInt32] {
          var flags = AccessFlags(rawValue: bits)
          if substream != nil { flags.insert(.substream) }
          let access = Access(
            stream: 3, substream: substream ?? 0, flags: flags, address: address)
          let expected = reference.answer(access)
          let found = world.answer(access)
          #expect(found == expected, "\(access)")
        }
      }
    }
  }

  @Test("STEs and CDs of all ones and all zeros, whatever Config (T-083)")
  func extremes() {
    let world = RandomWorld()
    for fill in [0, .max] as [UInt64] {
      for config in 0...7 as ClosedRange<UInt64> {
        for cdFill in [0, .max] as [UInt64] {
          var ste = [UInt64](repeating: fill, count: 8)
          put(&ste, 0, 0, 1)
          put(&ste, 3, 1, config)
          world.invalidateAll()
          world.machine.overlay = [:]
          world.machine.put(ste, at: RandomWorld.streamTable + 3 * 64)
          // Once as it is, once with enough mended to reach the CD.
          accessAll(world)
          put(&ste, 91, 91, 0)
          put(&ste, 63, 59, fill & 20)
          put(&ste, 55, 6, RandomWorld.contextTable >> 6)
          put(&ste, 185, 179, 1)
          put(&ste, 165, 160, 24)
          put(&ste, 175, 174, 0)
          put(&ste, 167, 166, 1)
          put(&ste, 247, 196, 0x1000_0000)
          put(&ste, 178, 176, fill & 7)
          world.machine.put(ste, at: RandomWorld.streamTable + 3 * 64)
          var cd = [UInt64](repeating: cdFill, count: 8)
          world.machine.put(cd, at: RandomWorld.contextTable)
          world.invalidateAll()
          accessAll(world)
          put(&cd, 44, 41, 1)
          put(&cd, 31, 31, 1)
          put(&cd, 5, 0, 16)
          put(&cd, 21, 16, 48)
          put(&cd, 7, 6, 0)
          put(&cd, 23, 22, 2)
          put(&cd, 119, 68, 0x1_0000)
          put(&cd, 183, 132, 0x1_0000)
          world.machine.put(cd, at: RandomWorld.contextTable)
          world.invalidateAll()
          accessAll(world)
        }
      }
    }
  }

  @Test("Every IPS, S2PS, TxSZ, S2T0SZ, S2SL0 and granule at the edges of addresses (T-032, T-107)")
  func geometries() {
    var random = SeededRandom("geometries", default: 51)
    let world = RandomWorld()
    for _ in 0..<250 {
      world.machine.style.seed = random.next()
      var ste = RandomStructures.streamTableEntry(
        &random, .full, config: random.pick([5, 6, 7]), contexts: RandomWorld.contextTable,
        .k4, sl0: 1, t0sz: 24, bigEndian: false)
      var cd = RandomStructures.contextDescriptor(
        &random, .full, (.k4, 25), (.k4, 25), tableBits: 36, bigEndian: false)
      for (high, low) in [(178, 176), (165, 160), (167, 166), (175, 174)]
      where random.chance(40) {
        put(&ste, high, low, random.next())
      }
      for (high, low) in [(34, 32), (5, 0), (21, 16), (7, 6), (23, 22)] where random.chance(40) {
        put(&cd, high, low, random.next())
      }
      world.invalidateAll()
      world.machine.overlay = [:]
      world.machine.put(ste, at: RandomWorld.streamTable + 3 * 64)
      if let at = world.reference.contextAddressIfLegal(ste) { world.machine.put(cd, at: at) }
      let reference = world.reference
      for address in Self.addresses {
        let access = Access(stream: 3, address: address)
        #expect(world.answer(access) == reference.answer(access), "\(ste) \(cd) \(access)")
      }
    }
  }

  @Test("Random bytes as STE, CD and descriptors never trap and answer as the reference (T-021)")
  func garbage() {
    var random = SeededRandom("garbage", default: 52)
    for features in [Features.full, .linux] {
      let world = RandomWorld(features)
      var kinds: [String: Int] = [:]
      for _ in 0..<3000 {
        world.machine.style.seed = random.next()
        var ste = random.words(8), cd = random.words(8)
        put(&ste, 0, 0, 1)
        put(&ste, 3, 3, 1)
        // Bits that would end most attempts at once, mended at random.
        if random.chance(80) { put(&ste, 91, 91, 0) }
        if random.chance(80) { put(&ste, 55, 6, RandomWorld.contextTable >> 6) }
        if random.chance(80) { put(&ste, 63, 59, 0) }
        if random.chance(80) { put(&ste, 185, 179, 1) }
        if random.chance(80) { put(&ste, 247, 228, 0) }
        if random.chance(80) { put(&ste, 143, 136, 0) }
        if random.chance(80) { put(&cd, 46, 41, random.pick([0x01, 0x11, 0x21, 0x31])) }
        if random.chance(80) { put(&cd, 31, 31, 1) }
        if random.chance(80) { put(&cd, 119, 98, 0) }
        if random.chance(80) { put(&cd, 183, 162, 0) }
        if random.chance(80) { put(&cd, 5, 0, UInt64(random.among(14...49))) }
        if random.chance(80) { put(&cd, 21, 16, UInt64(random.among(14...49))) }
        world.invalidateAll()
        world.machine.overlay = [:]
        world.machine.put(ste, at: RandomWorld.streamTable + 3 * 64)
        if random.chance(90) { world.machine.put(cd, at: RandomWorld.contextTable) }
        let reference = world.reference
        for _ in 0..<4 {
          var access = RandomWalkTests.randomAccess(
            &random,
            address: random.chance(40) ? random.pick(Self.addresses) : random.next() >> 28)
          if random.chance(20) {
            access.flags.insert(.substream)
            access.substream = SubstreamID(truncatingIfNeeded: random.next()) >> 12
          }
          let expected = reference.answer(access)
          #expect(world.answer(access) == expected, "\(ste) \(cd) \(access)")
          kinds["\(expected.kind)", default: 0] += 1
        }
      }
      #expect(kinds["ok", default: 0] > 30, "\(kinds)")
      #expect(kinds["razwi", default: 0] > 10 || features.terminateIsAbort, "\(kinds)")
    }
  }

  @Test("StreamIDs of every size and stream tables of every shape (T-012, R-143)")
  func streamTables() {
    var random = SeededRandom("stream tables", default: 53)
    let world = RandomWorld(.wide)
    for _ in 0..<2000 {
      world["CR0"] = 0xc
      world["STRTAB_BASE"] = random.next()
      world["STRTAB_BASE_CFG"] = random.next()
      world["CR0"] = 0xd
      world.machine.style.seed = random.next()
      world.invalidateAll()
      for stream in [0, 1, 63, 64, 1 << 16, .max] as [StreamID] {
        let access = Access(stream: stream, address: 0)
        let answer = world.smmu.translate(access)
        _ = world.takeRecord()
        #expect(answer.kind != .razwi || answer.event != nil)
      }
    }
  }

  @Test("Two-level CD tables of any content and index end (T-090, T-091)")
  func contextTables() {
    var random = SeededRandom("CD tables", default: 54)
    let world = RandomWorld()
    var kinds: Set<String> = []
    for _ in 0..<2000 {
      world.machine.style.seed = random.next()
      world.machine.style.aborting = random.pick([0, 0, 5])
      var ste = RandomStructures.streamTableEntry(
        &random, .full, config: random.pick([5, 7]), contexts: RandomWorld.contextTable,
        random.pick([.k4, .k16]), sl0: 1, t0sz: 28, bigEndian: false)
      put(&ste, 5, 4, random.next())
      put(&ste, 63, 59, UInt64(random.among(0...20)))
      put(&ste, 55, 6, random.next() & 0x3ff_ffff)
      world.invalidateAll()
      world.machine.overlay = [:]
      world.machine.put(ste, at: RandomWorld.streamTable + 3 * 64)
      let reference = world.reference
      for _ in 0..<3 {
        let substream = SubstreamID(random.next() >> UInt64(random.among(44...62)))
        let access = Access(
          stream: 3, substream: substream, flags: random.chance(80) ? [.substream] : [],
          address: random.next() >> 30)
        let expected = reference.answer(access)
        #expect(world.answer(access) == expected, "\(ste) \(access)")
        if let record = expected.record {
          kinds.insert("\(EventKind(rawValue: UInt8(record[0] & 0xff))!)")
        }
      }
    }
    #expect(kinds.isSuperset(of: ["badSubstreamID", "cdFetch", "badCD", "streamDisabled"]))
  }

  @Test("A table that points to itself ends (T-133)")
  func loops() {
    let scene = Scene(.nested)
    for level in 1...2 {
      scene.lower.set(Scene.input, level: level, scene.lower.base | 3)
      scene.invalidateAll()
      #expect(scene.access().0.kind == .abort)
    }
    // Stage 2 that maps its own tables, and stage 1 within them.
    scene.second.set(Scene.middle, level: 1, scene.second.base | 3)
    scene.invalidateAll()
    #expect(scene.access().0.kind == .abort)
  }

  @Test("The last pages of the output space (T-033)")
  func topOfOutput() {
    let scene = Scene(.nested)
    scene.second.map(Scene.middle, 0xffff_ffff_f000, TableBuilder.stage2Leaf)
    let answer = scene.access(Scene.input | 0xfff).0
    #expect(answer.address == 0xffff_ffff_ffff)
    #expect(answer.length == 1)
  }

  @Test("Tables at the top of the output space read nothing beyond it (R-373)")
  func topTables() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.ttb0] = 0xffff_ffff_f000 >> 4 }
    let (answer, records) = scene.access(0x7f_ffff_ffff)
    #expect(answer.event == .walkAbort)
    #expect(records[0][EventRecord.fetchAddr] << 3 == 0xffff_ffff_fff8)
  }
}
