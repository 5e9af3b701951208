// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// Nine streams, one of each kind of TLB entry, before which a CPU broadcasts a TLBI.
final class BroadcastScene {
  let guest: Guest
  let streams: Streams

  static var features: Features {
    var features = Features.full
    features[.idr0, IDR0.btm] = 1
    return features
  }

  init(
    _ features: Features = BroadcastScene.features, _ options: Options = Options(),
    cr0: UInt64 = 0xd, ptm: Bool = false
  ) {
    guest = Guest(features, options)
    guest.start()
    guest["CR0"] = 0
    guest["CR2"] = ptm ? 6 : 2
    guest["CR0"] = cr0
    streams = Streams(guest)
    if features.stage1 {
      streams.addStage1(stream: 1, asid: 1, vmid: 1)
      streams.addStage1(stream: 2, asid: 2, vmid: 1)
      streams.addStage1(stream: 3, asid: 1, vmid: 2)
      streams.addStage1(stream: 4, asid: 4, vmid: 1, shared: false)
      // In a VMID of their own: global entries serve every ASID.
      streams.addStage1(stream: 5, asid: 5, vmid: 3, global: true)
      streams.addStage1(stream: 6, asid: 6, vmid: 3, global: true, shared: false)
    }
    if features.stage2 {
      streams.addStage2(stream: 7, vmid: 1)
      streams.addStage2(stream: 8, vmid: 2)
    }
    if features.stage1 && features.stage2 { streams.addNested(stream: 9, asid: 1, vmid: 1) }
  }

  static var page: AddressRange { AddressRange(first: 0x12_3456_7000, last: 0x12_3456_7fff) }

  /// The streams whose translation a broadcast removed.
  func removed(by scope: TLBInvalidation) -> Set<StreamID> {
    let known = Set((1...9).filter { streams.reads($0) == streams.first })
    streams.remap()
    streams.remapIntermediate()
    let stale = Set(known.filter { streams.reads($0) == streams.first })
    #expect(stale == known)
    guest.smmu.broadcast(scope)
    return Set(known.filter { streams.reads($0) != streams.first })
  }

  static func removed(
    by scope: TLBInvalidation, _ features: Features = BroadcastScene.features, cr0: UInt64 = 0xd,
    ptm: Bool = false
  ) -> Set<StreamID> {
    BroadcastScene(features, cr0: cr0, ptm: ptm).removed(by: scope)
  }
}

@Suite("Broadcast TLB maintenance: scopes")
struct BroadcastScopeTests {
  private let page = BroadcastScene.page

