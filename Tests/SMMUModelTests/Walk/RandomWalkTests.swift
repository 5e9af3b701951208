// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// Random tables under random but legal configurations: the model answers as the reference does,
/// records included, with cold and with warm caches.
@Suite struct RandomWalkTests {
  /// What was seen, so that a generator that lost its variety fails.
  struct Tally {
    var kinds: [String: Int] = [:]
    mutating func add(_ answer: ReferenceWalk.Answer) {
      var name = "\(answer.kind)"
      if let record = answer.record {
        let isStage2 = record[1] >> 39 & 1
        name = "\(EventKind(rawValue: UInt8(record[0] & 0xff))!) \(isStage2) \(record[1] >> 40 & 3)"
      }
      kinds[name, default: 0] += 1
    }
  }

  static func randomAccess(
    _ random: inout SeededRandom, address: UInt64, substream: Bool = false
  ) -> Access {
    var flags: AccessFlags = []
    if random.chance(40) { flags.insert(.write) }
    if random.chance(20) { flags.insert(.instruction) }
    if random.chance(40) { flags.insert(.privileged) }
    if random.chance(10) { flags.insert(.atomic) }
    if random.chance(3) { flags.insert(.speculative) }
    return Access(stream: 3, flags: flags, address: address)
  }

  /// An address that mostly lies in one of the halves.
  static func randomAddress(_ random: inout SeededRandom, _ bits: Int, halves: Bool) -> UInt64 {
    var address = random.next() & ((1 << UInt64(bits)) - 1)
    if halves && random.chance(40) { address |= ~((1 << UInt64(bits)) - 1) }
    if random.chance(4) { address ^= 1 << UInt64(random.below(64)) }
    if random.chance(15) { address = address & ~(0xff << 56) | random.next() << 56 }
    return address
  }

  /// One configuration with a few pages, each accessed several ways.
  static func run(
    _ world: RandomWorld, _ random: inout SeededRandom, _ tally: inout Tally, ste: [UInt64],
    cd: [UInt64]?, bits: Int, pages: Int
  ) {
    world.invalidateAll()
    world.machine.overlay = [:]
    world.machine.put(ste, at: RandomWorld.streamTable + 3 * 64)
    let reference = world.reference
    // A nested stream's CD is wherever stage 2 leads.
    if let cd, let at = reference.contextAddress(ste) { world.machine.put(cd, at: at) }
    for _ in 0..<pages {
      let address = randomAddress(&random, bits, halves: cd != nil)
      for _ in 0..<4 {
        let access = randomAccess(&random, address: address ^ UInt64(random.below(0x1000)))
        let expected = reference.answer(access)
        var look = world.look(access)
        let leavesRecord = look.record != nil
        look.record = expected.record
        let found = world.answer(access)
        tally.add(expected)
        if found != expected || look != expected || leavesRecord {
          Issue.record(
            """
            \(access) ste \(ste.map { String($0, radix: 16) }) \
            cd \((cd ?? []).map { String($0, radix: 16) })
            expected \(expected)
            found    \(found)
            look     \(look)
            """)
          return
        }
      }
    }
  }

  @Test("Stage 1 walks of every granule and size answer as the reference (T-130, T-136)")
  func stage1() {
    var random = SeededRandom("stage1", default: 1)
    let world = RandomWorld()
    var tally = Tally()
    for granule in ReferenceGranule.allCases {
      for txsz in granule.stage1Sizes(.full) {
        for _ in 0..<3 {
          world.machine.style = Self.style(&random, granule == .k64, addressBits: 32)
          let other = random.pick(ReferenceGranule.allCases)
          let cd = RandomStructures.contextDescriptor(
            &random, .full, (granule, txsz), (other, random.among(other.stage1Sizes(.full))),
            tableBits: 36, bigEndian: world.machine.style.bigEndian)
          let ste = RandomStructures.streamTableEntry(
            &random, .full, config: 5, contexts: RandomWorld.contextTable, .k4, sl0: 0, t0sz: 0,
            bigEndian: false)
          Self.run(world, &random, &tally, ste: ste, cd: cd, bits: 64 - txsz, pages: 6)
        }
      }
    }
    #expect(tally.kinds["ok", default: 0] > 1000, "\(tally.kinds)")
    for kind in ["translation 0 2", "addressSize 0 2", "access 0 2", "permission 0 2"] {
      #expect(tally.kinds[kind, default: 0] > 10, "\(kind): \(tally.kinds)")
    }
  }

