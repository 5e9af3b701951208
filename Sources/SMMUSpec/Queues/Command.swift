// SPDX-License-Identifier: MIT

/// A legal command with all that it says: each field that its layout defines and that means
/// something on the SMMU that it was decoded for. Fields that are ignored there are zero.
public enum Command: Equatable, Sendable {
  case prefetchConfig(CommandSource)
  case prefetchAddr(CommandSource, PrefetchSpan)
  case cfgiSTE(StreamID, leaf: Bool)
  /// 2^(range + 1) aligned StreamIDs; 31 is all of them, CMD_CFGI_ALL.
  case cfgiSTERange(StreamID, range: UInt8)
  case cfgiCD(StreamID, substream: SubstreamID, leaf: Bool)
  case cfgiCDAll(StreamID)
  case tlbiNHAll(VMID)
  case tlbiNHASID(VMID, ASID)
  case tlbiNHVA(VMID, asid: ASID, target: TLBIAddress)
  case tlbiNHVAA(VMID, TLBIAddress)
  case tlbiEL2All
  case tlbiEL2ASID(ASID)
  case tlbiEL2VA(ASID, TLBIAddress)
  case tlbiEL2VAA(TLBIAddress)
  case tlbiS12VMAll(VMID)
  case tlbiS2IPA(VMID, TLBIAddress)
  case tlbiNSNHAll
  case atcInv(ATCInvalidation)
  case sync(Synchronization)
}

/// CMD_CFGI_ALL (§4.3.6).
extension Command {
  public static var cfgiAll: Command { .cfgiSTERange(0, range: 31) }
}

/// Whose transactions a prefetch is for.
public struct CommandSource: Equatable, Sendable {
  public var stream: StreamID
  /// SubstreamID, if SSV says that there is one.
  public var substream: SubstreamID?

  @inline(__always)
  public init(_ stream: StreamID, substream: SubstreamID? = nil) {
    self.stream = stream
    self.substream = substream
  }
}

/// The addresses of a CMD_PREFETCH_ADDR (§4.2.2).
public struct PrefetchSpan: Equatable, Sendable {
  public var address: UInt64
  /// log2 of the number of translations.
  public var size: UInt8
  /// log2 of the gap between them, in pages of 4 KiB.
  public var stride: UInt8

  @inline(__always)
  public init(address: UInt64, size: UInt8 = 0, stride: UInt8 = 0) {
    self.address = address
    self.size = size
    self.stride = stride
  }
}

/// What a TLBI by address names (§4.4.1).
public struct TLBIAddress: Equatable, Sendable {
  /// Aligned to 4 KiB.
  public var address: UInt64
  /// Tables need not be forgotten.
  public var leaf: Bool
  /// One page of any granule if there is none.
  public var range: TLBIRange?

  @inline(__always)
  public init(_ address: UInt64, leaf: Bool = false, range: TLBIRange? = nil) {
    self.address = address
    self.leaf = leaf
    self.range = range
  }
}

/// (NUM + 1) * 2^SCALE granules (§4.4.1.1).
public struct TLBIRange: Equatable, Sendable {
  /// TG.
  public var granule: Granule
  public var num: UInt8
  public var scale: UInt8
  /// The level of the leaves, 0 for any.
  public var ttl: UInt8

  @inline(__always)
  public init(_ granule: Granule, num: UInt8, scale: UInt8, ttl: UInt8 = 0) {
    self.granule = granule
    self.num = num
    self.scale = scale
    self.ttl = ttl
  }

  /// A range of one granule without a hint is what a command without TG says.
  @inline(__always)
  var isReserved: Bool { num == 0 && scale == 0 && ttl == 0 }
}

/// What a CMD_ATC_INV names (§4.5.1): 4096 * 2^size bytes of what an endpoint has cached.
public struct ATCInvalidation: Equatable, Sendable {
  /// With a SubstreamID the request has that PASID, without one none.
  public var source: CommandSource
  /// Global Invalidate: entries of every PASID. Only where there is one.
  public var isGlobal: Bool
  /// Aligned to what is named.
  public var address: UInt64
  /// log2 of the pages of 4 KiB; 52 is everything.
  public var size: UInt8

  @inline(__always)
  public init(
    _ source: CommandSource, isGlobal: Bool = false, address: UInt64 = 0, size: UInt8 = 52
  ) {
    self.source = source
    self.isGlobal = isGlobal
    self.address = address
    self.size = size
  }

  /// The largest Size that is defined.
  public static var everything: UInt8 { 52 }

  /// The bytes that it names.
  public var range: AddressRange {
    AddressRange(first: address, last: address | UInt64.ones(12 &+ Int(size)))
  }
}

/// CMD_SYNC (§4.7.3).
public struct Synchronization: Equatable, Sendable {
  /// CS.
  public enum Signal: UInt8, Sendable {
    case none = 0
    case interrupt = 1
    case event = 2
  }

  public var signal: Signal
  /// MSH and MSIAttr.
  public var shareability: UInt8
  public var attributes: UInt8
  public var data: UInt32
  /// MSIAddress; 0 sends no MSI.
  public var address: UInt64

  @inline(__always)
  public init(
    _ signal: Signal = .none, address: UInt64 = 0, data: UInt32 = 0, shareability: UInt8 = 0,
    attributes: UInt8 = 0
  ) {
    self.signal = signal
    self.address = address
    self.data = data
    self.shareability = shareability
    self.attributes = attributes
  }
}

/// CMDQ_CONS.ERR (§7.1).
public enum CommandError: UInt8, Error, Equatable, Sendable {
  case illegal = 1
  case abort = 2
  /// A CMD_SYNC could not complete a CMD_ATC_INV.
  case atcInvSync = 3
}
