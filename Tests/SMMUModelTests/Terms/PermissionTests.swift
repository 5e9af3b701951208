// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Who may do what with a page, cold and warm.
@Suite struct PermissionTests {
  typealias S = StreamTableEntry
  typealias C = ContextDescriptor

  /// Read, write, execute of a page as a string: unprivileged then privileged, "-" where refused.
  static func allowed(_ scene: Scene, _ address: UInt64? = nil) -> String {
    var text = ""
    for privilege in [[], .privileged] as [AccessFlags] {
      for (flags, letter) in [([], "r"), (.write, "w"), (.instruction, "x")]
        as [(AccessFlags, String)]
      {
        let answer = scene.access(address, flags.union(privilege)).0
        #expect(answer.kind == .ok || answer.event == .permission)
        text += answer.kind == .ok ? letter : "-"
      }
    }
    return text
  }

  /// The same cold for each access, and warm after all of them.
  static func all(_ scene: Scene, _ location: SourceLocation = #_sourceLocation) -> String {
    scene.apply()
    let first = allowed(scene)
    #expect(allowed(scene) == first, "warm", sourceLocation: location)
    return first
  }

  private func page(_ scene: Scene, ap: UInt64, pxn: UInt64 = 0, uxn: UInt64 = 0) {
    scene.lower.mark(
      Scene.input, set: ap << 6 | pxn << 53 | uxn << 54, clear: 3 << 6 | 3 << 53)
  }

  @Test("AP[2:1], and no privileged execution where the unprivileged write (T-149, T-150)")
  func accessPermissions() {
    let scene = Scene(.stage1)
    for (ap, expected) in [(0, "--xrwx"), (1, "rwxrw-"), (2, "--xr-x"), (3, "r-xr-x")]
      as [(UInt64, String)]
    {
      page(scene, ap: ap)
      #expect(Self.all(scene) == expected, "AP \(ap)")
      // T-150: UWXN is not looked at.
      scene.cd[C.uwxn] = 1
      #expect(Self.all(scene) == expected)
      scene.cd[C.uwxn] = 0
    }
  }

  @Test("PXN and UXN (T-149)")
  func executeNever() {
    let scene = Scene(.stage1)
    for (pxn, uxn, expected) in [(1, 0, "r-xr--"), (0, 1, "r--r-x"), (1, 1, "r--r--")]
      as [(UInt64, UInt64, String)]
    {
      page(scene, ap: 3, pxn: pxn, uxn: uxn)
      #expect(Self.all(scene) == expected)
    }
  }

  @Test("An execute-only page refuses data reads, and execution needs no read (T-157)")
  func executeOnly() {
    let scene = Scene(.stage1)
    page(scene, ap: 2, pxn: 1)
    #expect(Self.all(scene).hasPrefix("--x"))
  }

  @Test("APTable, PXNTable and UXNTable add up over the levels (T-146)")
  func tables() {
    let scene = Scene(.stage1)
    for (first, second, expected) in [
      (0, 0, "rwxrw-"), (1, 0, "--xrwx"), (0, 1, "--xrwx"), (2, 0, "r-xr-x"), (0, 2, "r-xr-x"),
      (1, 2, "--xr-x"), (3, 0, "--xr-x"), (2, 1, "--xr-x"),
    ] as [(UInt64, UInt64, String)] {
      page(scene, ap: 1)
      scene.lower.mark(Scene.input, level: 1, set: first << 61, clear: 0xf << 59)
      scene.lower.mark(Scene.input, level: 2, set: second << 61, clear: 0xf << 59)
      #expect(Self.all(scene) == expected, "\(first) \(second)")
    }
    for level in 1...2 {
      scene.lower.mark(Scene.input, level: 1, clear: 0xf << 59)
      scene.lower.mark(Scene.input, level: 2, clear: 0xf << 59)
      page(scene, ap: 3)
      scene.lower.mark(Scene.input, level: level, set: 1 << 59)
      #expect(Self.all(scene) == "r-xr--")
      scene.lower.mark(Scene.input, level: level, set: 1 << 60)
      #expect(Self.all(scene) == "r--r--")
    }
  }