  @Test("Each scope removes what the command of that scope does, ASET aside (T-369, T-370, T-371)")
  func scopes() {
    let expected: [(TLBInvalidation, Set<StreamID>)] = [
      (.everything, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
      (.vmid(1), [1, 2, 4, 7, 9]),
      (.stage1(1), [1, 2, 4, 9]),
      (.stage1(2), [3]),
      (.stage1(3), [5, 6]),
      (.asid(1, 1), [1, 9]),
      (.asid(1, 2), [2]),
      (.asid(2, 1), [3]),
      // Global entries have no ASID.
      (.asid(3, 5), []),
      (.address(1, asid: 1, range: page), [1, 9]),
      (.address(2, asid: 1, range: page), [3]),
      (.address(3, asid: 1, range: page), [5]),
      (.address(1, asid: nil, range: page), [1, 2, 4, 9]),
      (.address(3, asid: nil, range: page), [5, 6]),
      (.intermediate(1, page), [7, 9]),
      (.intermediate(2, page), [8]),
      // Not the IPA of stream 7; a nested entry does not know its own.
      (.intermediate(1, AddressRange(first: 0x8_0000_1000, last: 0x8_0000_1fff)), [9]),
    ]
    for (scope, streams) in expected {
      #expect(BroadcastScene.removed(by: scope) == streams, "\(scope)")
    }
  }

  @Test("A non-shared context ignores what matches by ASID, by page and by all pages (T-370)")
  func nonShared() {
    #expect(BroadcastScene.removed(by: .asid(1, 4)) == [])
    #expect(BroadcastScene.removed(by: .asid(3, 6)) == [])
    #expect(BroadcastScene.removed(by: .address(1, asid: 4, range: page)) == [])
    #expect(BroadcastScene.removed(by: .address(1, asid: 4, range: .all)) == [])
    #expect(BroadcastScene.removed(by: .address(1, asid: 1, range: .all)) == [1, 9])
    // The shared global entry goes with any ASID.
    #expect(BroadcastScene.removed(by: .address(3, asid: 6, range: page)) == [5])
    #expect(BroadcastScene.removed(by: .address(3, asid: 6, range: .all)) == [5])
    #expect(BroadcastScene.removed(by: .address(1, asid: nil, range: .all)) == [1, 2, 4, 9])
    #expect(BroadcastScene.removed(by: .address(3, asid: nil, range: .all)) == [5, 6])
  }

  @Test("Commands do not look at ASET where broadcasts do (T-339)")
  func commands() {
    let scene = BroadcastScene()
    _ = scene.removed(by: .asid(1, 4))
    scene.guest.command((0x11 | 1 << 32 | 4 << 48, 0), Guest.sync)
    #expect(scene.streams.reads(4) == scene.streams.second)
  }

  @Test("Scopes of EL2 find no entries here (T-372, T-376)")
  func el2() { #expect(BroadcastScene.removed(by: .nothing) == []) }

  @Test("Scopes of EL2 find all entries where EL2's commands are accepted without Hyp")
  func el2Quirk() {
    var options = Options()
    options.commandRules.acceptEL2 = true
    let scene = BroadcastScene(BroadcastScene.features, options)
    #expect(scene.removed(by: .nothing) == Set(1...9))
  }

  @Test("Bytes of a range need not be aligned, and an empty one removes nothing")
  func ranges() {
    let inside = AddressRange(first: page.first + 8, last: page.first + 8)
    #expect(BroadcastScene.removed(by: .address(1, asid: 2, range: inside)) == [2])
    let beside = AddressRange(first: page.last + 1, last: page.last + 0x5000)
    #expect(BroadcastScene.removed(by: .address(1, asid: 2, range: beside)) == [])
    let empty = AddressRange(first: page.last, last: page.first)
    #expect(BroadcastScene.removed(by: .address(1, asid: 2, range: empty)) == [])
    #expect(BroadcastScene.removed(by: .intermediate(1, empty)) == [])
  }

  @Test("The top byte of a TLBI's address copies bit 55; several tags are all addresses")
  func tags() {
    let tag: UInt64 = 0xab << 56
    let tagged = AddressRange(first: page.first | tag, last: page.last | tag)
    #expect(BroadcastScene.removed(by: .address(1, asid: 2, range: tagged)) == [2])
    let several = AddressRange(first: 5 << 56, last: 6 << 56)
    #expect(BroadcastScene.removed(by: .address(1, asid: 2, range: several)) == [2])
  }

  @Test("VMID wildcards widen broadcasts, of both stages (R-058, T-382)")
  func wildcard() {
    func removed(_ scope: TLBInvalidation) -> Set<StreamID> {
      BroadcastScene.removed(by: scope, cr0: 0xd | 2 << 6)
    }
    // VMIDs 1 and 2 differ in the two low bits alone.
    #expect(removed(.asid(3, 1)) == [1, 3, 9])
    #expect(removed(.vmid(0)) == [1, 2, 3, 4, 5, 6, 7, 8, 9])
    #expect(removed(.address(0, asid: 1, range: page)) == [1, 3, 5, 9])
    #expect(removed(.intermediate(0, page)) == [7, 8, 9])
    #expect(removed(.stage1(4)) == [])
  }
}
