// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("Bits and fields")
struct BitsTests {
  /// The field by counting bits one at a time.
  private func slow(_ word: UInt64, _ high: Int, _ low: Int) -> UInt64 {
    var result: UInt64 = 0
    for bit in (low...high).reversed() { result = result * 2 + (word / power(bit)) % 2 }
    return result
  }

  private func power(_ exponent: Int) -> UInt64 {
    var result: UInt64 = 1
    for _ in 0..<exponent { result *= 2 }
    return result
  }

  @Test("every run of bits reads as counted bit by bit")
  func reads() {
    let word: UInt64 = 0x9e37_79b9_7f4a_7c15
    for high in 0..<64 {
      for low in 0...high { #expect(word[high, low] == slow(word, high, low)) }
    }
  }

  @Test("writing a run changes no other bit and keeps what fits")
  func writes() {
    for high in 0..<64 {
      for low in 0...high {
        var word: UInt64 = 0x5555_aaaa_3333_cccc
        let before = word
        word[high, low] = .max
        for bit in 0..<64 {
          #expect(word[bit] == (bit >= low && bit <= high ? true : before[bit]))
        }
      }
    }
  }

  @Test("ones and aligned are total", arguments: [-1, 0, 1, 12, 63, 64, 65, 1000])
  func total(count: Int) {
    let expected: UInt64 = count <= 0 ? 0 : count >= 64 ? .max : power(count) - 1
    #expect(UInt64.ones(count) == expected)
    #expect(UInt64.max.aligned(down: count) == ~expected)
  }

  @Test("a field's mask lies where the field is in its word")
  func masks() {
    #expect(Field("x", 0).mask == 1)
    #expect(Field("x", 63, 0).mask == .max)
    #expect(Field("x", 127, 76).mask == 0xffff_ffff_ffff_f000)
    #expect(Field("x", 67, 64).width == 4)
    #expect(Field("a", 3, 1) == Field("b", 3, 1))
    #expect(Field("a", 3, 1) != Field("a", 3, 2))
    #expect(Field("a", 3, 1) != Field("a", 2, 1))
  }

  @Test("address sizes in the order of IPS, S2PS and OAS")
  func addressSizes() {
    let expected = [32, 36, 40, 42, 44, 48, 52, 56]
    for (encoding, bits) in expected.enumerated() {
      #expect(addressBits(UInt64(encoding)) == bits)
      var features = Features()
      features[.idr5, IDR5.oas] = UInt32(encoding)
      #expect(features.outputBits == bits)
    }
  }

  @Test("the three encodings of a granule differ (R-317)")
  func granules() {
    #expect((0..<4).map { Granule(tg0: $0) } == [.size4K, .size64K, .size16K, nil])
    #expect((0..<4).map { Granule(tg1: $0) } == [nil, .size16K, .size4K, .size64K])
    #expect((0..<4).map { Granule(range: $0) } == [nil, .size4K, .size16K, .size64K])
    #expect([Granule.size4K, .size16K, .size64K].map(\.shift) == [12, 14, 16])
    #expect([Granule.size4K, .size16K, .size64K].map(\.stride) == [9, 11, 13])
  }
}
