// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("Why a command is refused")
struct CommandRefusalTests {
  private func violation(
    _ low: UInt64, _ high: UInt64 = 0, _ features: Features = FeatureCase.full,
    _ rules: CommandRules = CommandRules()
  ) -> Violation? {
    CommandDecoder(features, rules).violation(CommandWords(low, high))
  }

  private func refusal(_ field: Field, _ value: UInt64, _ clause: StaticString) -> Violation {
    Violation(.command, field: field, value: value, clause: clause)
  }

  @Test("an opcode that is none, and one of a feature that is not there")
  func opcodes() {
    #expect(violation(0xff) == refusal(CommandWords.opcode, 0xff, "§4.1.1"))
    #expect(violation(0x00) == refusal(CommandWords.opcode, 0, "§4.1.1"))
    #expect(violation(0x40) == refusal(CommandWords.opcode, 0x40, "§4.5.1"))
    let stage1 = FeatureCase(stage1: true, stage2: false, hyp: false, ril: false).features
    #expect(violation(0x28, 0, stage1) == refusal(CommandWords.opcode, 0x28, "§4.4.3.2"))
    #expect(violation(0x22, 0, stage1) == refusal(CommandWords.opcode, 0x22, "§4.4.2.8"))
    var rules = CommandRules()
    rules.acceptEL2 = true
    #expect(violation(0x22, 0, stage1, rules) == nil)
  }

  @Test("SSec")
  func secure() {
    #expect(violation(0x05 | 1 << 10) == refusal(CommandWords.ssec, 1, "§4.1.6"))
    #expect(violation(0x10 | 1 << 10) == nil)
  }

  @Test("a reserved field, by its name where it has one")
  func reserved() {
    let without = FeatureCase(stage1: true, stage2: true, hyp: true, ril: false).features
    #expect(violation(0x10 | 1 << 9) == nil)
    #expect(
      violation(0x10 | 1 << 9, 0, FeatureCase.full, strict)
        == refusal(Field("RES0", 9), 1, "§4.1.5"))
    #expect(
      violation(0x06, 1 << 5, FeatureCase.full, strict)
        == refusal(Field("RES0", 69), 1, "§4.1.5"))
    #expect(
      violation(0x12 | 3 << 12, 0, FeatureCase.full, strict)
        == refusal(CommandWords.num, 3, "§4.1.5"))
    #expect(
      violation(0x12, 2 << 10, without, strict) == refusal(CommandWords.tg, 2, "§4.1.5"))
  }

  @Test("a range that is none, and a signal that is none")
  func parameters() {
    #expect(violation(0x2a, 1 << 10) == refusal(CommandWords.tg, 1, "§4.4.1.1"))
    #expect(violation(0x12, 2 << 10 | 1 << 8) == refusal(CommandWords.tg, 2, "§4.4.1.1"))
    #expect(violation(0x46 | 3 << 12) == refusal(CommandWords.cs, 3, "§4.7.3"))
  }

  @Test("what is decoded has none, what is not has one", arguments: FeatureCase.all)
  func agreement(features: FeatureCase) {
    var random = SeededWords(state: 3)
    for rules in [CommandRules(), strict] {
      let decoder = CommandDecoder(features.features, rules)
      for _ in 0..<4000 {
        // Opcodes that exist, and few bits beside.
        let low = random.next()! & 0x7f | random.next()! & random.next()! & random.next()! & ~0xff
        let words = CommandWords(low, random.next()! & random.next()! & random.next()!)
        let isLegal = decoder.decode(words) != nil
        #expect(isLegal == (decoder.violation(words) == nil), "\(words)")
      }
    }
  }

  @Test("two are the same if all that they name is")
  func equality() {
    let one = refusal(CommandWords.cs, 3, "§4.7.3")
    #expect(one != refusal(CommandWords.cs, 2, "§4.7.3"))
    #expect(one != refusal(CommandWords.msh, 3, "§4.7.3"))
    #expect(one != refusal(CommandWords.cs, 3, "§4.7.2"))
    #expect(
      one != Violation(.contextDescriptor, field: CommandWords.cs, value: 3, clause: "§4.7.3"))
  }
}
