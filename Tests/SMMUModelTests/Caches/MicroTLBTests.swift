// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// The micro TLB gives the answers of the caches behind it, and no others.
@Suite struct MicroTLBTests {
  private static let modes: [Scene.Mode] = [.bypass, .stage1, .stage2, .nested]

  private func access(
    _ address: UInt64, _ flags: AccessFlags, stream: StreamID = 1, substream: SubstreamID = 0
  ) -> Access {
    Access(stream: stream, substream: substream, flags: flags, address: address)
  }

  /// The first access fills the TLB, the second one the micro TLB.
  private func warm(_ scene: Scene) {
    for _ in 0..<2 { #expect(scene.isFine()) }
  }

  @Test("What it answers a cold translation answers, whatever the access", arguments: modes)
  func answers(mode: Scene.Mode) {
    let warm = Scene(mode)
    let cold = Scene(mode)
    let micro = warm.guest.smmu.micro
    for flags in (0..<128).map({ AccessFlags(rawValue: $0) }) where !flags.contains(.substream) {
      for address in [warm.address, warm.address | 0xabc, warm.address + 0x1000] {
        cold.invalidateAll()
        let access = access(address, flags)
        let expected = cold.guest.smmu.translate(access).ageless
        for _ in 0..<3 { #expect(warm.guest.smmu.translate(access).ageless == expected) }
        guard let recent = micro.lookUp(access) else { continue }
        #expect(recent.ageless == expected)
        #expect(flags.isSubset(of: .common))
      }
    }
    #expect(micro.lookUp(access(warm.address, [])) != nil)
    #expect(micro.lookUp(access(warm.address, [.atomic])) == nil)
    #expect(micro.lookUp(access(warm.address, [.attributes])) == nil)
  }

  @Test("Permissions and overrides are those of the page and the STE (T-154, T-155)")
  func permissions() {
    for leaf in [0, 1 << 6, 1 << 7, 1 << 53, 1 << 54, 3 << 53, 3 << 6] as [UInt64] {
      for overrides in 0..<16 as Range<UInt64> {
        let scene = Scene(.stage1)
        scene.lower.map(
          Scene.input, Scene.output, TableBuilder.stage1Leaf & ~(3 << 6) | leaf)
        scene.change {
          $0.ste[StreamTableEntry.privcfg] = overrides & 3
          $0.ste[StreamTableEntry.instcfg] = overrides >> 2
        }
        for first in 0..<8 as Range<UInt32> {
          scene.invalidateAll()
          let filling = access(Scene.input, AccessFlags(rawValue: first))
          let kinds = (0..<2).map { _ in scene.guest.smmu.translate(filling).kind }
          for flags in 0..<8 as Range<UInt32> {
            let access = access(Scene.input, AccessFlags(rawValue: flags))
            guard let recent = scene.guest.smmu.micro.lookUp(access) else { continue }
            #expect(kinds == [.ok, .ok])
            #expect(scene.guest.smmu.translateFully(access) == recent)
          }
        }
      }
    }
  }

  @Test("Streams and substreams are told apart, with and without SSV")
  func identities() {
    let scene = Scene(.stage1)
    let smmu = scene.guest.smmu
    warm(scene)
    #expect(smmu.micro.lookUp(access(Scene.input, [])) != nil)
    #expect(smmu.micro.lookUp(access(Scene.input, [.substream])) == nil)
    for stream in [0, 2, 9, 33, 257, 1 << 31 | 1] as [StreamID] {
      #expect(smmu.micro.lookUp(access(Scene.input, [], stream: stream)) == nil)
    }
    for substream in [0, 1, 1 << 20, .max] as [SubstreamID] {
      #expect(
        smmu.micro.lookUp(access(Scene.input, [.substream], substream: substream)) == nil)
      // Without SSV the SubstreamID is not looked at.
      #expect(smmu.micro.lookUp(access(Scene.input, [], substream: substream)) != nil)
    }
  }

  /// What a guest does so that an answer must not be given any more.
  private static let invalidations: [(UInt64, UInt64)] = [
    (0x03 | 1 << 32, 1), (0x04, 31), (0x05 | 1 << 32, 1), (0x06 | 1 << 32, 0),
    (0x10, 0), (0x11 | 5 << 48, 0), (0x12 | 5 << 48, Scene.input | 1), (0x13, Scene.input),
    (0x28, 0), (0x2a | 7 << 32, 0), (0x30, 0),
  ]

  @Test("Every CFGI and TLBI ends its answers", arguments: 0..<11)
  func commands(index: Int) {
    let scene = Scene(.nested)
    let access = access(Scene.input, [])
    warm(scene)
    #expect(scene.guest.smmu.micro.lookUp(access) != nil)
    scene.guest.command(Self.invalidations[index])
    #expect(scene.guest.smmu.micro.lookUp(access) == nil)
  }

  @Test("SMMUEN, reset and a removed stream end its answers")
  func registers() {
    for change in [
      { $0["CR0"] = 0xc }, { $0.smmu.reset() }, { $0.smmu.remove(stream: 1) },
    ] as [(Guest) -> Void] {
      let scene = Scene(.stage1)
      warm(scene)
      #expect(scene.guest.smmu.micro.lookUp(access(Scene.input, [])) != nil)
      change(scene.guest)
      #expect(scene.guest.smmu.micro.lookUp(access(Scene.input, [])) == nil)
    }
  }

  @Test("A TLBI during the walk keeps its result out (R-314)")
  func race() {
    let scene = Scene(.stage1)
    let smmu = scene.guest.smmu
    let machine = scene.guest.machine
    let outside = RaceTests.outside
    scene.change { $0.ste[StreamTableEntry.s1ContextPtr] = outside >> 6 }
    scene.guest.write(scene.cd, at: outside)
    var isDone = false
    machine.onRead = { _ in
      guard !isDone else { return }
      isDone = true
      smmu.translator.forgetTranslations(.everything)
    }
    #expect(scene.isFine())
    #expect(isDone)
    #expect(smmu.micro.lookUp(access(Scene.input, [])) == nil)
    // Nor does what was looked up before an invalidation come in after it.
    let epoch = smmu.micro.table.now
    let answer = scene.access().0
    smmu.translator.forgetTranslations(.everything)
    smmu.micro.insert(access(Scene.input, []), answer: answer, permissions: .all, epoch: epoch)
    #expect(smmu.micro.lookUp(access(Scene.input, [])) == nil)
  }
}