  /// The byte that each kind of leaf has is written down; these are the rules that it comes of.
  @Test("What is written down of a leaf is what its bits say, in leaf and tables alike")
  func direct() {
    for kind in 0..<16 as Range<UInt64> {
      let expected = Permissions.narrowed(kind, wxn: false, pan: false)
      // PXN, UXN, AP[1] and AP[2]; then PXNTable, UXNTable, APTable[0] and APTable[1].
      let leaf = (kind & 3) << 53 | (kind >> 2 & 1 ^ 1) << 6 | (kind >> 3) << 7
      let tables = (kind & 3) << 59 | (kind >> 2) << 61
      for (leaf, tables) in [(leaf, 0), (1 << 6, tables), (leaf, tables)] {
        let found = Permissions(TranslationDescriptor(leaf), tables: tables, wxn: false, pan: false)
        #expect(found == expected, "kind \(kind)")
      }
    }
  }

  @Test("A read first does not make a later write succeed below APTable (T-146, T-322)")
  func warmTables() {
    let scene = Scene(.stage1)
    scene.lower.mark(Scene.input, level: 1, set: 2 << 61)
    scene.invalidateAll()
    #expect(scene.isFine())
    #expect(scene.event(nil, [.write]) == .permission)
    #expect(scene.isFine())
  }

  @Test("HADx switches the tables' part off for its own half (T-147)")
  func hierarchyDisabled() {
    let scene = Scene(.stage1)
    for table in [scene.lower, scene.higher] {
      let address = table === scene.lower ? Scene.input : Scene.upper
      table.mark(address, level: 1, set: 0xf << 59)
      table.mark(address, set: 3 << 6)
    }
    for (had0, had1) in [(0, 0), (1, 0), (0, 1), (1, 1)] as [(UInt64, UInt64)] {
      scene.cd[C.had0] = had0
      scene.cd[C.had1] = had1
      scene.apply()
      #expect(Self.allowed(scene, Scene.input) == (had0 == 1 ? "r-xr-x" : "---r--"))
      #expect(Self.allowed(scene, Scene.upper) == (had1 == 1 ? "r-xr-x" : "---r--"))
    }
    let without = Scene(.stage1, StreamTableEntryTests.features { $0[.idr3, IDR3.had] = 0 })
    without.lower.mark(Scene.input, level: 1, set: 0xf << 59)
    without.cd[C.had0] = 1
    #expect(Self.all(without) == "---r--")
  }

  @Test("WXN takes execution from whatever that privilege may write (T-151)")
  func writeNever() {
    let scene = Scene(.stage1)
    scene.cd[C.wxn] = 1
    for (ap, expected) in [(0, "--xrw-"), (1, "rw-rw-"), (2, "--xr-x"), (3, "r-xr-x")]
      as [(UInt64, String)]
    {
      page(scene, ap: ap)
      #expect(Self.all(scene) == expected, "AP \(ap)")
    }
    // After APTable.
    page(scene, ap: 1)
    scene.lower.mark(Scene.input, level: 2, set: 2 << 61)
    #expect(Self.all(scene) == "r-xr-x")
  }

  @Test("PAN refuses privileged data, not instructions, where others have access (T-152)")
  func privilegedAccessNever() {
    let scene = Scene(.stage1)
    scene.cd[C.pan] = 1
    for (ap, expected) in [(0, "--xrwx"), (1, "rwx---"), (2, "--xr-x"), (3, "r-x--x")]
      as [(UInt64, String)]
    {
      page(scene, ap: ap)
      #expect(Self.all(scene) == expected, "AP \(ap)")
    }
    // APTable is applied first.
    page(scene, ap: 3)
    scene.lower.mark(Scene.input, level: 1, set: 1 << 61)
    #expect(Self.all(scene) == "--xr-x")
  }

  @Test("EPAN without its feature does nothing (T-153)")
  func enhancedPAN() {
    let scene = Scene(.stage1)
    scene.cd[C.pan] = 1
    scene.cd[C.epan] = 1
    // Unprivileged-executable alone: EPAN would refuse privileged data.
    page(scene, ap: 2)
    #expect(Self.all(scene) == "--xr-x")
  }

