// SPDX-License-Identifier: MIT

/// Inclusive bounds of the addresses that an invalidation names.
public struct AddressRange: Equatable, Sendable {
  public let first: UInt64
  public let last: UInt64

  @inline(__always)
  public init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
  }

  public static var all: AddressRange { AddressRange(first: 0, last: .max) }
}

/// What a CMD_TLBI removes (§4.4).
public enum TLBInvalidation: Equatable, Sendable {
  /// All stage 1 information of a VMID.
  case stage1(VMID)
  /// The non-global stage 1 information of an ASID.
  case asid(VMID, ASID)
  /// Stage 1 information by address: of one ASID and global, or of any.
  case address(VMID, ASID?, AddressRange)
  /// Stage 2 information by address.
  case intermediate(VMID, AddressRange)
  /// All information of a VMID.
  case machine(VMID)
  /// All of NS-EL1, every VMID.
  case everything
  /// Of the EL2 worlds where streams have one: there are no entries.
  case nothing
}

extension TLBInvalidation {
  /// What names entries of EL2. Without Hyp an STE's STRW is RES0 (§5.2): the streams that a driver
  /// means are of NS-EL1, with whatever VMID their STEs say, so all of that goes. To remove more
  /// than is named is allowed (§4.4).
  @inline(__always)
  public static func ofEL2(_ features: Features) -> TLBInvalidation {
    features.hyp ? .nothing : .everything
  }
}

/// How CMD_SYNC tells that it is complete (§4.7.3).
public enum Completion: Equatable, Sendable {
  case none
  /// A wired pulse, and an MSI unless the address is zero.
  case interrupt(address: UInt64, data: UInt32)
  case event
}

/// A legal command, decoded.
public enum Command: Equatable, Sendable {
  case prefetch
  /// STEs of these StreamIDs, with their CDs.
  case forgetStreams(first: StreamID, last: StreamID)
  case forgetContext(StreamID, SubstreamID)
  case forgetContexts(StreamID)
  case invalidate(TLBInvalidation)
  case synchronize(Completion)
}

/// CMDQ_CONS.ERR (§7.1).
public enum CommandError: UInt8, Error, Equatable, Sendable {
  case illegal = 1
  case abort = 2
}

/// How far decoding follows the letter.
public struct CommandRules: Sendable {
  /// A non-zero reserved field is illegal; else it is ignored. Both are allowed (§4.1.5).
  public var strictReserved = false
  /// CMD_TLBI_EL2_* is accepted although IDR0.Hyp is 0.
  public var acceptEL2 = false

  public init() {}
}

extension Command {
  /// Decodes a queue entry for an SMMU with these features. Total: every pair of words is a command
  /// or CERROR_ILL.
  @inline(__always)
  public init(
    _ words: CommandWords, _ features: Features, _ rules: CommandRules = CommandRules()
  ) throws(CommandError) {
    guard let opcode = Opcode(rawValue: UInt8(truncatingIfNeeded: words.low)) else {
      throw .illegal
    }
    guard opcode.gate.holds(features) || (rules.acceptEL2 && opcode.isEL2) else { throw .illegal }
    if words.flag(CommandWords.ssec) && opcode.hasSSec { throw .illegal }
    if rules.strictReserved && words.hasReserved(opcode, features) { throw .illegal }
    self = try Command(opcode, words, features)
  }

  @inline(__always)
  private init(
    _ opcode: Opcode, _ words: CommandWords, _ features: Features
  ) throws(CommandError) {
    switch opcode {
    case .prefetchConfig, .prefetchAddr:
      // Fetching nothing is a legal prefetch (§4.2.1).
      self = .prefetch
    case .cfgiSTE:
      self = .forgetStreams(first: words.stream, last: words.stream)
    case .cfgiSTERange:
      // 2^(Range+1) aligned StreamIDs; 31 is all of them (§4.3.2, §4.3.6).
      let block = UInt64.ones(Int(truncatingIfNeeded: words[CommandWords.range]) + 1)
      let low = UInt32(truncatingIfNeeded: block)
      self = .forgetStreams(first: words.stream & ~low, last: words.stream | low)
    case .cfgiCD:
      self = .forgetContext(
        words.stream, SubstreamID(truncatingIfNeeded: words[CommandWords.substreamID]))
    case .cfgiCDAll:
      self = .forgetContexts(words.stream)
    case .tlbiNHAll:
      self = .invalidate(.stage1(words.vmid(features)))
    case .tlbiNHASID:
      self = .invalidate(.asid(words.vmid(features), words.asid(features)))
    case .tlbiNHVA:
      let range = try words.virtualRange(features)
      self = .invalidate(.address(words.vmid(features), words.asid(features), range))
    case .tlbiNHVAA:
      let range = try words.virtualRange(features)
      self = .invalidate(.address(words.vmid(features), nil, range))
    case .tlbiS12VMAll:
      self = .invalidate(.machine(words.vmid(features)))
    case .tlbiS2IPA:
      // Bits above the intermediate address are RES0.
      let range = try words.range(from: words[CommandWords.ipa] &<< 12, features)
      self = .invalidate(.intermediate(words.vmid(features), range))
    case .tlbiNSNHAll:
      self = .invalidate(.everything)
    case .tlbiEL2VA, .tlbiEL2VAA:
      _ = try words.virtualRange(features)
      self = .invalidate(.ofEL2(features))
    case .tlbiEL2All, .tlbiEL2ASID:
      self = .invalidate(.ofEL2(features))
    case .sync:
      self = .synchronize(try words.completion(features))
    case .cfgiVMSPIDM, .atcInv, .priResp, .resume, .stallTerm, .dptiAll, .dptiPA:
      // Their features cannot be offered, so their gates never hold.
      throw .illegal
    }
  }
}

