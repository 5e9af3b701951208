// SPDX-License-Identifier: MIT
import SMMUSpec

/// A guest's invalidation as a host kernel accepts it: built from the fields that are defined, so
/// that no other bit of the guest's reaches the host's queue, and no call fails for its sake.
enum HostCommand {
  /// nil for what concerns no hardware cache. `words` is legal for a device with `features`.
  static func rebuild(
    _ words: CommandWords, _ opcode: Opcode, _ features: Features
  ) -> CommandWords? {
    var command = CommandWords(UInt64(opcode.rawValue), 0)
    func copy(_ field: Field) { command[field] = words[field] }
    switch opcode {
    case .tlbiNHAll, .tlbiNSNHAll: break
    case .tlbiNHASID: command[CommandWords.asid] = asid(words, features)
    case .tlbiNHVA, .tlbiNHVAA:
      if opcode == .tlbiNHVA { command[CommandWords.asid] = asid(words, features) }
      copy(CommandWords.leaf)
      copy(CommandWords.address)
      if features.rangeInvalidation { copyRange(words, to: &command) }
    case .cfgiCD:
      copy(CommandWords.streamID)
      copy(CommandWords.leaf)
      if features.substreamIDBits > 0 { copy(CommandWords.substreamID) }
    case .cfgiCDAll: copy(CommandWords.streamID)
    // Accepted without Hyp, they mean streams of NS-EL1 (`TLBInvalidation.ofEL2`).
    case .tlbiEL2All, .tlbiEL2ASID, .tlbiEL2VA, .tlbiEL2VAA:
      return features.hyp ? nil : forgetTranslations
    default: return nil
    }
    return command
  }

  /// The upper half exists with 16-bit ASIDs alone.
  private static func asid(_ words: CommandWords, _ features: Features) -> UInt64 {
    words[CommandWords.asid] & (features.asid16 ? 0xffff : 0xff)
  }

  /// §4.4.1.1. Without TG the other fields are not looked at; a hint of level 1 is none where a 16K
  /// granule has no such leaves, and kernels refuse it.
  private static func copyRange(_ words: CommandWords, to command: inout CommandWords) {
    let granule = words[CommandWords.tg]
    guard granule != 0 else { return }
    command[CommandWords.tg] = granule
    command[CommandWords.num] = words[CommandWords.num]
    command[CommandWords.scale] = words[CommandWords.scale] & 0x1f
    let hint = words[CommandWords.ttl]
    command[CommandWords.ttl] = granule == 2 && hint == 1 ? 0 : hint
  }

  static var forgetTranslations: CommandWords {
    CommandWords(UInt64(Opcode.tlbiNSNHAll.rawValue), 0)
  }

  static func forgetContexts(of stream: StreamID) -> CommandWords {
    var command = CommandWords(UInt64(Opcode.cfgiCDAll.rawValue), 0)
    command[CommandWords.streamID] = UInt64(stream)
    return command
  }
}