  @Test("E0PD without its feature does nothing (T-143)")
  func unprivilegedHalf() {
    let scene = Scene(.stage1)
    scene.cd[C.e0pd0] = 1
    scene.cd[C.e0pd1] = 1
    scene.apply()
    #expect(scene.isFine(Scene.input))
    #expect(scene.isFine(Scene.upper))
  }

  @Test("S2AP: none, read, write alone, both, without regard to privilege (T-162, T-164)")
  func stage2Data() {
    let scene = Scene(.stage2)
    for (ap, expected) in [(0, "--x--x"), (1, "r-xr-x"), (2, "-wx-wx"), (3, "rwxrwx")]
      as [(UInt64, String)]
    {
      scene.second.mark(Scene.middle, set: ap << 6, clear: 3 << 6)
      #expect(Self.all(scene) == expected, "S2AP \(ap)")
    }
    // A write-only entry in the TLB still refuses reads.
    scene.second.mark(Scene.middle, set: 2 << 6, clear: 3 << 6)
    scene.apply()
    #expect(scene.isFine(nil, [.write]))
    #expect(scene.event() == .permission)
  }

  @Test("XN[1:0] with XNX, and bit 54 alone without (T-163, T-165)")
  func stage2Execute() {
    for (isExtended, row) in [
      (true, ["rwxrwx", "rwxrw-", "rw-rw-", "rw-rwx"]),
      (false, ["rwxrwx", "rwxrwx", "rw-rw-", "rw-rw-"]),
    ] {
      let f = StreamTableEntryTests.features { $0[.idr3, IDR3.xnx] = isExtended ? 1 : 0 }
      let scene = Scene(.stage2, f)
      for (xn, expected) in row.enumerated() {
        scene.second.mark(Scene.middle, set: UInt64(xn) << 53, clear: 3 << 53)
        #expect(Self.all(scene) == expected, "XN \(xn)")
      }
    }
  }

  @Test("Nested pages allow what both stages allow, cold and warm (T-322)")
  func nested() {
    let scene = Scene(.nested)
    for ap in 0..<4 as Range<UInt64> {
      for s2ap in 0..<4 as Range<UInt64> {
        for xn in 0..<4 as Range<UInt64> {
          page(scene, ap: ap, uxn: ap & 1)
          scene.second.mark(
            Scene.middle, set: s2ap << 6 | xn << 53, clear: 3 << 6 | 3 << 53)
          let data = [("-", "-"), ("r", "-"), ("-", "w"), ("r", "w")][Int(s2ap)]
          let user = xn == 0 || xn == 1 ? "x" : "-", system = xn == 0 || xn == 3 ? "x" : "-"
          let second = [data.0, data.1, user, data.0, data.1, system]
          let first = [
            ["-", "-", "x", "r", "w", "x"], ["r", "w", "-", "r", "w", "-"],
            ["-", "-", "x", "r", "-", "x"], ["r", "-", "-", "r", "-", "x"],
          ][Int(ap)]
          let both = zip(first, second).map { $0 == $1 ? $0 : "-" }.joined()
          #expect(Self.all(scene) == both, "AP \(ap) S2AP \(s2ap) XN \(xn)")
        }
      }
    }
  }

  @Test("The permissions of an answer are those of the access's privilege (T-154)")
  func visible() {
    let scene = Scene(.stage1)
    page(scene, ap: 0)
    scene.apply()
    #expect(scene.access(nil, [.instruction]).0.permissions == 4)
    #expect(scene.access(nil, [.privileged]).0.permissions == 7)
    #expect(scene.access(nil, [.privileged]).0.permissions == 7)
  }

