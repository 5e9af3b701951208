// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("CMD_ATC_INV")
struct ATCInvalidationTests {
  private static func features(substreams: UInt32 = 20, ats: UInt32 = 1) -> Features {
    var features = FeatureCase.full
    features[.idr0, IDR0.ats] = ats
    features[.idr1, IDR1.ssidsize] = substreams
    return features
  }

  private func decode(
    _ low: UInt64, _ high: UInt64, _ features: Features = features(),
    _ rules: CommandRules = CommandRules()
  ) -> Command? {
    CommandDecoder(features, rules).decode(CommandWords(0x40 | low, high))
  }

  @Test("says whose translations go, and which (R-331, R-333)")
  func fields() {
    let stream: UInt64 = 0x1234_5678 << 32
    let of = CommandSource(0x1234_5678)
    #expect(decode(stream, 0x7000) == .atcInv(ATCInvalidation(of, address: 0x7000, size: 0)))
    #expect(decode(stream, 0x7003) == .atcInv(ATCInvalidation(of, address: 0, size: 3)))
    #expect(decode(stream, ~0xfff | 52) == .atcInv(ATCInvalidation(of)))
    #expect(
      decode(stream, ~0xfff | 51)
        == .atcInv(ATCInvalidation(of, address: 1 << 63, size: 51)))
    // Global and SubstreamID mean something with SSV alone.
    #expect(decode(stream | 1 << 9 | 5 << 12, 52) == .atcInv(ATCInvalidation(of)))
    let pasid = CommandSource(0x1234_5678, substream: 5)
    #expect(decode(stream | 1 << 11 | 5 << 12, 52) == .atcInv(ATCInvalidation(pasid)))
    #expect(
      decode(stream | 1 << 11 | 1 << 9 | 5 << 12, 52)
        == .atcInv(ATCInvalidation(pasid, isGlobal: true)))
  }

  @Test("has no PASID where there are no substreams (R-334)")
  func withoutSubstreams() {
    let features = Self.features(substreams: 0)
    #expect(
      decode(7 << 32 | 1 << 11 | 1 << 9 | 5 << 12, 52, features)
        == .atcInv(ATCInvalidation(CommandSource(7))))
  }

  @Test("is illegal without ATS, with SSec, and with a size that is none (R-332, T-265)")
  func illegal() {
    func violation(_ low: UInt64, _ high: UInt64, _ features: Features) -> Violation? {
      CommandDecoder(features).violation(CommandWords(0x40 | low, high))
    }
    let features = Self.features()
    for size in 53...63 as ClosedRange<UInt64> {
      #expect(decode(0, size) == nil)
      #expect(
        violation(0, size, features)
          == Violation(.command, field: CommandWords.atcSize, value: size, clause: "§4.5.1"))
    }
    for size in 0...52 as ClosedRange<UInt64> {
      #expect(decode(0, size) != nil && violation(0, size, features) == nil)
    }
    #expect(decode(1 << 10, 0) == nil)
    #expect(violation(1 << 10, 0, features)?.field == CommandWords.ssec)
    #expect(decode(0, 0, Self.features(ats: 0)) == nil)
    #expect(violation(0, 0, Self.features(ats: 0))?.field == CommandWords.opcode)
    // Bits of no field.
    #expect(decode(0, 1 << 6) != nil)
    #expect(decode(0, 1 << 6, features, strict) == nil)
    #expect(decode(1 << 8, 0, features, strict) == nil)
  }

  @Test("is encoded as what it means, and forgets nothing of the SMMU's own")
  func words() {
    var state = SeededWords(state: 0x40)
    let features = Self.features()
    for _ in 0..<20_000 {
      let words = CommandWords(state.next()! & ~0x4ff | 0x40, state.next()!)
      guard let command = CommandDecoder(features).decode(words) else { continue }
      #expect(command.effect(features) == .none && !command.sparesTables)
      #expect(command.opcode == .atcInv)
      let again = command.words
      #expect(CommandDecoder(features, strict).decode(again) == command)
      #expect(again.low & ~words.low == 0 && again.high & ~words.high == 0)
    }
  }

  @Test("names the bytes from its address on")
  func range() {
    let of = CommandSource(1)
    #expect(ATCInvalidation(of, address: 0x8000, size: 3).range.first == 0x8000)
    #expect(ATCInvalidation(of, address: 0x8000, size: 3).range.last == 0xffff)
    #expect(ATCInvalidation(of).range == .all)
  }
}
