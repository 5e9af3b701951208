// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

@Suite("Broadcast TLB maintenance: who takes part")
struct BroadcastParticipationTests {
  private func features(_ fields: (Field, UInt32)...) -> Features {
    var features = BroadcastScene.features
    for (field, value) in fields { features[.idr0, field] = value }
    return features
  }

  @Test("With CR2.PTM = 1 broadcasts are ignored (R-084, T-368)")
  func private_() {
    #expect(BroadcastScene.removed(by: .everything, ptm: true) == [])
    #expect(!BroadcastScene(ptm: true).guest.smmu.takesPartInBroadcast)
    #expect(BroadcastScene().guest.smmu.takesPartInBroadcast)
  }

  @Test("Without IDR0.BTM they never come (T-367)")
  func absent() {
    #expect(BroadcastScene.removed(by: .everything, .full) == [])
    #expect(BroadcastScene.removed(by: .everything, .full, ptm: true) == [])
  }

  @Test("PTM resets to 1 where it exists, and changes only while SMMUEN is 0 (§6.3.12)")
  func reset() {
    let guest = Guest(BroadcastScene.features)
    #expect(guest["CR2"] == 4)
    guest.start()
    #expect(guest["CR2"] == 2)
    guest["CR2"] = 6
    #expect(guest["CR2"] == 2)
    guest.smmu.reset()
    #expect(guest["CR2"] == 4)
    #expect(Guest()["CR2"] == 0)
  }

  @Test("The default profiles make no such promise")
  func profiles() {
    for profile in [Features.full, .linux] {
      #expect(!profile.broadcast)
      var promising = profile
      promising[.idr0, IDR0.btm] = 1
      #expect(promising.unimplemented == nil)
      #expect(promising.illegality == nil)
    }
  }

  @Test("Without stage 2, VMID 0 matches and no other does (T-126, T-374)")
  func withoutStage2() {
    let features = features((IDR0.s2p, 0), (IDR0.vmw, 0), (IDR0.vmid16, 0))
    // All streams share VMID 0, so the shared global entry serves 2 as well.
    #expect(BroadcastScene.removed(by: .address(0, asid: 2, range: .all), features).contains(2))
    #expect(BroadcastScene.removed(by: .address(1, asid: 2, range: .all), features) == [])
    #expect(BroadcastScene.removed(by: .asid(1, 2), features) == [])
    #expect(BroadcastScene.removed(by: .stage1(1), features) == [])
    #expect(BroadcastScene.removed(by: .address(1, asid: nil, range: .all), features) == [])
  }

  @Test("A stage that is not there is passed over; combined scopes act on the other (T-375)")
  func stages() {
    let first = features((IDR0.s2p, 0), (IDR0.vmw, 0), (IDR0.vmid16, 0))
    #expect(BroadcastScene.removed(by: .intermediate(0, .all), first) == [])
    // Streams 1 and 3 share VMID 0, ASID 1 and the page: the later fill replaced the other.
    #expect(BroadcastScene.removed(by: .vmid(0), first).contains(2))
    #expect(BroadcastScene.removed(by: .everything, first).contains(2))
    var second = features((IDR0.s1p, 0))
    second[.idr3, IDR3.had] = 0
    #expect(BroadcastScene.removed(by: .stage1(1), second) == [])
    #expect(BroadcastScene.removed(by: .address(1, asid: nil, range: .all), second) == [])
    #expect(BroadcastScene.removed(by: .vmid(1), second) == [7])
    #expect(BroadcastScene.removed(by: .everything, second) == [7, 8])
  }

  @Test("16 bits are compared in full; 8 match where the upper ones are zero (T-373)")
  func widths() {
    #expect(BroadcastScene.removed(by: .asid(1, 0x102)) == [])
    #expect(BroadcastScene.removed(by: .address(0x101, asid: 1, range: .all)) == [])
    let narrow = features((IDR0.asid16, 0), (IDR0.vmid16, 0))
    #expect(BroadcastScene.removed(by: .asid(1, 2), narrow) == [2])
    #expect(BroadcastScene.removed(by: .asid(1, 0x102), narrow) == [])
    #expect(BroadcastScene.removed(by: .address(1, asid: 0x102, range: .all), narrow) == [])
    #expect(BroadcastScene.removed(by: .stage1(2), narrow) == [3])
    #expect(BroadcastScene.removed(by: .stage1(0x102), narrow) == [])
    #expect(BroadcastScene.removed(by: .vmid(0x102), narrow) == [])
    #expect(BroadcastScene.removed(by: .intermediate(0x102, .all), narrow) == [])
  }

  @Test("STEs and CDs stay cached (T-380)")
  func configurations() {
    let scene = BroadcastScene()
    #expect(scene.streams.reads(1) != nil)
    #expect(scene.streams.reads(7) != nil)
    scene.streams.put(1, StreamTableEntry())
    scene.streams.put(7, StreamTableEntry())
    scene.guest.smmu.broadcast(.everything)
    #expect(scene.streams.reads(1) != nil)
    #expect(scene.streams.reads(7) != nil)
  }

  @Test("It returns when no access uses what it removed")
  func completion() {
    let scene = BroadcastScene()
    let smmu = scene.guest.smmu
    let token = smmu.beginAccess()
    var waits = 0
    scene.guest.machine.onRelax = {
      waits += 1
      if waits == 3 { smmu.endAccess(token) }
    }
    smmu.broadcast(.asid(1, 1))
    #expect(waits == 3)
  }

  @Test("Caches outside hear of it")
  func notice() {
    let scene = BroadcastScene()
    _ = scene.guest.machine.takeStale()
    scene.guest.smmu.broadcast(.asid(1, 1))
    scene.guest.smmu.broadcast(.nothing)
    #expect(scene.guest.machine.takeStale() == [.translations(.asid(1, 1))])
  }

  @Test("A VMID is in the TLB as long as an entry of it could answer")
  func held() {
    let scene = BroadcastScene()
    let smmu = scene.guest.smmu
    func cached() -> Set<VMID> {
      var found: Set<VMID> = []
      smmu.eachCachedVMID { found.insert($0) }
      return found
    }
    _ = scene.streams.reads(1)
    _ = scene.streams.reads(8)
    #expect(cached() == [1, 2])
    smmu.broadcast(.asid(1, 1))
    #expect(cached() == [2])
    smmu.broadcast(.stage1(2))
    #expect(cached() == [2])
    smmu.broadcast(.vmid(2))
    #expect(cached().isEmpty)
  }
}