  @Test("They promise what such accesses get, from a walk and from each cache (T-283, T-284)")
  func promises() {
    let kinds: [(UInt8, AccessFlags)] = [(1, []), (2, .write), (4, .instruction)]
    for mode in [Scene.Mode.stage1, .nested] {
      for leaf in [0, 1 << 6, 1 << 7, 1 << 53, 1 << 54, 3 << 53, 3 << 6] as [UInt64] {
        for overrides in 0..<16 as Range<UInt64> {
          let scene = Scene(mode)
          scene.lower.map(
            Scene.input, mode == .nested ? Scene.middle : Scene.output,
            TableBuilder.stage1Leaf & ~(3 << 6) | leaf)
          scene.change {
            $0.ste[S.privcfg] = overrides & 3
            $0.ste[S.instcfg] = overrides >> 2
          }
          for privilege in [[], .privileged] as [AccessFlags] {
            var granted: UInt8 = 0
            for (bit, flags) in kinds where scene.isFine(nil, flags.union(privilege)) {
              granted |= bit
            }
            for (bit, flags) in kinds where granted & bit != 0 {
              scene.invalidateAll()
              // A walk, the TLB, the micro TLB.
              let answers = (0..<3).map { _ in scene.access(nil, flags.union(privilege)).0 }
              #expect(answers.allSatisfy { $0.permissions == granted }, "\(leaf) \(overrides)")
            }
          }
        }
      }
    }
  }

  @Test("An atomic reads data whatever INSTCFG says, which does not show (T-283)")
  func atomicUnderOverride() {
    let scene = Scene(.stage1)
    // Read, write, no execution.
    page(scene, ap: 1, pxn: 1, uxn: 1)
    scene.change { $0.ste[S.instcfg] = 3 }
    #expect(scene.access().0.kind == .abort)
    let answer = scene.access(nil, [.atomic]).0
    #expect(answer.kind == .ok)
    #expect(answer.permissions == 2)
  }

