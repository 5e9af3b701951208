// SPDX-License-Identifier: MIT

extension Command {
  public var opcode: Opcode {
    switch self {
    case .prefetchConfig: .prefetchConfig
    case .prefetchAddr: .prefetchAddr
    case .cfgiSTE: .cfgiSTE
    case .cfgiSTERange: .cfgiSTERange
    case .cfgiCD: .cfgiCD
    case .cfgiCDAll: .cfgiCDAll
    case .tlbiNHAll: .tlbiNHAll
    case .tlbiNHASID: .tlbiNHASID
    case .tlbiNHVA: .tlbiNHVA
    case .tlbiNHVAA: .tlbiNHVAA
    case .tlbiEL2All: .tlbiEL2All
    case .tlbiEL2ASID: .tlbiEL2ASID
    case .tlbiEL2VA: .tlbiEL2VA
    case .tlbiEL2VAA: .tlbiEL2VAA
    case .tlbiS12VMAll: .tlbiS12VMAll
    case .tlbiS2IPA: .tlbiS2IPA
    case .tlbiNSNHAll: .tlbiNSNHAll
    case .atcInv: .atcInv
    case .sync: .sync
    }
  }

  /// The queue entry that says this, with zero in every other bit.
  public var words: CommandWords {
    var words = CommandWords(UInt64(opcode.rawValue), 0)
    switch self {
    case .prefetchConfig(let source): words.set(source)
    case .prefetchAddr(let source, let span):
      words.set(source)
      words[CommandWords.address] = span.address >> 12
      words[CommandWords.prefetchSize] = UInt64(span.size)
      words[CommandWords.prefetchStride] = UInt64(span.stride)
    case .cfgiSTE(let stream, let leaf):
      words.set(stream: stream)
      words[CommandWords.leaf] = leaf ? 1 : 0
    case .cfgiSTERange(let stream, let range):
      words.set(stream: stream)
      words[CommandWords.range] = UInt64(range)
    case .cfgiCD(let stream, let substream, let leaf):
      words.set(stream: stream)
      words[CommandWords.substreamID] = UInt64(substream)
      words[CommandWords.leaf] = leaf ? 1 : 0
    case .cfgiCDAll(let stream): words.set(stream: stream)
    case .tlbiNHAll(let vmid), .tlbiS12VMAll(let vmid): words.set(vmid: vmid)
    case .tlbiNHASID(let vmid, let asid): words.set(vmid: vmid, asid: asid)
    case .tlbiNHVA(let vmid, let asid, let target):
      words.set(vmid: vmid, asid: asid)
      words.set(target)
    case .tlbiNHVAA(let vmid, let target), .tlbiS2IPA(let vmid, let target):
      words.set(vmid: vmid)
      words.set(target)
    case .tlbiEL2ASID(let asid): words.set(vmid: 0, asid: asid)
    case .tlbiEL2VA(let asid, let target):
      words.set(vmid: 0, asid: asid)
      words.set(target)
    case .tlbiEL2VAA(let target): words.set(target)
    case .tlbiEL2All, .tlbiNSNHAll: break
    case .atcInv(let what): words.set(what)
    case .sync(let sync): words.set(sync)
    }
    return words
  }
}

extension CommandWords {
  fileprivate mutating func set(stream: StreamID) {
    self[CommandWords.streamID] = UInt64(stream)
  }

  fileprivate mutating func set(_ source: CommandSource) {
    set(stream: source.stream)
    guard let substream = source.substream else { return }
    self[CommandWords.ssv] = 1
    self[CommandWords.substreamID] = UInt64(substream)
  }

  fileprivate mutating func set(vmid: VMID, asid: ASID = 0) {
    self[CommandWords.vmid] = UInt64(vmid)
    self[CommandWords.asid] = UInt64(asid)
  }

  fileprivate mutating func set(_ target: TLBIAddress) {
    self[CommandWords.address] = target.address >> 12
    self[CommandWords.leaf] = target.leaf ? 1 : 0
    guard let range = target.range else { return }
    self[CommandWords.tg] = range.granule.rangeEncoding
    self[CommandWords.num] = UInt64(range.num)
    self[CommandWords.scale] = UInt64(range.scale)
    self[CommandWords.ttl] = UInt64(range.ttl)
  }

  fileprivate mutating func set(_ what: ATCInvalidation) {
    set(what.source)
    self[CommandWords.global] = what.isGlobal ? 1 : 0
    self[CommandWords.address] = what.address >> 12
    self[CommandWords.atcSize] = UInt64(what.size)
  }

  fileprivate mutating func set(_ sync: Synchronization) {
    self[CommandWords.cs] = UInt64(sync.signal.rawValue)
    self[CommandWords.msh] = UInt64(sync.shareability)
    self[CommandWords.msiAttr] = UInt64(sync.attributes)
    self[CommandWords.msiData] = UInt64(sync.data)
    self[CommandWords.msiAddress] = sync.address >> 2
  }
}
