// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUHost

/// What a host kernel (Linux 7.3) accepts, written down apart from the code under test.
private struct Accepted {
  /// Bits that may be set, by opcode, for a host with RIL, substreams and 16-bit ASIDs.
  static func mask(_ opcode: UInt8) -> (UInt64, UInt64)? {
    let vmid: UInt64 = 0xffff << 32
    let asid: UInt64 = 0xffff << 48
    let range: UInt64 = 0x1f << 12 | 0x1f << 20
    let address: UInt64 = ~0xfff
    let hints: UInt64 = 3 << 10 | 3 << 8
    switch opcode {
    case 0x10: return (0xff | vmid, 0)
    case 0x11: return (0xff | vmid | asid, 0)
    case 0x12: return (0xff | vmid | asid | range, address | hints | 1)
    case 0x13: return (0xff | vmid | range, address | hints | 1)
    case 0x30: return (0xff, 0)
    case 0x05: return (0xff | 0xfffff << 12 | 0xffff_ffff << 32, 1)
    case 0x06: return (0xff | 0xffff_ffff << 32, 0)
    case 0x40: return (0xff | 1 << 11 | 1 << 9 | 0xfffff << 12 | 0xffff_ffff << 32, address | 0x3f)
    default: return nil
    }
  }

  static func accepts(_ command: CommandWords) -> Bool {
    guard let (low, high) = mask(UInt8(truncatingIfNeeded: command.low)),
      command.low & ~low == 0, command.high & ~high == 0
    else { return false }
    if command.low & 0xff == 0x40 { return command.high & 0x3f <= 52 }
    guard command.low & 0xff == 0x12 || command.low & 0xff == 0x13 else { return true }
    let granule = command.high >> 10 & 3
    let hint = command.high >> 8 & 3
    let scaled = command.low >> 12 & 0x1f | command.low >> 20 & 0x1f
    if granule == 0 { return scaled == 0 && hint == 0 }
    return !(granule == 2 && hint == 1) && !(scaled == 0 && hint == 0)
  }
}

@Suite struct ForwardedCommandTests {
  private var features: Features {
    var features = Features.linux
    features[.idr0, IDR0.ats] = 1
    features[.idr1, IDR1.ssidsize] = 20
    return features
  }

  /// CMD_TLBI_EL2_* too, without Hyp.
  private var accepting: CommandRules {
    var rules = CommandRules()
    rules.acceptEL2 = true
    return rules
  }

  private func decode(
    _ words: CommandWords, _ features: Features, _ rules: CommandRules = CommandRules()
  ) -> Command? {
    CommandDecoder(features, rules).decode(words)
  }

  @Test("Whatever legal command a guest sends, what is forwarded the kernel accepts")
  func accepted() {
    var random = SeededRandom("host commands", default: 11)
    var forwarded = 0
    for _ in 0..<200_000 {
      let opcode = [0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x30, 0x40][random.below(8)] as UInt64
      let words = CommandWords(random.next() & ~0xff | opcode, random.next() & random.next())
      guard let meant = decode(words, features),
        let command = ForwardedCommand.of(meant, features)
      else { continue }
      forwarded += 1
      #expect(Accepted.accepts(command.words), "\(words) became \(command)")
    }
    #expect(forwarded > 50_000)
  }

  @Test("What is forwarded invalidates what the guest named")
  func equivalent() throws {
    var random = SeededRandom("equivalent host commands", default: 12)
    for _ in 0..<100_000 {
      let opcode = [0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x30, 0x40][random.below(8)] as UInt64
      let words = CommandWords(random.next() & ~0xff | opcode, random.next() & random.next())
      guard let meant = decode(words, features),
        let command = ForwardedCommand.of(meant, features)
      else { continue }
      let again = CommandDecoder(features).decode(command.words)
      #expect(again?.effect(features) == meant.effect(features))
      if meant.isATCInvalidation { #expect(again == meant) }
    }
  }

  @Test("Commands that concern no cache of the hardware's are withheld")
  func withheld() {
    for raw in 0...255 as ClosedRange<UInt8> {
      guard let command = decode(CommandWords(UInt64(raw), 0), features, accepting) else {
        continue
      }
      let isEL2 = raw >= 0x20 && raw <= 0x23
      #expect(
        (ForwardedCommand.of(command, features) != nil) == (Accepted.mask(raw) != nil || isEL2),
        "opcode \(raw)")
    }
  }

  @Test("A TLBI of EL2 that was accepted without Hyp forgets all of the guest's translations")
  func el2() throws {
    for opcode in [Opcode.tlbiEL2All, .tlbiEL2ASID, .tlbiEL2VA, .tlbiEL2VAA] {
      let words = CommandWords(~0xff | UInt64(opcode.rawValue), ~0)
      let command = try #require(decode(words, features, accepting))
      #expect(ForwardedCommand.of(command, features) == .tlbiNSNHAll)
      var hyp = features
      hyp[.idr0, IDR0.hyp] = 1
      #expect(ForwardedCommand.of(command, hyp) == nil)
    }
  }

  @Test("Without RIL, substreams and 16-bit ASIDs their fields are dropped")
  func small() throws {
    var features = Features.linux
    features[.idr0, IDR0.asid16] = 0
    features[.idr1, IDR1.ssidsize] = 0
    features[.idr3, IDR3.ril] = 0
    let all = CommandWords(~0xff | 0x12, ~0)
    let tlbi = try #require(decode(all, features))
    let address = try #require(ForwardedCommand.of(tlbi, features)).words
    #expect(address.low == 0xff << 48 | 0x12 && address.high == ~0xfff | 1)
    let cfgi = try #require(decode(CommandWords(~0x4ff | 5, ~0), features))
    let context = try #require(ForwardedCommand.of(cfgi, features)).words
    #expect(context.low == 0xffff_ffff << 32 | 5 && context.high == 1)
    features[.idr0, IDR0.ats] = 1
    let atc = try #require(decode(CommandWords(~0x4ff | 0x40, ~0x3f | 52), features))
    let invalidation = try #require(ForwardedCommand.of(atc, features)).words
    #expect(invalidation.low == 0xffff_ffff << 32 | 0x40 && invalidation.high == 52)
  }
}
