// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

/// What a TLBI removes.
private func scope(
  _ low: UInt64, _ high: UInt64 = 0, _ features: Features = FeatureCase.full
) -> TLBInvalidation? {
  if case .invalidate(let what) = effect(low, high, features) { what } else { nil }
}

/// One entry per command with each parameter different, so that a shifted field shows.
@Suite("Command vectors")
struct CommandVectorTests {
  @Test("prefetches are accepted with any parameters (R-279)")
  func prefetch() {
    let source = CommandSource(0x1234_5678, substream: 0xabcde)
    #expect(decode(0x1234_5678_abcd_e801, 0) == .prefetchConfig(source))
    #expect(decode(0x1234_5678_abcd_e001, 0) == .prefetchConfig(CommandSource(0x1234_5678)))
    let span = PrefetchSpan(address: 0xffff_ffff_ffff_f000, size: 31, stride: 31)
    #expect(
      decode(0x1234_5678_abcd_e802, 0xffff_ffff_ffff_fbff) == .prefetchAddr(source, span))
    #expect(effect(0x01) == CommandEffect.none)
    #expect(effect(0x02) == CommandEffect.none)
  }

  @Test("CMD_CFGI_STE (R-285)")
  func ste() {
    #expect(
      effect(0x1234_5678_0000_0003, 1)
        == .forgetStreams(first: 0x1234_5678, last: 0x1234_5678))
  }

  @Test("CMD_CFGI_STE_RANGE covers an aligned block of any size (R-287)")
  func steRange() {
    for range in 0...UInt64(31) {
      let block: UInt64 = range == 31 ? 0xffff_ffff : (2 << range) - 1
      let first = 0xdead_beef & ~block
      #expect(
        effect(0xdead_beef_0000_0004, range)
          == .forgetStreams(first: StreamID(first), last: StreamID(first + block)),
        "Range \(range)")
    }
  }

  @Test("Range 31 is CMD_CFGI_ALL whatever the StreamID (R-288)")
  func all() {
    for stream: UInt64 in [0, 1, 0x8000_0000, 0xffff_ffff] {
      #expect(effect(0x04 | stream << 32, 31) == .forgetStreams(first: 0, last: .max))
    }
  }

  @Test("CMD_CFGI_CD and CMD_CFGI_CD_ALL (R-290, R-294)")
  func cd() {
    #expect(effect(0x1234_5678_abcd_e005, 1) == .forgetContext(0x1234_5678, 0xabcde))
    #expect(effect(0x1234_5678_0000_0006, 0) == .forgetContexts(0x1234_5678))
  }

  @Test("TLB invalidations take VMID [47:32], ASID [63:48] and the address in place (R-274)")
  func invalidations() {
    let page = AddressRange(first: 0x0012_3456_789a_b000, last: 0x0012_3456_789a_bfff)
    let address: UInt64 = 0x0012_3456_789a_b001
    let vectors: [(UInt64, UInt64, TLBInvalidation)] = [
      (0xbeef_cafe_0000_0010, 0, .stage1(0xcafe)),
      (0xbeef_cafe_0000_0011, 0, .asid(0xcafe, 0xbeef)),
      (0xbeef_cafe_0000_0012, address, .address(0xcafe, asid: 0xbeef, range: page)),
      (0xbeef_cafe_0000_0013, address, .address(0xcafe, asid: nil, range: page)),
      (0xbeef_cafe_0000_0020, 0, .nothing), (0xbeef_cafe_0000_0021, 0, .nothing),
      (0xbeef_cafe_0000_0022, address, .nothing), (0xbeef_cafe_0000_0023, address, .nothing),
      (0xbeef_cafe_0000_0028, 0, .vmid(0xcafe)),
      (0xbeef_cafe_0000_002a, address, .intermediate(0xcafe, page)),
      (0xbeef_cafe_0000_0030, 0, .everything),
    ]
    for (low, high, expected) in vectors {
      #expect(scope(low, high) == expected, "opcode \(low & 0xff)")
      // By address of stage 1 alone, Leaf spares tables.
      let spares = decode(low, high)?.sparesTables
      #expect(spares == (low & 0xfe == 0x12), "opcode \(low & 0xff)")
      #expect(decode(low, high & ~1)?.sparesTables == false, "opcode \(low & 0xff)")
    }
  }

  @Test("the upper halves of ASID and VMID are not looked at without 16 bits (R-276)")
  func narrow() {
    let narrow = FeatureCase(stage1: true, stage2: true, hyp: true, ril: true, wide: false).features
    #expect(scope(0xbeef_cafe_0000_0011, 0, narrow) == .asid(0xfe, 0xef))
    #expect(scope(0xbeef_cafe_0000_0028, 0, narrow) == .vmid(0xfe))
  }

  @Test("without stage 2 the VMID is ignored (R-307)")
  func withoutVMID() {
    let features = FeatureCase(stage1: true, stage2: false, hyp: false, ril: true).features
    #expect(scope(0xbeef_cafe_0000_0010, 0, features) == .stage1(0))
    #expect(scope(0xbeef_cafe_0000_0011, 0, features) == .asid(0, 0xbeef))
  }

  @Test("an IPA ends at bit 55, a VA's top byte copies bit 55 (R-274, R-312)")
  func tops() {
    let ipa = AddressRange(first: 0x00ff_ffff_ffff_f000, last: 0x00ff_ffff_ffff_ffff)
    #expect(scope(0x2a, 0xffff_ffff_ffff_f000) == .intermediate(0, ipa))
    let high = AddressRange(first: 0xff80_0000_0000_0000, last: 0xff80_0000_0000_0fff)
    #expect(scope(0x13, 0xab80_0000_0000_0000) == .address(0, asid: nil, range: high))
    let low = AddressRange(first: 0x0040_0000_0000_0000, last: 0x0040_0000_0000_0fff)
    #expect(scope(0x13, 0xab40_0000_0000_0000) == .address(0, asid: nil, range: low))
  }

  @Test("CMD_SYNC: CS selects the signal, 3 is illegal (R-353, R-354)")
  func sync() {
    #expect(decode(0x46) == .sync(Synchronization()))
    #expect(decode(0x46 | 2 << 12) == .sync(Synchronization(.event)))
    #expect(decode(0x46 | 3 << 12) == nil)
    // MSH [23:22], MSIAttr [27:24], MSIData [63:32], MSIAddress [119:66] in place.
    #expect(
      decode(0xcafe_babe_0fc0_1046, 0x00ff_ffff_ffff_fffc)
        == .sync(
          Synchronization(
            .interrupt, address: 0x00ff_ffff_ffff_fffc, data: 0xcafe_babe, shareability: 3,
            attributes: 15)))
    #expect(
      decode(0x0000_0001_0000_1046, 0xff00_0000_0000_0003)
        == .sync(Synchronization(.interrupt, data: 1)))
  }

  @Test("CS 0 and 2 ignore all that belongs to an MSI (R-356)")
  func syncWithoutInterrupt() {
    #expect(decode(0xcafe_babe_0fc0_0046, 0x1000) == .sync(Synchronization()))
    #expect(decode(0xcafe_babe_0fc0_2046, 0x1000) == .sync(Synchronization(.event)))
  }

  @Test("without MSIs a SYNC has no address (R-355)")
  func syncWithoutMSI() {
    var features = FeatureCase.full
    features[.idr0, IDR0.msi] = 0
    #expect(
      decode(0x0000_0007_0000_1046, 0x1000, features)
        == .sync(Synchronization(.interrupt)))
  }
}
