// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// The caches' 32-bit time at its end.
@Suite struct RenewalTests {
  @Test("What was invalidated stays so when the TLB's time wraps (T-353)")
  func translations() {
    let scene = Scene(.stage1)
    scene.guest.smmu.translator.tlb.setTime(.max - 2)
    #expect(scene.isFine())
    // Dead by its ASID's stamp alone.
    scene.lower.set(Scene.input, 0)
    scene.guest.command((0x11 | 5 << 48, 0), Guest.sync)
    #expect(scene.event() == .translation)
    for _ in 0..<4 {
      scene.guest.command((0x11 | 99 << 48, 0), Guest.sync)
      #expect(scene.event() == .translation)
    }
    #expect(scene.guest.smmu.translator.tlb.now < 10, "wrapped")
    scene.lower.map(Scene.input, Scene.output, TableBuilder.stage1Leaf)
    #expect(scene.isFine())
    scene.lower.set(Scene.input, 0)
    #expect(scene.isFine(), "kept again")
  }

  @Test("What was forgotten stays so when the configuration cache's time wraps (R-298)")
  func configurations() {
    let scene = Scene(.bypass)
    scene.guest.smmu.translator.configurations.setTime(.max - 2)
    #expect(scene.isFine())
    scene.guest.write(StreamTableEntry(), at: Guest.streamTable + 64)
    scene.guest.command((0x03 | 1 << 32, 1), Guest.sync)
    #expect(scene.event() == .badSTE)
    for _ in 0..<4 {
      scene.guest.command((0x03 | 9 << 32, 1), Guest.sync)
      #expect(scene.event() == .badSTE)
    }
    #expect(scene.guest.smmu.translator.configurations.now < 10, "wrapped")
  }

  @Test("Nothing is kept while a cache is being renewed")
  func closed() {
    let cache = TranslationCache(entries: 16)
    let tag = TranslationTag(vmid: 1, asid: 1, nonShared: false, nested: false)
    let page = CachedTranslation(
      output: 0x5000, size: 12, permissions: [.unprivilegedRead], stage1Attributes: 0,
      stage1Shareability: 0, stage2Attributes: 0, stage2Shareability: 0)
    cache.insert(0x1000, tag, page, time: cache.now)
    #expect(cache.lookUp(0x1000, tag) == page)
    cache.close()
    #expect(cache.lookUp(0x1000, tag) == nil)
    cache.insert(0x1000, tag, page, time: cache.now)
    #expect(cache.lookUp(0x1000, tag) == nil)
    cache.reopen()
    #expect(cache.lookUp(0x1000, tag) == nil)
    cache.insert(0x1000, tag, page, time: cache.now)
    #expect(cache.lookUp(0x1000, tag) == page)
  }
}
