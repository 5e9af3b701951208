// SPDX-License-Identifier: MIT

/// What a command makes an SMMU's caches forget (§4.3, §4.4).
public enum CommandEffect: Equatable, Sendable {
  case none
  /// STEs of these StreamIDs go, with their CDs.
  case forgetStreams(first: StreamID, last: StreamID)
  case forgetContext(StreamID, SubstreamID)
  case forgetContexts(StreamID)
  case invalidate(TLBInvalidation)
}

extension Command {
  public func effect(_ features: Features) -> CommandEffect {
    switch self {
    // The cache that a CMD_ATC_INV is about is an endpoint's.
    case .prefetchConfig, .prefetchAddr, .atcInv, .sync: return .none
    case .cfgiSTE(let stream, _): return .forgetStreams(first: stream, last: stream)
    case .cfgiSTERange(let stream, let range):
      // 2^(Range+1) aligned StreamIDs; 31 is all of them (§4.3.2, §4.3.6).
      let low = UInt32(truncatingIfNeeded: UInt64.ones(Int(truncatingIfNeeded: range) &+ 1))
      return .forgetStreams(first: stream & ~low, last: stream | low)
    case .cfgiCD(let stream, let substream, _): return .forgetContext(stream, substream)
    case .cfgiCDAll(let stream): return .forgetContexts(stream)
    case .tlbiNHAll(let vmid): return .invalidate(.stage1(vmid))
    case .tlbiNHASID(let vmid, let asid): return .invalidate(.asid(vmid, asid))
    case .tlbiNHVA(let vmid, let asid, let target):
      return .invalidate(.address(vmid, asid: asid, range: target.virtual))
    case .tlbiNHVAA(let vmid, let target):
      return .invalidate(.address(vmid, asid: nil, range: target.virtual))
    case .tlbiS12VMAll(let vmid): return .invalidate(.vmid(vmid))
    case .tlbiS2IPA(let vmid, let target):
      return .invalidate(.intermediate(vmid, target.intermediate))
    case .tlbiNSNHAll: return .invalidate(.everything)
    case .tlbiEL2All, .tlbiEL2ASID, .tlbiEL2VA, .tlbiEL2VAA:
      return .invalidate(.ofEL2(features))
    }
  }
}

extension Command {
  /// Of a TLBI by address of stage 1: tables need not be forgotten (§4.4.1). For stage 2 they are
  /// all the same, as stage 1 tables lie behind its leaves.
  @inline(__always)
  public var sparesTables: Bool {
    switch self {
    case .tlbiNHVA(_, _, let target), .tlbiNHVAA(_, let target): target.leaf
    default: false
    }
  }
}

extension TLBIAddress {
  /// The VA range. Bits [63:56] count as copies of bit 55, as they do in a PE's TLBI: tagged and
  /// plain addresses then name the same entries (§4.4.2).
  @inline(__always)
  public var virtual: AddressRange {
    bounds(from: UInt64(bitPattern: Int64(bitPattern: address &<< 8) &>> 8))
  }

  /// The IPA range.
  @inline(__always)
  public var intermediate: AddressRange { bounds(from: address) }

  /// §4.4.1.1: from the address on, clipped at the top of the 64-bit space. TTL is not used to
  /// spare entries: removing all levels is always allowed.
  @inline(__always)
  private func bounds(from address: UInt64) -> AddressRange {
    guard let range else { return AddressRange(first: address, last: address | 0xfff) }
    return range.bounds(from: address)
  }
}

extension TLBIRange {
  @inline(never)
  fileprivate func bounds(from address: UInt64) -> AddressRange {
    let first = address & ~UInt64.ones(granule.shift)
    let bytes = (UInt64(num) &+ 1) &<< UInt64(truncatingIfNeeded: Int(scale) &+ granule.shift)
    // `first` rounds down, so the end is taken from the address itself and rounds up.
    let (end, overflow) = address.addingReportingOverflow(bytes &- 1)
    return AddressRange(first: first, last: overflow ? .max : end | UInt64.ones(granule.shift))
  }
}
