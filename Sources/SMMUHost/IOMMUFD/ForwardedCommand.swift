// SPDX-License-Identifier: MIT
import SMMUSpec

/// A guest's invalidation as a host kernel accepts it. Its words are encoded anew from the fields
/// that are defined, so that no other bit of the guest's reaches the host's queue, and no call
/// fails for its sake.
enum ForwardedCommand {
  /// nil for what concerns no hardware cache. `command` was decoded for a device with `features`.
  static func of(_ command: Command, _ features: Features) -> Command? {
    switch command {
    // The kernel puts in the VMID.
    case .tlbiNHAll: .tlbiNHAll(0)
    case .tlbiNHASID(_, let asid): .tlbiNHASID(0, asid)
    case .tlbiNHVA(_, let asid, let target): .tlbiNHVA(0, asid: asid, target: target)
    case .tlbiNHVAA(_, let target): .tlbiNHVAA(0, target)
    case .tlbiNSNHAll, .cfgiCDAll, .atcInv: command
    case .cfgiCD(let stream, let substream, let leaf):
      .cfgiCD(stream, substream: features.substreamIDBits > 0 ? substream : 0, leaf: leaf)
    // Accepted without Hyp, they mean streams of NS-EL1 (`TLBInvalidation.ofEL2`).
    case .tlbiEL2All, .tlbiEL2ASID, .tlbiEL2VA, .tlbiEL2VAA: features.hyp ? nil : .tlbiNSNHAll
    case .prefetchConfig, .prefetchAddr, .cfgiSTE, .cfgiSTERange, .tlbiS12VMAll, .tlbiS2IPA, .sync:
      nil
    }
  }
}

extension Command {
  /// The stream that it is about: of those that are forwarded, these name one.
  var namedStream: StreamID? {
    switch self {
    case .cfgiCD(let stream, _, _), .cfgiCDAll(let stream): stream
    case .atcInv(let what): what.source.stream
    default: nil
    }
  }

  var isATCInvalidation: Bool {
    if case .atcInv = self { true } else { false }
  }
}
