// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

/// The commands as §4.1.1 and §4.2 to §4.7 print them, written down a second time.
struct CommandSheet {
  /// `absent`: a feature that no `FeatureCase` has.
  enum Need { case always, stage1, stage2, hyp, absent }
  let opcode: UInt8
  let need: Need
  let hasSSec: Bool
  /// Parameters as (high, low), the opcode excepted.
  let fields: [(Int, Int)]

  private static let range = [(16, 12), (25, 20), (64, 64), (71, 71), (73, 72), (75, 74)]
  private static let vmid = [(47, 32)], asid = [(63, 48)], address = [(127, 76)]
  private static let sid = [(63, 32)], ssid = [(31, 12)], ssec = [(10, 10)], ssv = [(11, 11)]

  static let all: [CommandSheet] = [
    CommandSheet(
      opcode: 0x01, need: .always, hasSSec: true, fields: ssec + ssv + ssid + sid),
    CommandSheet(
      opcode: 0x02, need: .always, hasSSec: true,
      fields: ssec + ssv + ssid + sid + [(68, 64), (73, 69), (75, 75)] + address),
    CommandSheet(opcode: 0x03, need: .always, hasSSec: true, fields: ssec + sid + [(64, 64)]),
    CommandSheet(opcode: 0x04, need: .always, hasSSec: true, fields: ssec + sid + [(68, 64)]),
    CommandSheet(
      opcode: 0x05, need: .stage1, hasSSec: true, fields: ssec + ssid + sid + [(64, 64)]),
    CommandSheet(opcode: 0x06, need: .stage1, hasSSec: true, fields: ssec + sid),
    CommandSheet(opcode: 0x07, need: .absent, hasSSec: true, fields: ssec + vmid),
    CommandSheet(opcode: 0x10, need: .stage1, hasSSec: false, fields: vmid),
    CommandSheet(opcode: 0x11, need: .stage1, hasSSec: false, fields: vmid + asid),
    CommandSheet(
      opcode: 0x12, need: .stage1, hasSSec: false, fields: vmid + asid + address + range),
    CommandSheet(opcode: 0x13, need: .stage1, hasSSec: false, fields: vmid + address + range),
    CommandSheet(opcode: 0x20, need: .hyp, hasSSec: false, fields: []),
    CommandSheet(opcode: 0x21, need: .hyp, hasSSec: false, fields: asid),
    CommandSheet(opcode: 0x22, need: .hyp, hasSSec: false, fields: asid + address + range),
    CommandSheet(opcode: 0x23, need: .hyp, hasSSec: false, fields: address + range),
    CommandSheet(opcode: 0x28, need: .stage2, hasSSec: false, fields: vmid),
    CommandSheet(
      opcode: 0x2a, need: .stage2, hasSSec: false, fields: vmid + [(119, 76)] + range),
    CommandSheet(opcode: 0x30, need: .always, hasSSec: false, fields: []),
    CommandSheet(
      opcode: 0x40, need: .absent, hasSSec: true,
      fields: [(9, 9)] + ssec + ssv + ssid + sid + [(69, 64)] + address),
    CommandSheet(
      opcode: 0x41, need: .absent, hasSSec: true,
      fields: ssec + ssv + ssid + sid + [(72, 64), (77, 76)]),
    CommandSheet(
      opcode: 0x44, need: .absent, hasSSec: true,
      fields: ssec + [(12, 12), (13, 13)] + sid + [(79, 64)]),
    CommandSheet(opcode: 0x45, need: .absent, hasSSec: true, fields: ssec + sid),
    CommandSheet(
      opcode: 0x46, need: .always, hasSSec: false,
      fields: [(13, 12), (23, 22), (27, 24), (63, 32), (119, 66)]),
    CommandSheet(opcode: 0x70, need: .absent, hasSSec: false, fields: []),
    CommandSheet(opcode: 0x73, need: .absent, hasSSec: false, fields: []),
  ]

  static func of(_ opcode: UInt8) -> CommandSheet? { all.first { $0.opcode == opcode } }

  func isLegal(stage1: Bool, stage2: Bool, hyp: Bool) -> Bool {
    switch need {
    case .always: true
    case .stage1: stage1
    case .stage2: stage2
    case .hyp: stage1 && hyp
    case .absent: false
    }
  }

  func defines(_ bit: Int) -> Bool {
    bit < 8 || fields.contains { $0.0 >= bit && $0.1 <= bit }
  }
}

/// Sets of features that change what commands mean.
struct FeatureCase: Sendable, CustomTestStringConvertible {
  let stage1, stage2, hyp, ril: Bool
  var wide = true

  var features: Features {
    var f = Features()
    f[.idr0, IDR0.s1p] = stage1 ? 1 : 0
    f[.idr0, IDR0.s2p] = stage2 ? 1 : 0
    f[.idr0, IDR0.hyp] = hyp ? 1 : 0
    f[.idr0, IDR0.ttf] = 2
    f[.idr0, IDR0.msi] = 1
    f[.idr0, IDR0.stallModel] = 1
    f[.idr0, IDR0.asid16] = wide ? 1 : 0
    f[.idr0, IDR0.vmid16] = wide ? 1 : 0
    f[.idr3, IDR3.ril] = ril ? 1 : 0
    f[.idr5, IDR5.oas] = 5
    return f
  }

