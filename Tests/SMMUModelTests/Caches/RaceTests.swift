// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Invalidations that arrive in the middle of a look-up in memory: from inside a read of what lies
/// outside RAM.
@Suite struct RaceTests {
  static let outside: UInt64 = 0x1_0000_0000

  /// A stage 1 stream whose CD is outside RAM.
  private func scene() -> Scene {
    let scene = Scene(.stage1)
    scene.ste[StreamTableEntry.s1ContextPtr] = Self.outside >> 6
    scene.guest.write(scene.cd, at: Self.outside)
    scene.apply()
    return scene
  }

  /// The CD gets other tables while it is fetched, and `invalidate` tells of it: the access goes on
  /// with the old ones, and nothing of them stays.
  private func changeDuringContextFetch(_ invalidate: @escaping (SMMU) -> Void) {
    let scene = scene(), smmu = scene.guest.smmu, machine = scene.guest.machine
    let other = TableBuilder(scene.guest)
    other.map(Scene.input, 0x77_0000_0000, TableBuilder.stage1Leaf)
    var isDone = false
    machine.onRead = { address in
      // Words 0 to 6 are read already.
      guard address == Self.outside + 56, !isDone else { return }
      isDone = true
      scene.cd[ContextDescriptor.ttb0] = other.base >> 4
      scene.guest.write(scene.cd, at: Self.outside)
      invalidate(smmu)
    }
    #expect(scene.access().0.address == Scene.output)
    #expect(isDone)
    #expect(scene.access().0.address == 0x77_0000_0000)
  }

  @Test("A CD change and TLBI during the CD fetch leave no entry of the old tables (T-353, R-379)")
  func duringContextFetch() {
    changeDuringContextFetch { smmu in
      smmu.translator.forgetConfigurations(0, .max)
      smmu.translator.forgetTranslations(.everything)
    }
  }

  @Test("A TLBI during the walk keeps its result out of the TLB (R-314)")
  func duringWalk() {
    let scene = Scene(.stage1), smmu = scene.guest.smmu, machine = scene.guest.machine
    // The level 3 table outside RAM.
    scene.lower.set(Scene.input, level: 2, (Self.outside + 0x1000) | 3)
    let slot = Self.outside + 0x1000 + (Scene.input >> 12 & 511) * 8
    machine[slot] = Scene.output | TableBuilder.stage1Leaf | 3
    scene.invalidateAll()
    var reads = 0
    machine.onRead = { address in
      reads += 1
      if reads == 1 { smmu.translator.forgetTranslations(.everything) }
    }
    #expect(scene.access().0.address == Scene.output)
    machine[slot] = 0x77_0000_0000 | TableBuilder.stage1Leaf | 3
    #expect(scene.access().0.address == 0x77_0000_0000)
    #expect(reads == 2)
  }

  @Test("A CFGI_CD or TLBI by address during a look-up keeps its result out too (R-379, R-314)")
  func duringLookUpByName() {
    changeDuringContextFetch { smmu in
      smmu.translator.forgetConfiguration(1, 0)
      let page = AddressRange(first: Scene.input, last: Scene.input | 0xfff)
      smmu.translator.forgetTranslations(.address(0, asid: 5, range: page))
    }
  }

  @Test("A CFGI during the STE fetch keeps the old STE out of the cache (R-298, T-336)")
  func duringStreamTableFetch() {
    let scene = Scene(.stage1), machine = scene.guest.machine
    scene.guest["CR0"] = 0xc
    scene.guest["STRTAB_BASE"] = Self.outside
    scene.guest["CR0"] = 0xd
    let at = Self.outside + 64
    scene.guest.write(scene.ste, at: at)
    var isDone = false
    machine.onRead = { address in
      guard address == at + 56, !isDone else { return }
      isDone = true
      machine[at] = 1
      scene.guest.smmu.translator.forgetConfigurations(0, .max)
    }
    #expect(scene.access().0.kind == .ok)
    #expect(isDone)
    let (answer, records) = scene.access()
    #expect(answer.kind == .abort)
    #expect(records.isEmpty)
  }
}
