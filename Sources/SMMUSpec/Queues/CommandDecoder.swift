// SPDX-License-Identifier: MIT

/// How far decoding follows the letter.
public struct CommandRules: Sendable {
  /// A non-zero reserved field is illegal; else it is ignored. Both are allowed (§4.1.5).
  public var strictReserved = false
  /// CMD_TLBI_EL2_* is accepted although IDR0.Hyp is 0.
  public var acceptEL2 = false

  public init() {}
}

/// Judges queue entries for an SMMU with certain features.
public struct CommandDecoder: Sendable {
  let features: Features
  let rules: CommandRules
  /// The opcodes that are commands here, a bit each.
  private let low: UInt64
  private let high: UInt64
  private let vmids: VMID
  private let asids: ASID

  public init(_ features: Features, _ rules: CommandRules = CommandRules()) {
    self.features = features
    self.rules = rules
    var set: (low: UInt64, high: UInt64) = (0, 0)
    for opcode in Opcode.allCases
    where opcode.gate.holds(features) || (rules.acceptEL2 && opcode.isEL2) {
      let bit: UInt64 = 1 &<< UInt64(opcode.rawValue & 63)
      if opcode.rawValue < 64 { set.low |= bit } else { set.high |= bit }
    }
    (low, high) = set
    // Without stage 2 there are no VMIDs (§4.4.2); of 8-bit ones the upper half is not looked at.
    vmids = !features.stage2 ? 0 : features.vmid16 ? 0xffff : 0xff
    asids = features.asid16 ? 0xffff : 0xff
  }

  /// Whether the byte is the opcode of a command here.
  @inline(__always)
  func knows(_ opcode: UInt8) -> Bool {
    opcode < 128 && (opcode < 64 ? low : high)[Int(truncatingIfNeeded: opcode & 63)]
  }

  /// Total: every pair of words is a command or CERROR_ILL.
  @inline(__always)
  public func decode(_ words: CommandWords) throws(CommandError) -> Command {
    let byte = UInt8(truncatingIfNeeded: words.low)
    guard knows(byte), let opcode = Opcode(rawValue: byte) else { throw .illegal }
    if _slowPath(words.flag(CommandWords.ssec)) && opcode.hasSSec { throw .illegal }
    if _slowPath(rules.strictReserved) && words.hasReserved(opcode, features) { throw .illegal }
    return try decode(opcode, words)
  }

  @inline(__always)
  private func decode(
    _ opcode: Opcode, _ words: CommandWords
  ) throws(CommandError) -> Command {
    switch opcode {
    case .prefetchConfig: return .prefetchConfig(words.source)
    case .prefetchAddr: return .prefetchAddr(words.source, words.span)
    case .cfgiSTE: return .cfgiSTE(words.stream, leaf: words.flag(CommandWords.leaf))
    case .cfgiSTERange:
      return .cfgiSTERange(
        words.stream, range: UInt8(truncatingIfNeeded: words[CommandWords.range]))
    case .cfgiCD:
      return .cfgiCD(
        words.stream, SubstreamID(truncatingIfNeeded: words[CommandWords.substreamID]),
        leaf: words.flag(CommandWords.leaf))
    case .cfgiCDAll: return .cfgiCDAll(words.stream)
    case .tlbiNHAll: return .tlbiNHAll(vmid(words))
    case .tlbiNHASID: return .tlbiNHASID(vmid(words), asid(words))
    case .tlbiNHVA: return .tlbiNHVA(vmid(words), asid(words), try target(words))
    case .tlbiNHVAA: return .tlbiNHVAA(vmid(words), try target(words))
    case .tlbiEL2All: return .tlbiEL2All
    case .tlbiEL2ASID: return .tlbiEL2ASID(asid(words))
    case .tlbiEL2VA: return .tlbiEL2VA(asid(words), try target(words))
    case .tlbiEL2VAA: return .tlbiEL2VAA(try target(words))
    case .tlbiS12VMAll: return .tlbiS12VMAll(vmid(words))
    case .tlbiS2IPA:
      // Bits above the intermediate address are RES0.
      var target = try target(words)
      target.address &= UInt64.ones(56)
      return .tlbiS2IPA(vmid(words), target)
    case .tlbiNSNHAll: return .tlbiNSNHAll
    case .sync: return .sync(try synchronization(words))
    case .cfgiVMSPIDM, .atcInv, .priResp, .resume, .stallTerm, .dptiAll, .dptiPA:
      // Their features cannot be offered, so their gates never hold.
      throw .illegal
    }
  }

  @inline(__always)
  private func vmid(_ words: CommandWords) -> VMID {
    VMID(truncatingIfNeeded: words[CommandWords.vmid]) & vmids
  }

