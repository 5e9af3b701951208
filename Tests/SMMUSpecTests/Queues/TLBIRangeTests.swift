// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

/// §4.4.1.1 in 128-bit arithmetic, from bit positions alone.
private func reference(
  _ low: UInt64, _ high: UInt64, virtual: Bool, hasRanges: Bool
) -> AddressRange? {
  func bits(_ word: UInt64, _ top: Int, _ bottom: Int) -> UInt128 {
    UInt128(word >> UInt64(bottom)) % (1 << UInt128(top - bottom + 1))
  }
  var start = bits(high, 63, 12) << 12
  let top: UInt128 = 1 << 64
  if virtual {
    start %= 1 << 56
    if start >> 55 == 1 { start += 0xff << 56 }
  } else {
    start %= 1 << 56
  }
  let tg = bits(high, 11, 10)
  if !hasRanges || tg == 0 { return AddressRange(first: UInt64(start), last: UInt64(start + 4095)) }
  let num = bits(low, 16, 12), scale = bits(low, 24, 20), ttl = bits(high, 9, 8)
  let hint = tg == 2 && ttl == 1 ? 0 : ttl
  if num == 0 && scale == 0 && hint == 0 { return nil }
  let granule: UInt128 = tg == 1 ? 0x1000 : tg == 2 ? 0x4000 : 0x10000
  var span = (num + 1) * granule
  for _ in 0..<scale { span *= 2 }
  let first = start / granule * granule
  let end = (start + span + granule - 1) / granule * granule
  return AddressRange(first: UInt64(first), last: UInt64((end < top ? end : top) - 1))
}

/// The same words from the same state on every machine.
struct SeededWords: Sequence, IteratorProtocol {
  var state: UInt64
  mutating func next() -> UInt64? {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}

@Suite("Ranges of TLBIs")
struct TLBIRangeTests {
  private func range(_ effect: CommandEffect?) -> AddressRange? {
    switch effect {
    case .invalidate(.address(_, _, let range)): range
    case .invalidate(.intermediate(_, let range)): range
    default: nil
    }
  }

  private func check(_ low: UInt64, _ high: UInt64, _ features: FeatureCase) {
    for opcode: UInt64 in [0x12, 0x13, 0x2a] {
      let words = low & ~0xff | opcode
      let expected = reference(words, high, virtual: opcode != 0x2a, hasRanges: features.ril)
      let found = range(effect(words, high, features.features))
      #expect(found == expected, "words \(words), \(high)")
    }
  }

  @Test("random words decode to the range of the text (R-317, R-318, R-322, R-326, R-329)")
  func random() {
    let with = FeatureCase(stage1: true, stage2: true, hyp: true, ril: true)
    let without = FeatureCase(stage1: true, stage2: true, hyp: true, ril: false)
    var words = SeededWords(state: 7)
    for _ in 0..<2000 {
      let low = words.next()!, high = words.next()!
      check(low, high, with)
      check(low, high, without)
    }
  }

  @Test("every NUM, SCALE, TG and TTL at the bottom and the top of the space (R-320, R-328)")
  func corners() {
    let features = FeatureCase(stage1: true, stage2: true, hyp: true, ril: true)
    for address: UInt64 in [0, 0x5000, 0x007f_ffff_ffff_f000, 0xffff_ffff_ffff_f000] {
      for scale in 0..<UInt64(32) {
        for num: UInt64 in [0, 1, 31] {
          for hint in 0..<UInt64(16) {
            check(num << 12 | scale << 20, address | hint << 8, features)
          }
        }
      }
    }
  }

  @Test("a single granule needs a level hint (R-319, R-330)")
  func singleGranule() {
    for opcode: UInt64 in [0x12, 0x13, 0x22, 0x23, 0x2a] {
      for tg: UInt64 in 1...3 {
        #expect(decode(opcode, tg << 10) == nil, "no hint, TG \(tg)")
        for ttl: UInt64 in 1...3 {
          let isIllegal = tg == 2 && ttl == 1
          #expect((decode(opcode, tg << 10 | ttl << 8) == nil) == isIllegal, "\(tg), \(ttl)")
        }
        #expect(decode(opcode | 1 << 12, tg << 10) != nil)
        #expect(decode(opcode | 1 << 20, tg << 10) != nil)
      }
    }
    let found = range(effect(0x13, 0x7000 | 1 << 10 | 3 << 8))
    #expect(found == AddressRange(first: 0x7000, last: 0x7fff))
  }

  @Test("a 16K range with TTL 1 is as without a hint (R-320)")
  func reservedHint() {
    #expect(decode(0x13, 2 << 10 | 1 << 8) == nil)
    #expect(
      decode(0x13 | 1 << 12, 2 << 10 | 1 << 8) == decode(0x13 | 1 << 12, 2 << 10))
  }

  @Test("SCALE has five bits without 52-bit addresses (R-321)")
  func scale() {
    #expect(
      decode(0x13 | 1 << 12 | 0x21 << 20, 1 << 10) == decode(0x13 | 1 << 12 | 1 << 20, 1 << 10))
    #expect(decode(0x13 | 0x20 << 20, 1 << 10) == nil)
  }

  @Test("the largest range ends at the top of the space (R-328, R-329)")
  func largest() {
    let found = range(effect(0x13 | 31 << 12 | 31 << 20, 0xffff_ffff_ffff_0000 | 3 << 10))
    #expect(found == AddressRange(first: 0xffff_ffff_ffff_0000, last: .max))
  }

  @Test("an unaligned start widens the range to whole granules (R-326)")
  func unaligned() {
    // 64K granules from 0x1_1000: two, of which the second is reached.
    let found = range(effect(0x13, 0x1_1000 | 3 << 10 | 3 << 8))
    #expect(found == AddressRange(first: 0x1_0000, last: 0x2_ffff))
  }

  @Test("without ranges the fields are not looked at (R-317)")
  func withoutRanges() {
    let features = FeatureCase(stage1: true, stage2: true, hyp: true, ril: false).features
    let found = range(effect(0x13 | 31 << 12 | 31 << 20, 0x7000 | 0xf00, features))
    #expect(found == AddressRange(first: 0x7000, last: 0x7fff))
  }
}
