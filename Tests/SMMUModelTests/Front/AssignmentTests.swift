// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// What hardware is asked to do with a stream: the same decision as for software.
@Suite struct AssignmentTests {
  typealias S = StreamTableEntry

  private var features: Features {
    var features = Features.linux
    features[.idr1, IDR1.sidsize] = 8
    return features
  }

  @Test("Each Config becomes what it says; stage 2 is the host's")
  func configs() {
    for (mode, isStage1) in [(Scene.Mode.bypass, false), (.stage1, true)] {
      let scene = Scene(mode, features)
      scene.apply()
      let found = scene.guest.smmu.assignment(of: scene.stream)
      if isStage1 {
        guard case .stage1(let word0, _) = found else {
          Issue.record("no stage 1")
          continue
        }
        #expect(word0 & 0xf == 0b1011)
        #expect(word0 & S.s1ContextPtr.mask == scene.ste.contextTable)
      } else {
        #expect(found == .bypass)
      }
      scene.ste[S.config] = 0
      scene.apply()
      #expect(scene.guest.smmu.assignment(of: scene.stream) == .abort)
    }
    for mode in [Scene.Mode.stage2, .nested] {
      let scene = Scene(mode)
      scene.apply()
      #expect(scene.guest.smmu.assignment(of: scene.stream) == .abort)
    }
  }

  @Test("Fields that are not looked at do not make another stream")
  func canonical() {
    var random = SeededRandom("canonical STEs", default: 3)
    let scene = Scene(.stage1, features)
    scene.apply()
    let plain = scene.guest.smmu.assignment(of: scene.stream)
    #expect(plain != .abort)
    for _ in 0..<2000 {
      let field = S.fields[random.below(S.fields.count)]
      let looked = [
        S.v, S.config, S.s1ContextPtr, S.s1cdMax, S.s1cir, S.s1cor, S.s1csh, S.s1stalld,
      ]
      if looked.contains(where: { $0.low == field.low }) { continue }
      // Fields of stage 2, and of features that are not there.
      let old = scene.ste
      scene.ste[field] = random.next()
      scene.apply()
      #expect(scene.guest.smmu.assignment(of: scene.stream) == plain, "field at \(field.low)")
      scene.ste = old
    }
  }

  @Test("Full ATS is handed on where there is ATS, and no other (T-058)")
  func ats() {
    for ats in [0, 1] as [UInt32] {
      var features = features
      features[.idr0, IDR0.ats] = ats
      let scene = Scene(.stage1, features)
      let found = (0...3 as ClosedRange<UInt64>).map { eats in
        scene.ste[S.eats] = eats
        scene.apply()
        return scene.guest.smmu.assignment(of: scene.stream)
      }
      #expect(found[0] != .abort && found[3] == found[0])
      #expect((found[1] != found[0]) == (ats == 1))
      #expect(found[1].enablesATS == (ats == 1) && !found[0].enablesATS)
      #expect(found[2] == (ats == 1 ? .abort : found[0]))
    }
    #expect(!AssignedStream.bypass.enablesATS)
  }

  @Test("An STE that is ILLEGAL, or cannot be fetched, aborts")
  func unusable() {
    let scene = Scene(.stage1, features)
    scene.ste[S.s1cdMax] = 31
    scene.apply()
    #expect(scene.guest.smmu.assignment(of: scene.stream) == .abort)
    scene.ste[S.v] = 0
    scene.apply()
    #expect(scene.guest.smmu.assignment(of: scene.stream) == .abort)
    #expect(scene.guest.smmu.assignment(of: 0xffff) == .abort)
  }
}