  @inline(__always)
  private func asid(_ words: CommandWords) -> ASID {
    ASID(truncatingIfNeeded: words[CommandWords.asid]) & asids
  }

  @inline(__always)
  private func target(_ words: CommandWords) throws(CommandError) -> TLBIAddress {
    var target = TLBIAddress(
      words[CommandWords.address] &<< 12, leaf: words.flag(CommandWords.leaf))
    if words[CommandWords.tg] != 0 && features.rangeInvalidation {
      target.range = words.invalidationRange
      if let range = target.range, range.isReserved { throw .illegal }
    }
    return target
  }

  @inline(__always)
  private func synchronization(_ words: CommandWords) throws(CommandError) -> Synchronization {
    guard
      let signal = Synchronization.Signal(
        rawValue: UInt8(truncatingIfNeeded: words[CommandWords.cs]))
    else { throw .illegal }
    var sync = Synchronization(signal)
    // What says where an MSI goes is ignored where none is sent.
    guard signal == .interrupt, features.msi else { return sync }
    sync.address = words[CommandWords.msiAddress] &<< 2
    sync.data = UInt32(truncatingIfNeeded: words[CommandWords.msiData])
    sync.shareability = UInt8(truncatingIfNeeded: words[CommandWords.msh])
    sync.attributes = UInt8(truncatingIfNeeded: words[CommandWords.msiAttr])
    return sync
  }
}

extension CommandWords {
  @inline(__always)
  fileprivate var stream: StreamID { StreamID(truncatingIfNeeded: self[CommandWords.streamID]) }

  @inline(__always)
  fileprivate var source: CommandSource {
    let substream = SubstreamID(truncatingIfNeeded: self[CommandWords.substreamID])
    return CommandSource(stream, substream: flag(CommandWords.ssv) ? substream : nil)
  }

  /// NS is RES0 on the non-secure queue.
  @inline(__always)
  fileprivate var span: PrefetchSpan {
    PrefetchSpan(
      address: self[CommandWords.address] &<< 12,
      size: UInt8(truncatingIfNeeded: self[CommandWords.prefetchSize]),
      stride: UInt8(truncatingIfNeeded: self[CommandWords.prefetchStride]))
  }

  /// §4.4.1.1, nil without a granule: the other fields are not looked at then. Without 52-bit
  /// addresses there is no SCALE[5], and no leaf of level 1 of a 16K granule.
  var invalidationRange: TLBIRange? {
    guard let granule = Granule(range: self[CommandWords.tg]) else { return nil }
    let ttl = UInt8(truncatingIfNeeded: self[CommandWords.ttl])
    return TLBIRange(
      granule, num: UInt8(truncatingIfNeeded: self[CommandWords.num]),
      scale: UInt8(truncatingIfNeeded: self[CommandWords.scale] & 0x1f),
      ttl: granule == .size16K && ttl == 1 ? 0 : ttl)
  }

  func hasReserved(_ opcode: Opcode, _ features: Features) -> Bool {
    let reserved = reserved(opcode, features)
    return low & reserved.low != 0 || high & reserved.high != 0
  }

  /// The bits that `opcode` does not define on this SMMU.
  func reserved(_ opcode: Opcode, _ features: Features) -> CommandWords {
    var defined = CommandWords(CommandWords.opcode.mask, 0)
    for field in CommandWords.fields(of: opcode) {
      defined[word: field.low >> 6] |= field.mask
    }
    if opcode.hasRange {
      if !features.rangeInvalidation || self[CommandWords.tg] == 0 {
        for field in [CommandWords.num, CommandWords.scale, CommandWords.ttl128, CommandWords.ttl] {
          defined[word: field.low >> 6] &= ~field.mask
        }
      }
      if !features.rangeInvalidation { defined.high &= ~CommandWords.tg.mask }
      // Bit 25 needs DS, TTL128 needs D128.
      defined.low &= ~(1 &<< 25 as UInt64)
      defined.high &= ~CommandWords.ttl128.mask
    }
    return CommandWords(~defined.low, ~defined.high)
  }
}

extension Opcode {
  var isEL2: Bool {
    switch self {
    case .tlbiEL2All, .tlbiEL2ASID, .tlbiEL2VA, .tlbiEL2VAA: true
    default: false
    }
  }

  /// Commands whose range fields exist only with IDR3.RIL.
  var hasRange: Bool {
    switch self {
    case .tlbiNHVA, .tlbiNHVAA, .tlbiEL2VA, .tlbiEL2VAA, .tlbiS2IPA: true
    default: false
    }
  }
}