  @Test("Stage 2 walks of every granule, level and size answer as the reference (T-171, T-172)")
  func stage2() {
    var random = SeededRandom("stage2", default: 2)
    let world = RandomWorld()
    var tally = Tally()
    for granule in ReferenceGranule.allCases {
      for (sl0, t0sz) in granule.stage2Geometries(.full) {
        for _ in 0..<3 {
          world.machine.style = Self.style(&random, granule == .k64, addressBits: 36)
          let ste = RandomStructures.streamTableEntry(
            &random, .full, config: 6, contexts: 0, granule, sl0: sl0, t0sz: t0sz,
            bigEndian: world.machine.style.bigEndian)
          Self.run(world, &random, &tally, ste: ste, cd: nil, bits: 64 - t0sz, pages: 5)
        }
      }
    }
    #expect(tally.kinds["ok", default: 0] > 1000, "\(tally.kinds)")
    for kind in [
      "translation 1 2", "addressSize 1 2", "access 1 2", "permission 1 2", "addressSize 0 2",
    ] {
      #expect(tally.kinds[kind, default: 0] > 10, "\(kind): \(tally.kinds)")
    }
  }

  @Test("Nested walks answer as the reference, every class of fault included (T-168, T-216)")
  func nested() {
    var random = SeededRandom("nested", default: 3)
    let world = RandomWorld()
    var tally = Tally()
    for first in ReferenceGranule.allCases {
      for txsz in first.stage1Sizes(.full) {
        for second in ReferenceGranule.allCases {
          let geometries = second.stage2Geometries(.full)
          for _ in 0..<2 {
            let (sl0, t0sz) = random.pick(geometries)
            // Where stage 2 is small, little fits below it.
            let size = min(36, 64 - t0sz)
            world.machine.style = Self.style(
              &random, first == .k64 || second == .k64, addressBits: size)
            let big = world.machine.style.bigEndian
            let cd = RandomStructures.contextDescriptor(
              &random, .full, (first, txsz), (first, txsz), tableBits: size, bigEndian: big)
            let ste = RandomStructures.streamTableEntry(
              &random, .full, config: 7,
              contexts: RandomWorld.contextTable & ((1 << UInt64(size)) - 1), second, sl0: sl0,
              t0sz: t0sz, bigEndian: big)
            Self.run(world, &random, &tally, ste: ste, cd: cd, bits: 64 - txsz, pages: 4)
          }
        }
      }
    }
    #expect(tally.kinds["ok", default: 0] > 300, "\(tally.kinds)")
    for kind in ["translation", "addressSize", "access", "permission"] {
      for place in ["0 2", "1 2", "1 1", "1 0"] {
        #expect(tally.kinds["\(kind) \(place)", default: 0] > 2, "\(kind) \(place): \(tally.kinds)")
      }
    }
  }

  @Test("External aborts of every walk give F_WALK_EABT as the reference")
  func aborts() {
    var random = SeededRandom("aborts", default: 4)
    let world = RandomWorld()
    var tally = Tally()
    for _ in 0..<300 {
      let granule = random.pick(ReferenceGranule.allCases)
      let (sl0, t0sz) = random.pick(granule.stage2Geometries(.full).filter { $0.t0sz <= 30 })
      world.machine.style = Self.style(&random, true, addressBits: 34)
      world.machine.style.aborting = 8
      let big = world.machine.style.bigEndian
      let cd = RandomStructures.contextDescriptor(
        &random, .full, (.k4, 25), (.k16, 28), tableBits: 34, bigEndian: big)
      let ste = RandomStructures.streamTableEntry(
        &random, .full, config: random.pick([5, 6, 7]), contexts: RandomWorld.contextTable, granule,
        sl0: sl0, t0sz: t0sz, bigEndian: big)
      Self.run(world, &random, &tally, ste: ste, cd: cd, bits: 36, pages: 3)
    }
    for kind in ["walkAbort 0 1", "walkAbort 1 2", "walkAbort 1 1", "walkAbort 1 0"] {
      #expect(tally.kinds[kind, default: 0] > 2, "\(kind): \(tally.kinds)")
    }
  }

  static func style(
    _ random: inout SeededRandom, _ is64K: Bool, addressBits: Int
  ) -> RandomMachine.Style {
    var style = RandomMachine.Style()
    style.seed = random.next()
    style.clearsHigh64K = is64K
    style.addressBits = addressBits
    style.invalid = random.pick([0, 0, 2, 8])
    style.noAccessFlag = random.pick([0, 2, 6])
    style.unreadable = random.pick([0, 2, 10])
    style.blocks = random.pick([2, 10, 30])
    style.bigEndian = random.chance(30)
    return style
  }
}
