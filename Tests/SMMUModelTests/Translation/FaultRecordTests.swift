// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Table 10.5 field by field: whole records, so that an undefined bit that is set fails too.
@Suite struct FaultRecordTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  /// The 32 bytes of a record of these fields.
  static func record(
    _ number: UInt64, flags: UInt64 = 0, input: UInt64 = 0, last: UInt64 = 0,
    substream: UInt64? = nil
  ) -> [UInt64] {
    [number | 1 << 32 | (substream.map { 1 << 11 | $0 << 12 } ?? 0), flags, input, last]
  }

  /// Word 1 of a translation fault.
  static func flags(
    privileged: Bool = false, instruction: Bool = false, read: Bool = true, stage2: Bool = false,
    _ accessClass: UInt64 = 2, tableRead: Bool = false
  ) -> UInt64 {
    (privileged ? 1 << 33 : 0) | (instruction ? 1 << 34 : 0) | (read ? 1 << 35 : 0)
      | (stage2 ? 1 << 39 : 0) | accessClass << 40 | (tableRead ? 1 << 44 : 0)
  }

  static func words(_ record: EventRecord) -> [UInt64] { (0..<4).map { record.words[$0] } }

  func expect(
    _ scene: Scene, _ address: UInt64?, _ access: AccessFlags, _ expected: [UInt64],
    _ location: SourceLocation = #_sourceLocation
  ) {
    let (answer, records) = scene.access(address, access)
    #expect(answer.kind == .abort, sourceLocation: location)
    #expect(records.map(Self.words) == [expected], sourceLocation: location)
  }

  func expect(
    _ scene: Scene, _ address: UInt64, _ expected: [UInt64],
    _ location: SourceLocation = #_sourceLocation
  ) {
    expect(scene, address, [], expected, location)
  }

  func expect(
    _ scene: Scene, _ expected: [UInt64], _ location: SourceLocation = #_sourceLocation
  ) {
    expect(scene, nil, [], expected, location)
  }

  static let tagged: UInt64 = Scene.input | 0xabc

  @Test("Row 1: range, disabled half, invalid descriptor of stage 1 (T-230, T-224, T-229)")
  func row1() {
    let scene = Scene(.stage1)
    expect(scene, 1 << 40, Self.record(0x10, flags: Self.flags(), input: 1 << 40))
    expect(scene, 0x5000, Self.record(0x10, flags: Self.flags(), input: 0x5000))
    scene.change { $0.cd[C.epd0] = 1 }
    expect(scene, Self.tagged, Self.record(0x10, flags: Self.flags(), input: Self.tagged))
  }

  @Test("Row 2: a stage 1 output beyond IPS (T-033)")
  func row2() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.ips] = 1 }
    expect(scene, Self.tagged, Self.record(0x11, flags: Self.flags(), input: Self.tagged))
  }

  @Test("Row 3: Access flag and permission of stage 1 (T-173)")
  func row3() {
    let scene = Scene(.stage1)
    scene.lower.mark(Scene.input, clear: 1 << 10)
    expect(scene, Self.record(0x12, flags: Self.flags(), input: Scene.input))
    scene.lower.mark(Scene.input, set: 1 << 10 | 1 << 7)
    expect(
      scene, nil, [.write],
      Self.record(0x13, flags: Self.flags(read: false), input: Scene.input))
  }

  @Test("Row 4: stage 1 bypass and an address too big, always recorded (T-026, T-027, T-028)")
  func row4() {
    let large: UInt64 = 1 << 48 | 0x123
    let expected = Self.record(0x11, flags: Self.flags(), input: large)
    expect(Scene(.bypass), large, expected)
    let second = Scene(.stage2)
    second.change { $0.ste[S.s2r] = 0 }
    expect(second, large, expected)
    for mode in [Scene.Mode.stage1, .nested] {
      let scene = Scene(mode)
      scene.change {
        $0.ste[S.s1cdMax] = 2
        $0.ste[S.s1dss] = 1
        $0.ste[S.s2r] = 0
        // Neither of these exists for the access.
        $0.cd[C.r] = 0
        $0.cd[C.a] = 0
      }
      expect(scene, large, expected)
    }
  }

  @Test("Row 5: stage 2 faults of a stage 2 stream have the input as IPA (T-226, T-029)")
  func row5() {
    let scene = Scene(.stage2)
    let flags = Self.flags(stage2: true)
    // Below IAS, beyond S2T0SZ.
    expect(
      scene, 0xff_1234_5678 + (1 << 40),
      Self.record(0x10, flags: flags, input: 0x1ff_1234_5678, last: 0x1ff_1234_5000))
    expect(scene, 0x5678, Self.record(0x10, flags: flags, input: 0x5678, last: 0x5000))
    let address = Scene.middle | 0xdef
    scene.change { $0.ste[S.s2ps] = 1 }
    expect(scene, address, Self.record(0x11, flags: flags, input: address, last: Scene.middle))
    scene.change { $0.ste[S.s2ps] = 5 }
    scene.second.mark(Scene.middle, clear: 1 << 10)
    expect(scene, address, Self.record(0x12, flags: flags, input: address, last: Scene.middle))
    scene.second.mark(Scene.middle, set: 1 << 10, clear: 1 << 6)
    expect(scene, address, Self.record(0x13, flags: flags, input: address, last: Scene.middle))
  }

  @Test("Row 6: stage 2 faults on the output of stage 1 (T-216)")
  func row6() {
    let scene = Scene(.nested)
    let flags = Self.flags(stage2: true)
    scene.second.set(Scene.middle, 0)
    expect(
      scene, Self.tagged,
      Self.record(0x10, flags: flags, input: Self.tagged, last: Scene.middle))
    scene.second.map(Scene.middle, Scene.output, TableBuilder.stage2Leaf & ~(1 << 10))
    expect(
      scene, Self.tagged,
      Self.record(0x12, flags: flags, input: Self.tagged, last: Scene.middle))
    scene.second.map(Scene.middle, Scene.output, TableBuilder.stage2Leaf & ~(1 << 7))
    expect(
      scene, Self.tagged, [.write],
      Self.record(
        0x13, flags: Self.flags(read: false, stage2: true), input: Self.tagged,
        last: Scene.middle))
    // The IPA is that of the access, not of the page that stage 1 has.
    scene.lower.set(Scene.input, level: 2, 0x30_0000_0000 | TableBuilder.stage1Leaf | 1)
    scene.invalidateAll()
    let middle = 0x30_0000_0000 | Scene.input & 0x1f_f000
    expect(scene, Self.tagged, Self.record(0x10, flags: flags, input: Self.tagged, last: middle))
  }

  @Test("Row 7: stage 2 faults on a stage 1 table, TTRnW of a permission fault (T-223)")
  func row7() {
    let scene = Scene(.nested)
    for level in 1...3 {
      let at = scene.lower.walked(Scene.input, level: level)
      let block = at & ~0x1f_ffff
      // A 4K mapping of this one page below a table in place of the block.
      let old = scene.second.get(block, level: 2)
      scene.second.set(block, level: 2, 0)
      for page in 0..<512 as Range<UInt64> {
        let ipa = block + page << 12
        scene.second.map(ipa, ipa - Scene.intermediate, TableBuilder.stage2Leaf)
      }
      scene.invalidateAll()
      let flags = Self.flags(privileged: true, read: false, stage2: true, 1)
      func expected(_ number: UInt64, _ flags: UInt64) -> [UInt64] {
        Self.record(number, flags: flags, input: Self.tagged, last: at & ~0xfff)
      }
      scene.second.mark(at, clear: 1)
      expect(scene, Self.tagged, [.write, .privileged], expected(0x10, flags))
      scene.second.mark(at, set: 1, clear: 1 << 10)
      expect(scene, Self.tagged, [.write, .privileged], expected(0x12, flags))
      scene.second.mark(at, set: 1 << 10, clear: 1 << 6)
      expect(scene, Self.tagged, [.write, .privileged], expected(0x13, flags | 1 << 44))
      scene.second.set(block, level: 2, old)
      scene.invalidateAll()
    }
    #expect(scene.isFine())
  }

  @Test("Row 9: stage 2 faults on a CD have its IPA and class CD (T-192, T-219)")
  func row9() {
    let scene = Scene(.nested)
    let page: UInt64 = 0x10_0000_0000
    let copy = scene.guest.allocate(4096)
    scene.guest.write(scene.cd, at: copy + 0x40)
    scene.second.map(page, copy, TableBuilder.stage2Leaf)
    // CD.R and CD.A play no part: there is no CD yet.
    scene.change { $0.ste[S.s1ContextPtr] = (page + 0x40) >> 6 }
    #expect(scene.isFine())
    for (number, clear, extra) in [(0x10, 1, 0), (0x12, 1 << 10, 0), (0x13, 1 << 6, 0)]
      as [(UInt64, UInt64, UInt64)]
    {
      scene.second.mark(page, clear: clear)
      scene.invalidateAll()
      let flags = Self.flags(read: false, stage2: true, 0)
      expect(
        scene, Self.tagged, [.write],
        Self.record(number, flags: flags, input: Self.tagged, last: page))
      // S2R = 0 keeps it out of the queue.
      scene.change { $0.ste[S.s2r] = 0 }
      let (answer, records) = scene.access()
      #expect(answer.kind == .abort)
      #expect(records.isEmpty)
      scene.change { $0.ste[S.s2r] = 1 }
      scene.second.mark(page, set: clear | extra)
    }
  }

  @Test("Rows 10 and 11: bus error on a stage 1 descriptor, alone and nested (T-227)")
  func rows10And11() {
    let outside: UInt64 = 0x1_0000_0000
    for mode in [Scene.Mode.stage1, .nested] {
      let scene = Scene(mode)
      let offset: UInt64 = mode == .nested ? Scene.intermediate : 0
      if mode == .nested {
        scene.second.map(outside + offset, outside, TableBuilder.stage2Leaf)
      }
      scene.lower.set(Scene.input, level: 2, (outside &+ offset) | 3)
      scene.guest.machine.aborting = [outside]
      scene.change {
        // Not gated by any of them.
        $0.cd[C.r] = 0
        $0.cd[C.a] = 0
        $0.ste[S.s2r] = 0
      }
      let at = outside + (Scene.input >> 12 & 511) * 8
      expect(
        scene, Self.tagged, [.instruction, .privileged],
        Self.record(
          0x0b, flags: Self.flags(privileged: true, instruction: true, 1), input: Self.tagged,
          last: at))
    }
  }

  @Test("Rows 12 to 14: bus error on a stage 2 descriptor, by what it was read for (T-230)")
  func rows12To14() {
    let outside: UInt64 = 0x1_0000_0000
    func check(
      _ scene: Scene, _ ipa: UInt64, _ accessClass: UInt64, _ address: UInt64,
      _ location: SourceLocation = #_sourceLocation
    ) {
      scene.second.set(ipa, level: 2, outside | 3)
      scene.guest.machine.aborting = [outside]
      scene.change { $0.ste[S.s2r] = 0 }
      let at = outside + (ipa >> 12 & 511) * 8
      expect(
        scene, address, [.write],
        Self.record(
          0x0b, flags: Self.flags(read: false, stage2: true, accessClass), input: address,
          last: at), location)
    }
    let forContext = Scene(.nested)
    forContext.ste[S.s1ContextPtr] = 0x10_0000_0040 >> 6
    check(forContext, 0x10_0000_0040, 0, Self.tagged)
    let forTable = Scene(.nested)
    forTable.cd[C.ttb0] = 0x10_0000_5000 >> 4
    check(
      forTable, 0x10_0000_5000 + (Scene.input >> 30) * 8, 1, Self.tagged)
    check(Scene(.nested), Scene.middle, 2, Self.tagged)
    check(Scene(.stage2), Scene.middle, 2, Scene.middle | 0x88)
  }

  @Test("Rows 15 and 16: bus error on a CD and an STE, without input address (T-231)")
  func rows15And16() {
    let outside: UInt64 = 0x1_0000_0000
    let scene = Scene(.stage1)
    scene.guest.machine.aborting = [outside]
    scene.change { $0.ste[S.s1ContextPtr] = (outside + 0x40) >> 6 }
    expect(scene, Self.tagged, [.write], Self.record(0x09, last: outside + 0x40))
    scene.guest["CR0"] = 0xc
    scene.guest["STRTAB_BASE"] = outside
    scene.guest["CR0"] = 0xd
    scene.invalidateAll()
    expect(scene, Self.tagged, [.write], Self.record(0x03, last: outside + 0x40))
  }

  @Test("F_CD_FETCH of a nested stream has the physical address (T-095)")
  func nestedContextAbort() {
    let outside: UInt64 = 0x1_0000_0000
    let scene = Scene(.nested)
    scene.second.map(0x10_0000_0000, outside, TableBuilder.stage2Leaf)
    scene.guest.machine.aborting = [outside]
    scene.change { $0.ste[S.s1ContextPtr] = 0x10_0000_0080 >> 6 }
    expect(scene, Self.record(0x09, last: outside + 0x80))
  }

  @Test("Configuration errors have number, StreamID and SubstreamID alone (T-229)")
  func configurationErrors() {
    let scene = Scene(.stage1)
    scene.change { $0.cd[C.v] = 0 }
    expect(scene, Self.tagged, [.write, .privileged], Self.record(0x0a))
    scene.change { $0.ste[S.v] = 0 }
    expect(scene, Self.tagged, [.write, .privileged], Self.record(0x04))
    scene.stream = 256
    let records = scene.access(Self.tagged, [.write]).1
    #expect(records.map(Self.words) == [[0x02 | 256 << 32, 0, 0, 0]])
  }

  @Test("SSV and SubstreamID are those of the access, also of C_BAD_SUBSTREAMID (T-225)")
  func substreams() {
    let scene = Scene(.stage1)
    let table = scene.guest.allocate(64 * 64, alignment: 4096)
    for i in 0..<64 as Range<UInt64> { scene.guest.write(scene.cd, at: table + i * 64) }
    scene.change {
      $0.ste[S.s1ContextPtr] = table >> 6
      $0.ste[S.s1cdMax] = 6
      $0.ste[S.s1dss] = 2
    }
    let (_, records) = scene.access(0x5000, substream: 33)
    #expect(
      records.map(Self.words) == [
        Self.record(0x10, flags: Self.flags(), input: 0x5000, substream: 33)
      ])
    // No SSV there.
    #expect(scene.access(substream: 65).1.map(Self.words) == [[0x08 | 65 << 12 | 1 << 32, 0, 0, 0]])
    #expect(
      scene.access(0x5000).1.map(Self.words) == [
        Self.record(0x10, flags: Self.flags(), input: 0x5000)
      ])
  }

  @Test("The input address is reported whole, tag and low bits included (T-045)")
  func wholeAddress() {
    let scene = Scene(.stage1)
    scene.change {
      $0.cd[C.tbi0] = 1
      $0.cd[C.tbi1] = 1
    }
    for address in [0xab00_0000_0000_5fff, 0x5a80_0000_0000_0001 | 0x7f_ffff_f000] as [UInt64] {
      expect(scene, address, Self.record(0x10, flags: Self.flags(), input: address))
    }
  }

  @Test("RnW, InD and PnU describe the access after the STE's overrides (T-219, T-220)")
  func overrides() {
    let scene = Scene(.stage1)
    for privilege in 0...3 as ClosedRange<UInt64> {
      for kind in 0...3 as ClosedRange<UInt64> {
        scene.change {
          $0.ste[S.privcfg] = privilege
          $0.ste[S.instcfg] = kind
        }
        for bits in 0..<8 as Range<UInt32> {
          let flags = AccessFlags(rawValue: bits)
          let isPrivileged = privilege >= 2 ? privilege == 3 : flags.contains(.privileged)
          let isInstruction = kind >= 2 ? kind == 3 : flags.contains(.instruction)
          let isRead = !flags.contains(.write)
          expect(
            scene, 0x5000, flags,
            Self.record(
              0x10,
              flags: Self.flags(
                privileged: isPrivileged, instruction: isRead && isInstruction, read: isRead),
              input: 0x5000))
        }
      }
    }
  }

  @Test("Atomics report a write, unless read permission alone is missing (T-158, T-222)")
  func atomics() {
    let scene = Scene(.stage2)
    // Write-only: the write is fine, the read is not.
    scene.second.mark(Scene.middle, clear: 1 << 6)
    let read = Self.flags(read: true, stage2: true), write = Self.flags(read: false, stage2: true)
    for flags in [[.atomic], [.atomic, .write], [.atomic, .instruction]] as [AccessFlags] {
      expect(
        scene, nil, flags,
        Self.record(0x13, flags: read, input: Scene.middle, last: Scene.middle))
    }
    scene.second.mark(Scene.middle, set: 1 << 6, clear: 1 << 7)
    expect(
      scene, nil, [.atomic],
      Self.record(0x13, flags: write, input: Scene.middle, last: Scene.middle))
    scene.second.mark(Scene.middle, clear: 3 << 6)
    expect(
      scene, nil, [.atomic],
      Self.record(0x13, flags: write, input: Scene.middle, last: Scene.middle))
    scene.second.set(Scene.middle, 0)
    expect(
      scene, nil, [.atomic],
      Self.record(0x10, flags: write, input: Scene.middle, last: Scene.middle))
  }

  @Test("NSIPA, Stall, STAG and DirtyBit are 0 in every record (T-228)")
  func zeroFields() {
    var random = SeededRandom("zero fields", default: 5)
    let world = RandomWorld()
    world.machine.style.invalid = 30
    var count = 0
    for _ in 0..<200 {
      let ste = RandomStructures.streamTableEntry(
        &random, .full, config: random.pick([5, 6, 7]), contexts: RandomWorld.contextTable, .k4,
        sl0: 1, t0sz: 25, bigEndian: false)
      world.invalidateAll()
      world.machine.put(ste, at: RandomWorld.streamTable + 3 * 64)
      _ = world.smmu.translate(Access(stream: 3, address: random.next() & 0xf_ffff_ffff))
      guard let record = world.takeRecord() else { continue }
      count += 1
      #expect(record[1] & ~(0b1110 << 32 | 1 << 39 | 3 << 40 | 1 << 44) == 0)
      #expect(record[3] & ~0xffff_ffff_ffff == 0)
    }
    #expect(count > 20)
  }
}