  @Test("PRIVCFG and INSTCFG override with ATTR_PERMS_OVR, 1 is as 0 (T-154, T-284, T-283)")
  func overrides() {
    for isOffered in [true, false] {
      let f = StreamTableEntryTests.features {
        $0[.idr1, IDR1.attrPermsOvr] = isOffered ? 1 : 0
      }
      let scene = Scene(.stage1, f)
      // Privileged read and write, unprivileged execution.
      page(scene, ap: 0, pxn: 1)
      for privilege in 0...3 as ClosedRange<UInt64> {
        for kind in 0...3 as ClosedRange<UInt64> {
          scene.ste[S.privcfg] = privilege
          scene.ste[S.instcfg] = kind
          let user = !isOffered || privilege < 2 ? "--x" : privilege == 2 ? "--x" : "rw-"
          let system = !isOffered || privilege < 2 ? "rw-" : privilege == 2 ? "--x" : "rw-"
          // Data reads answer as "x" does where INSTCFG says so, and the reverse.
          func turned(_ row: String) -> String {
            let r = Array(row).map { $0 != "-" }
            guard isOffered && kind >= 2 else { return row }
            let read = kind == 2 ? r[0] : r[2]
            return (read ? "r" : "-") + (r[1] ? "w" : "-") + (read ? "x" : "-")
          }
          #expect(
            Self.all(scene) == turned(user) + turned(system), "PRIVCFG \(privilege) INSTCFG \(kind)"
          )
        }
      }
    }
  }

  @Test("A write is data, even if marked instruction or made so by INSTCFG (T-155, T-290)")
  func instructionWrites() {
    let scene = Scene(.stage1)
    page(scene, ap: 1, pxn: 1, uxn: 1)
    scene.apply()
    #expect(scene.isFine(nil, [.write, .instruction]))
    #expect(scene.isFine(nil, [.atomic, .instruction]))
    #expect(scene.event(nil, [.instruction]) == .permission)
    scene.ste[S.instcfg] = 3
    scene.apply()
    #expect(scene.isFine(nil, [.write]))
    #expect(scene.isFine(nil, [.atomic]))
    #expect(scene.event() == .permission)
  }

  @Test("An access without flags is an unprivileged data read (T-156)")
  func defaults() {
    let scene = Scene(.stage1)
    page(scene, ap: 0)
    scene.apply()
    #expect(scene.event() == .permission)
    page(scene, ap: 1, uxn: 1)
    scene.apply()
    #expect(scene.isFine())
  }

  @Test("Atomics need read and write at every stage, cold and warm (T-158)")
  func atomics() {
    let scene = Scene(.nested)
    for (ap, s2ap, isFine) in [
      (1, 3, true), (3, 3, false), (1, 1, false), (1, 2, false), (0, 3, false), (1, 0, false),
    ] as [(UInt64, UInt64, Bool)] {
      page(scene, ap: ap)
      scene.second.mark(Scene.middle, set: s2ap << 6, clear: 3 << 6)
      scene.apply()
      #expect(scene.isFine(nil, [.atomic]) == isFine)
      // Warm, where a plain access fills the TLB.
      _ = scene.access(nil, [.write])
      #expect(scene.isFine(nil, [.atomic]) == isFine)
      _ = scene.access(nil, [])
      #expect(scene.isFine(nil, [.atomic, .write]) == isFine)
    }
  }

  @Test("Device memory refuses no instruction read (T-159)")
  func deviceMemory() {
    let scene = Scene(.nested)
    scene.cd[C.mair0] = 0
    scene.second.mark(Scene.middle, clear: 0xf << 2)
    scene.apply()
    #expect(scene.isFine(nil, [.instruction]))
  }

  @Test("Permission is decided after the Access flag, at both stages (T-160)")
  func afterAccessFlag() {
    let scene = Scene(.stage1)
    page(scene, ap: 3)
    scene.lower.mark(Scene.input, clear: 1 << 10)
    scene.apply()
    #expect(scene.event(nil, [.write]) == .access)
    let second = Scene(.stage2)
    second.second.mark(Scene.middle, clear: 1 << 10 | 1 << 7)
    second.apply()
    #expect(second.event(nil, [.write]) == .access)
  }

  @Test("S2PTW refuses CDs and stage 1 tables in stage 2 Device memory (T-166, T-299)")
  func deviceTables() {
    let scene = Scene(.nested)
    let page: UInt64 = 0x10_0000_0000
    let copy = scene.guest.allocate(4096)
    scene.guest.write(scene.cd, at: copy)
    let table = TableBuilder(scene.guest, offset: Scene.intermediate)
    table.map(Scene.input, Scene.middle, TableBuilder.stage1Leaf)
    scene.second.map(page, copy, TableBuilder.stage2Leaf)
    let isDevice: (UInt64, Bool) -> Bool = { attribute, forced in
      forced ? [0, 1, 2, 3, 4].contains(attribute & 7) : attribute >> 2 == 0 || attribute & 3 == 0
    }
    for forced in [0, 1] as [UInt64] {
      for walk in [0, 1] as [UInt64] {
        for attribute in 0..<16 as Range<UInt64> where forced == 0 || attribute < 8 {
          scene.ste[S.s2fwb] = forced
          scene.ste[S.s2ptw] = walk
          scene.ste[S.s1ContextPtr] = page >> 6
          scene.second.mark(page, set: attribute << 2, clear: 0xf << 2)
          scene.apply()
          let refused = walk == 1 && isDevice(attribute, forced == 1)
          let (answer, records) = scene.access()
          #expect(answer.event == (refused ? .permission : nil), "\(forced) \(walk) \(attribute)")
          #expect(records.first.map { $0[EventRecord.accessClass] } == (refused ? 0 : nil))
        }
      }
    }
    // The stage 1 tables: the block that holds them.
    scene.ste[S.s2fwb] = 0
    scene.ste[S.s1ContextPtr] = page >> 6
    scene.second.mark(page, set: 0xf << 2)
    let block = scene.lower.base & ~0x1f_ffff
    scene.second.mark(block, level: 2, clear: 0xf << 2)
    for walk in [0, 1] as [UInt64] {
      scene.ste[S.s2ptw] = walk
      scene.apply()
      let (answer, records) = scene.access()
      #expect(answer.event == (walk == 1 ? .permission : nil))
      if walk == 1 {
        #expect(records[0][EventRecord.accessClass] == 1)
        #expect(records[0][EventRecord.ttrnw] == 1)
      }
    }
    // Not for the access itself, nor for a stage 2 stream.
    let second = Scene(.stage2)
    second.ste[S.s2ptw] = 1
    second.second.mark(Scene.middle, clear: 0xf << 2)
    second.apply()
    #expect(second.isFine())
  }
}