extension Opcode {
  @inline(__always)
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

extension CommandWords {
  /// Of a TLBI by address of stage 1: tables need not be forgotten (§4.4.1). For stage 2 they are
  /// all the same, as stage 1 tables lie behind its leaves.
  @inline(__always)
  public var namesLeaves: Bool {
    let opcode = UInt8(truncatingIfNeeded: low)
    return flag(CommandWords.leaf)
      && (opcode == Opcode.tlbiNHVA.rawValue || opcode == Opcode.tlbiNHVAA.rawValue)
  }

  @inline(__always)
  var stream: StreamID { StreamID(truncatingIfNeeded: self[CommandWords.streamID]) }

  /// Without stage 2 there are no VMIDs (§4.4.2); without VMID16 the upper half is not looked at.
  @inline(__always)
  func vmid(_ features: Features) -> VMID {
    let raw = VMID(truncatingIfNeeded: self[CommandWords.vmid])
    return !features.stage2 ? 0 : features.vmid16 ? raw : raw & 0xff
  }

  @inline(__always)
  func asid(_ features: Features) -> ASID {
    let raw = ASID(truncatingIfNeeded: self[CommandWords.asid])
    return features.asid16 ? raw : raw & 0xff
  }

  /// The VA range. Bits [63:56] count as copies of bit 55, as they do in a PE's TLBI: tagged and
  /// plain addresses then name the same entries (§4.4.2).
  @inline(__always)
  func virtualRange(_ features: Features) throws(CommandError) -> AddressRange {
    let tagged = self[CommandWords.address] &<< 12
    return try range(from: UInt64(bitPattern: Int64(bitPattern: tagged &<< 8) &>> 8), features)
  }

  /// §4.4.1.1: (NUM + 1) * 2^SCALE granules from the address on, clipped at the top of the 64-bit
  /// space. TTL is not used to spare entries: removing all levels is always allowed.
  @inline(__always)
  func range(from address: UInt64, _ features: Features) throws(CommandError) -> AddressRange {
    guard features.rangeInvalidation, let granule = Granule(range: self[CommandWords.tg]) else {
      return AddressRange(first: address, last: address | 0xfff)
    }
    let count = self[CommandWords.num] &+ 1
    // SCALE[5] exists with 52-bit addresses alone.
    let scale = Int(truncatingIfNeeded: self[CommandWords.scale] & 0x1f)
    let hint = self[CommandWords.ttl]
    // A 16K granule has no level 1 leaves without 52-bit addresses.
    let noHint = hint == 0 || (granule == .size16K && hint == 1)
    if count == 1 && scale == 0 && noHint { throw .illegal }
    let first = address & ~UInt64.ones(granule.shift)
    let bytes = count &<< UInt64(truncatingIfNeeded: scale + granule.shift)
    // `first` rounds down, so the end is taken from the address itself and rounds up.
    let (end, overflow) = address.addingReportingOverflow(bytes &- 1)
    return AddressRange(first: first, last: overflow ? .max : end | UInt64.ones(granule.shift))
  }

  @inline(__always)
  func completion(_ features: Features) throws(CommandError) -> Completion {
    switch self[CommandWords.cs] {
    case 0: return .none
    case 1:
      // §4.7.3: address and data are ignored without MSIs.
      return .interrupt(
        address: features.msi ? self[CommandWords.msiAddress] &<< 2 : 0,
        data: UInt32(truncatingIfNeeded: self[CommandWords.msiData]))
    case 2: return .event
    default: throw .illegal
    }
  }

  /// Whether a bit is set that `opcode` does not define on this SMMU.
  func hasReserved(_ opcode: Opcode, _ features: Features) -> Bool {
    var defined = CommandWords(0xff, 0)
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
    return low & ~defined.low != 0 || high & ~defined.high != 0
  }
}
