// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("The command encoder")
struct CommandEncoderTests {
  private static let opcodes = CommandSheet.all.filter { $0.need != .absent }

  /// The bits that mean something in these words, by positions of the text alone.
  private static func meaning(_ sheet: CommandSheet, _ words: CommandWords) -> CommandWords {
    var mask = CommandWords(0xff, 0)
    func define(_ high: Int, _ low: Int) { mask[word: low >> 6] |= Field("", high, low).mask }
    for (high, low) in sheet.fields { define(high, low) }
    func ignore(_ high: Int, _ low: Int) { mask[word: low >> 6] &= ~Field("", high, low).mask }
    ignore(10, 10)
    switch sheet.opcode {
    case 0x01, 0x02:
      if words[CommandWords.ssv] == 0 { ignore(31, 12) }
      // NS is RES0 on the non-secure queue (§4.2.2).
      ignore(75, 75)
    case 0x12, 0x13, 0x22, 0x23, 0x2a:
      ignore(25, 25)
      ignore(71, 71)
      let tg = words.high >> 10 & 3
      if tg == 0 {
        ignore(16, 12)
        ignore(24, 20)
        ignore(73, 72)
      }
      if tg == 2 && words.high >> 8 & 3 == 1 { ignore(73, 72) }
    case 0x46 where words.low >> 12 & 3 != 1:
      ignore(23, 22)
      ignore(27, 24)
      ignore(63, 32)
      ignore(119, 66)
    default: break
    }
    return mask
  }

  @Test("gives back what was decoded, but for what is reserved or ignored", arguments: opcodes)
  func words(sheet: CommandSheet) {
    var random = SeededWords(state: UInt64(sheet.opcode))
    let decoder = CommandDecoder(FeatureCase.full)
    var decoded = 0
    for _ in 0..<2000 {
      let words = CommandWords(
        random.next()! & ~0x4ff | UInt64(sheet.opcode), random.next()!)
      guard let command = decoder.decode(words) else { continue }
      decoded += 1
      let mask = Self.meaning(sheet, words)
      let again = command.words
      #expect(again.low == words.low & mask.low)
      #expect(again.high == words.high & mask.high)
      // Legal by the strictest rules, and the same command.
      #expect(decode(again.low, again.high, FeatureCase.full, strict) == command)
      #expect(command.opcode.rawValue == sheet.opcode)
    }
    #expect(decoded > 1000)
  }

  @Test("every field of a command is in its words", arguments: opcodes)
  func fields(sheet: CommandSheet) throws {
    // One bit more in any field that means something gives another command.
    let base = CommandWords(
      UInt64(sheet.opcode) | (sheet.opcode == 0x46 ? 1 << 12 : 0)
        | (sheet.opcode < 3 ? 1 << 11 : 0), sheet.defines(74) ? 1 << 10 | 3 << 8 : 0)
    let decoder = CommandDecoder(FeatureCase.full)
    let plain = try #require(decoder.decode(base))
    let mask = Self.meaning(sheet, base)
    for bit in 8..<128 where mask[word: bit / 64][bit % 64] {
      var other = base
      other[word: bit / 64] ^= 1 << UInt64(bit % 64)
      guard let command = decoder.decode(other) else { continue }
      #expect(command != plain, "bit \(bit)")
      #expect(command.words != plain.words, "bit \(bit)")
    }
  }
}