  var testDescription: String {
    "S1P \(stage1) S2P \(stage2) HYP \(hyp) RIL \(ril) 16-bit \(wide)"
  }

  static let all: [FeatureCase] = [
    FeatureCase(stage1: true, stage2: false, hyp: false, ril: false),
    FeatureCase(stage1: false, stage2: true, hyp: false, ril: false),
    FeatureCase(stage1: true, stage2: true, hyp: false, ril: false),
    FeatureCase(stage1: true, stage2: true, hyp: true, ril: false),
    FeatureCase(stage1: true, stage2: false, hyp: false, ril: true),
    FeatureCase(stage1: false, stage2: true, hyp: false, ril: true),
    FeatureCase(stage1: true, stage2: true, hyp: false, ril: true),
    FeatureCase(stage1: true, stage2: true, hyp: true, ril: true),
    FeatureCase(stage1: true, stage2: true, hyp: true, ril: true, wide: false),
  ]

  static let full = FeatureCase(stage1: true, stage2: true, hyp: true, ril: true).features
}

func decode(
  _ low: UInt64, _ high: UInt64 = 0, _ features: Features = FeatureCase.full,
  _ rules: CommandRules = CommandRules()
) -> Command? {
  CommandDecoder(features, rules).decode(CommandWords(low, high))
}

func effect(
  _ low: UInt64, _ high: UInt64 = 0, _ features: Features = FeatureCase.full,
  _ rules: CommandRules = CommandRules()
) -> CommandEffect? {
  decode(low, high, features, rules)?.effect(features)
}

var strict: CommandRules {
  var rules = CommandRules()
  rules.strictReserved = true
  return rules
}

@Suite("The command table")
struct CommandTableTests {
  @Test("opcodes and their parameters are those of the architecture (R-268, R-274)")
  func layouts() throws {
    #expect(Opcode.allCases.map(\.rawValue) == CommandSheet.all.map(\.opcode))
    #expect(CommandWords.bytes == 16)
    for sheet in CommandSheet.all {
      let opcode = try #require(Opcode(rawValue: sheet.opcode))
      let fields = CommandWords.fields(of: opcode)
      #expect(opcode.hasSSec == sheet.hasSSec, "\(opcode.name)")
      #expect(fields.count == sheet.fields.count, "\(opcode.name)")
      for (high, low) in sheet.fields {
        #expect(fields.contains(Field("", high, low)), "\(opcode.name) [\(high):\(low)]")
      }
      for field in fields { #expect(field.high / 64 == field.low / 64, "\(opcode.name)") }
    }
  }

  @Test("every opcode is legal exactly where its gate holds (R-165, R-270)",
    arguments: FeatureCase.all)
  func legality(features: FeatureCase) {
    for byte in 0...UInt8.max {
      let sheet = CommandSheet.of(byte)
      let isLegal = sheet?.isLegal(
        stage1: features.stage1, stage2: features.stage2, hyp: features.hyp) ?? false
      #expect((decode(UInt64(byte), 0, features.features) != nil) == isLegal, "opcode \(byte)")
    }
  }

  @Test("reserved opcodes are illegal whatever the features (R-269)")
  func reserved() {
    var everything = Features()
    everything[.idr0] = .max
    everything[.idr1] = .max
    everything[.idr3] = .max
    let ranges: [ClosedRange<UInt64>] = [
      0x00...0x00, 0x08...0x0f, 0x14...0x17, 0x18...0x1a, 0x1b...0x1f, 0x24...0x27, 0x29...0x29,
      0x2b...0x2f, 0x31...0x3f, 0x42...0x43, 0x47...0x6f, 0x71...0x72, 0x74...0xff,
    ]
    for range in ranges {
      for opcode in range {
        #expect(
          CommandDecoder(everything).decode(CommandWords(opcode, 0)) == nil, "opcode \(opcode)")
      }
    }
  }

  @Test("commands of features that are not built are illegal (R-070)")
  func absent() {
    for sheet in CommandSheet.all where sheet.need == .absent {
      for features in FeatureCase.all {
        #expect(decode(UInt64(sheet.opcode), 0, features.features) == nil, "\(sheet.opcode)")
      }
    }
  }

  @Test("SSec is illegal in every command that has it, reserved in the others (R-271)")
  func secure() {
    for sheet in CommandSheet.all where sheet.need != .absent {
      let plain = decode(UInt64(sheet.opcode))
      #expect(plain != nil)
      let set = decode(UInt64(sheet.opcode) | 1 << 10)
      #expect(set == (sheet.hasSSec ? nil : plain), "opcode \(sheet.opcode)")
    }
  }

