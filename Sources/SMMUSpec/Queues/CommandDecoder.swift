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
  let low: UInt64
  let high: UInt64
  /// Those of them that are TLBIs of the worlds that streams have here; and of these, those of
  /// stage 1 by address. All are below 64. None where rules are strict.
  let invalidations: UInt64
  let byAddress: UInt64
  let vmids: VMID
  let asids: ASID

  public init(_ features: Features, _ rules: CommandRules = CommandRules()) {
    self.features = features
    self.rules = rules
    var set: (low: UInt64, high: UInt64) = (0, 0)
    for opcode in Opcode.allCases
    where opcode.gate.holds(features) || (rules.acceptEL2 && opcode.isEL2) {
      if opcode.rawValue < 64 { set.low |= opcode.bit } else { set.high |= opcode.bit }
    }
    (low, high) = set
    invalidations = rules.strictReserved ? 0 : set.low & Opcode.ofTranslations
    byAddress = Opcode.tlbiNHVA.bit | Opcode.tlbiNHVAA.bit
    // Without stage 2 there are no VMIDs (§4.4.2); of 8-bit ones the upper half is not looked at.
    vmids = !features.stage2 ? 0 : features.vmid16 ? 0xffff : 0xff
    asids = features.asid16 ? 0xffff : 0xff
  }

  /// Whether the byte is the opcode of a command here.
  @inline(__always)
  func knows(_ opcode: UInt8) -> Bool {
    opcode < 128 && (opcode < 64 ? low : high)[Int(truncatingIfNeeded: opcode & 63)]
  }

  /// The command that these words are, nil for CERROR_ILL (`violation` says why).
  @inline(__always)
  public func decode(_ words: CommandWords) -> Command? {
    let opcode = UInt8(truncatingIfNeeded: words.low)
    guard knows(opcode), !_slowPath(words.flag(CommandWords.ssec) && hasSSec(opcode)),
      !_slowPath(rules.strictReserved && hasReserved(words, opcode))
    else { return nil }
    switch opcode {
    case Opcode.prefetchConfig.rawValue: return .prefetchConfig(words.source)
    case Opcode.prefetchAddr.rawValue: return .prefetchAddr(words.source, words.span)
    case Opcode.cfgiSTE.rawValue: return .cfgiSTE(words.stream, leaf: words.isLeaf)
    case Opcode.cfgiSTERange.rawValue: return .cfgiSTERange(words.stream, range: words.streams)
    case Opcode.cfgiCD.rawValue:
      return .cfgiCD(words.stream, substream: words.substream, leaf: words.isLeaf)
    case Opcode.cfgiCDAll.rawValue: return .cfgiCDAll(words.stream)
    case Opcode.tlbiNHAll.rawValue: return .tlbiNHAll(vmid(words))
    case Opcode.tlbiNHASID.rawValue: return .tlbiNHASID(vmid(words), asid(words))
    case Opcode.tlbiNHVA.rawValue:
      return target(words).map { .tlbiNHVA(vmid(words), asid: asid(words), target: $0) }
    case Opcode.tlbiNHVAA.rawValue: return target(words).map { .tlbiNHVAA(vmid(words), $0) }
    case Opcode.tlbiEL2All.rawValue: return .tlbiEL2All
    case Opcode.tlbiEL2ASID.rawValue: return .tlbiEL2ASID(asid(words))
    case Opcode.tlbiEL2VA.rawValue: return target(words).map { .tlbiEL2VA(asid(words), $0) }
    case Opcode.tlbiEL2VAA.rawValue: return target(words).map { .tlbiEL2VAA($0) }
    case Opcode.tlbiS12VMAll.rawValue: return .tlbiS12VMAll(vmid(words))
    case Opcode.tlbiS2IPA.rawValue:
      // Bits above the intermediate address are RES0.
      return target(CommandWords(words.low, words.high & UInt64.ones(56))).map {
        .tlbiS2IPA(vmid(words), $0)
      }
    case Opcode.tlbiNSNHAll.rawValue: return .tlbiNSNHAll
    case Opcode.atcInv.rawValue: return atcInvalidation(words).map { .atcInv($0) }
    case Opcode.sync.rawValue: return synchronization(words).map { .sync($0) }
    // The features of the others cannot be offered.
    default: return nil
    }
  }

  /// Of words that are a legal TLBI without a range, whether it spares tables; nil for all others.
  /// This is all that an SMMU without cached translations needs to know of one.
  @inline(__always)
  public func sparesTables(_ words: CommandWords) -> Bool? {
    let opcode = UInt8(truncatingIfNeeded: words.low)
    guard opcode < 64, invalidations[Int(truncatingIfNeeded: opcode)],
      words[CommandWords.tg] == 0
    else { return nil }
    return words.isLeaf && byAddress[Int(truncatingIfNeeded: opcode)]
  }

  @inline(never)
  func hasSSec(_ opcode: UInt8) -> Bool { Opcode(rawValue: opcode)?.hasSSec ?? false }

  @inline(never)
  func hasReserved(_ words: CommandWords, _ opcode: UInt8) -> Bool {
    guard let opcode = Opcode(rawValue: opcode) else { return true }
    let reserved = words.reserved(opcode, features)
    return words.low & reserved.low != 0 || words.high & reserved.high != 0
  }

  @inline(__always)
  func vmid(_ words: CommandWords) -> VMID {
    VMID(truncatingIfNeeded: words[CommandWords.vmid]) & vmids
  }

  @inline(__always)
  func asid(_ words: CommandWords) -> ASID {
    ASID(truncatingIfNeeded: words[CommandWords.asid]) & asids
  }

  /// nil for a range that is illegal.
  @inline(__always)
  func target(_ words: CommandWords) -> TLBIAddress? {
    if _slowPath(words[CommandWords.tg] != 0) { return rangeTarget(words) }
    return TLBIAddress(words[CommandWords.address] &<< 12, leaf: words.isLeaf)
  }

  @inline(never)
  func rangeTarget(_ words: CommandWords) -> TLBIAddress? {
    let range = features.rangeInvalidation ? words.invalidationRange : nil
    if let range, range.isReserved { return nil }
    return TLBIAddress(words[CommandWords.address] &<< 12, leaf: words.isLeaf, range: range)
  }

  /// nil for a size that is none. A PASID is ignored where there are no substreams (§4.5.1).
  @inline(never)
  func atcInvalidation(_ words: CommandWords) -> ATCInvalidation? {
    let size = UInt8(truncatingIfNeeded: words[CommandWords.atcSize])
    guard size <= ATCInvalidation.everything else { return nil }
    let source = features.substreamIDBits > 0 ? words.source : CommandSource(words.stream)
    return ATCInvalidation(
      source, isGlobal: source.substream != nil && words.flag(CommandWords.global),
      address: words[CommandWords.address] &<< 12 & ~UInt64.ones(12 &+ Int(size)), size: size)
  }

  /// nil for a signal that is illegal.
  @inline(__always)
  func synchronization(_ words: CommandWords) -> Synchronization? {
    guard
      let signal = Synchronization.Signal(
        rawValue: UInt8(truncatingIfNeeded: words[CommandWords.cs]))
    else { return nil }
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
  var stream: StreamID { StreamID(truncatingIfNeeded: self[CommandWords.streamID]) }

  @inline(__always)
  var substream: SubstreamID {
    SubstreamID(truncatingIfNeeded: self[CommandWords.substreamID])
  }

  @inline(__always)
  var isLeaf: Bool { flag(CommandWords.leaf) }

  @inline(__always)
  var streams: UInt8 { UInt8(truncatingIfNeeded: self[CommandWords.range]) }

  @inline(__always)
  var source: CommandSource {
    CommandSource(stream, substream: flag(CommandWords.ssv) ? substream : nil)
  }

  /// NS is RES0 on the non-secure queue.
  @inline(__always)
  var span: PrefetchSpan {
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
  /// In a set of those below 64, or of those from there on.
  var bit: UInt64 { 1 &<< UInt64(rawValue & 63) }

  /// TLBIs of NS-EL1.
  static var ofTranslations: UInt64 {
    let opcodes = [
      tlbiNHAll, tlbiNHASID, tlbiNHVA, tlbiNHVAA, tlbiS12VMAll, tlbiS2IPA, tlbiNSNHAll,
    ]
    return opcodes.reduce(0) { $0 | $1.bit }
  }

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
