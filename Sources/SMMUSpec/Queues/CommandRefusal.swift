// SPDX-License-Identifier: MIT

extension CommandDecoder {
  /// Why `decode` refuses these words; nil if it does not. The first rule that is broken, in the
  /// order in which `decode` looks.
  @inline(never)
  public func violation(_ words: CommandWords) -> Violation? {
    let byte = UInt8(truncatingIfNeeded: words.low)
    guard let opcode = Opcode(rawValue: byte) else {
      return Violation(.command, in: words, field: CommandWords.opcode, clause: "§4.1.1")
    }
    // A command of a feature that is not there.
    guard knows(byte) else {
      return Violation(.command, in: words, field: CommandWords.opcode, clause: opcode.clause)
    }
    if words.flag(CommandWords.ssec) && opcode.hasSSec {
      return Violation(.command, in: words, field: CommandWords.ssec, clause: "§4.1.6")
    }
    if rules.strictReserved, let field = reservedField(words, opcode) {
      return Violation(.command, in: words, field: field, clause: "§4.1.5")
    }
    if opcode.hasRange && features.rangeInvalidation,
      let range = words.invalidationRange, range.isReserved
    {
      return Violation(.command, in: words, field: CommandWords.tg, clause: "§4.4.1.1")
    }
    if opcode == .atcInv && words[CommandWords.atcSize] > UInt64(ATCInvalidation.everything) {
      return Violation(.command, in: words, field: CommandWords.atcSize, clause: "§4.5.1")
    }
    if opcode == .sync && words[CommandWords.cs] == 3 {
      return Violation(.command, in: words, field: CommandWords.cs, clause: "§4.7.3")
    }
    return nil
  }

  /// The field of the lowest bit that is set and that `opcode` does not define here. It has a name
  /// if other features would define it.
  private func reservedField(_ words: CommandWords, _ opcode: Opcode) -> Field? {
    let reserved = words.reserved(opcode, features)
    let low = words.low & reserved.low
    let high = words.high & reserved.high
    guard low | high != 0 else { return nil }
    let bit = low != 0 ? low.trailingZeroBitCount : 64 + high.trailingZeroBitCount
    for field in CommandWords.fields(of: opcode) where field.low <= bit && bit <= field.high {
      return field
    }
    return Field("RES0", bit)
  }
}