  @Test("a reserved bit is ignored, or illegal under strict rules (R-272, R-360)")
  func reservedBits() {
    for sheet in CommandSheet.all where sheet.need != .absent {
      let plain = decode(UInt64(sheet.opcode))
      for bit in 8..<128 where !sheet.defines(bit) {
        let low: UInt64 = bit < 64 ? 1 << UInt64(bit) : 0
        let high: UInt64 = bit < 64 ? 0 : 1 << UInt64(bit - 64)
        #expect(decode(UInt64(sheet.opcode) | low, high) == plain, "\(sheet.opcode) bit \(bit)")
        #expect(
          decode(UInt64(sheet.opcode) | low, high, FeatureCase.full, strict) == nil,
          "\(sheet.opcode) bit \(bit)")
      }
    }
  }

  @Test("strict rules leave every defined parameter alone (R-272)")
  func definedBits() {
    // Bits of a range need TG; SCALE bit 25 and TTL128 need features that cannot be offered.
    for sheet in CommandSheet.all where sheet.need != .absent {
      let isRange = sheet.defines(74) && sheet.fields.contains { $0 == (16, 12) }
      for bit in 8..<128 where sheet.defines(bit) && bit != 10 {
        if isRange && (bit == 25 || bit == 71) { continue }
        var words = CommandWords(UInt64(sheet.opcode), 0)
        if isRange { words[CommandWords.tg] = 1; words[CommandWords.num] = 1 }
        words[word: bit / 64] |= 1 << UInt64(bit % 64)
        // CS 3 never comes about: one bit at a time.
        #expect(
          decode(words.low, words.high, FeatureCase.full, strict) != nil,
          "\(sheet.opcode) bit \(bit)")
      }
    }
  }

  @Test("strict rules know which range fields exist (R-321, R-322)")
  func rangeFields() {
    let without = FeatureCase(stage1: true, stage2: true, hyp: true, ril: false).features
    let rangeBits: [(UInt64, UInt64)] = [(1 << 12, 0), (1 << 20, 0), (0, 1 << 8)]
    for opcode: UInt64 in [0x12, 0x13, 0x22, 0x23, 0x2a] {
      for (low, high) in rangeBits {
        // TG = 0, or no ranges at all.
        #expect(decode(opcode | low, high, FeatureCase.full, strict) == nil)
        #expect(decode(opcode | low, high, without, strict) == nil)
        #expect(decode(opcode | low, high | 1 << 10, FeatureCase.full, strict) != nil)
      }
      #expect(decode(opcode, 1 << 10, without, strict) == nil)
      // SCALE[5] without 52-bit addresses, TTL128 without 128-bit descriptors.
      #expect(decode(opcode | 1 << 12 | 1 << 25, 1 << 10, FeatureCase.full, strict) == nil)
      #expect(decode(opcode | 1 << 12, 1 << 10 | 1 << 8 | 1 << 7, FeatureCase.full, strict) == nil)
    }
  }

  @Test("TLBIs that need no decoding where nothing is cached", arguments: FeatureCase.all)
  func undecoded(features: FeatureCase) {
    var random = SeededWords(state: 5)
    for rules in [CommandRules(), strict] {
      let decoder = CommandDecoder(features.features, rules)
      for opcode in 0...UInt64(255) {
        for _ in 0..<20 {
          let words = CommandWords(
            random.next()! & ~0xff | opcode, random.next()! & random.next()!)
          let command = decoder.decode(words)
          let plain = decoder.sparesTables(words)
          guard [0x10, 0x11, 0x12, 0x13, 0x28, 0x2a, 0x30].contains(opcode),
            words[CommandWords.tg] == 0, command != nil, !rules.strictReserved
          else {
            #expect(plain == nil, "\(words)")
            continue
          }
          #expect(plain == command?.sparesTables, "\(words)")
        }
      }
    }
  }

  @Test("an illegal parameter wins over what the rules ignore (R-177, R-273)")
  func illegalWins() {
    // CS = 3 together with reserved bits, under both rules.
    for high: UInt64 in [0, 1 << 63] {
      #expect(decode(0x46 | 3 << 12, high) == nil)
      #expect(decode(0x46 | 3 << 12, high, FeatureCase.full, strict) == nil)
    }
    // SSec in a prefetch, which is otherwise without effect.
    #expect(decode(0x01 | 1 << 10) == nil)
  }

  @Test("EL2 commands are accepted without HYP only where that is asked for, and name all (R-270)")
  func acceptEL2() {
    let features = FeatureCase(stage1: true, stage2: true, hyp: false, ril: true).features
    var rules = CommandRules()
    for opcode: UInt64 in 0x20...0x23 {
      #expect(decode(opcode, 0, features, rules) == nil)
    }
    rules.acceptEL2 = true
    for opcode: UInt64 in 0x20...0x23 {
      #expect(
        effect(opcode, 0, features, rules) == .invalidate(.everything))
    }
    // With HYP they are of EL2's entries.
    let hyp = FeatureCase(stage1: true, stage2: true, hyp: true, ril: true).features
    #expect(effect(0x20, 0, hyp, rules) == .invalidate(.nothing))
    // The other gates stay.
    #expect(decode(0x40, 0, features, rules) == nil)
  }
}
