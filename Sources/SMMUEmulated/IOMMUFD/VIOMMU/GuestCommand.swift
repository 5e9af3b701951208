// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// What the kernel makes of a guest's invalidation command before the SMMU may see it, or EIO.
struct GuestCommand {
  let viommu: KernelVIOMMU
  /// Since 7.3: every bit has to be a field that the command defines on this SMMU.
  let validatesFields: Bool

  func host(_ words: CommandWords) throws(Errno) -> CommandWords {
    guard let opcode = Opcode(rawValue: UInt8(truncatingIfNeeded: words.low)),
      Self.isAllowed(opcode)
    else { throw .eio }
    if validatesFields { try validate(words, opcode) }
    switch opcode {
    // All of the guest's world is all of its VMID.
    case .tlbiNSNHAll: return Command.tlbiNHAll(vmid).words
    case .tlbiNHAll, .tlbiNHASID, .tlbiNHVA, .tlbiNHVAA:
      var words = words
      words[CommandWords.vmid] = UInt64(vmid)
      return words
    default:
      let stream = words[CommandWords.streamID]
      guard let vdevice = viommu.vdevice(stream) else { throw .eio }
      var words = words
      words[CommandWords.streamID] = UInt64(vdevice.device.hardware.stream)
      return words
    }
  }

  private var vmid: VMID { viommu.parent.vmid ?? 0 }

  private static func isAllowed(_ opcode: Opcode) -> Bool {
    switch opcode {
    case .tlbiNHAll, .tlbiNHASID, .tlbiNHVA, .tlbiNHVAA, .tlbiNSNHAll, .cfgiCD, .cfgiCDAll, .atcInv:
      true
    default: false
    }
  }
}

// MARK: Fields

extension GuestCommand {
  private typealias C = CommandWords

  private func validate(_ words: CommandWords, _ opcode: Opcode) throws(Errno) {
    let features = viommu.smmu.features
    if opcode == .atcInv && !features.ats { throw .eio }
    var permitted = CommandWords(C.opcode.mask, 0)
    for field in fields(of: opcode, features) {
      permitted[word: field.low >> 6] |= field.mask
    }
    guard words.low & ~permitted.low == 0, words.high & ~permitted.high == 0 else { throw .eio }
    switch opcode {
    case .tlbiNHVA, .tlbiNHVAA: try validateRange(words)
    case .atcInv where words[C.atcSize] > 52: throw .eio
    default: break
    }
  }

  @export(interface)
  private func fields(of opcode: Opcode, _ features: Features) -> [Field] {
    let asid = features.asid16 ? C.asid : Field("ASID", 55, 48)
    let range = features.rangeInvalidation ? rangeFields : []
    let hasSubstreams = features.substreamIDBits > 0
    return switch opcode {
    case .tlbiNHVA: [C.vmid, asid, C.leaf, C.address] + range
    case .tlbiNHVAA: [C.vmid, C.leaf, C.address] + range
    case .tlbiNHASID: [C.vmid, asid]
    case .tlbiNHAll: [C.vmid]
    case .cfgiCD: [C.streamID, C.leaf] + (hasSubstreams ? [C.substreamID] : [])
    case .cfgiCDAll: [C.streamID]
    case .atcInv:
      [C.streamID, C.atcSize, C.address] + (hasSubstreams ? [C.ssv, C.substreamID, C.global] : [])
    default: []
    }
  }

  /// SCALE's top bit needs 52-bit addresses (IDR5.DS), which no SMMU here has.
  private var rangeFields: [Field] { [C.num, Field("SCALE", 24, 20), C.tg, C.ttl] }

  /// Combinations that the architecture reserves.
  private func validateRange(_ words: CommandWords) throws(Errno) {
    let (granule, hint) = (words[C.tg], words[C.ttl])
    let isPlain = words[C.num] == 0 && words[C.scale] == 0 && hint == 0
    guard (granule == 0) == isPlain, !(granule == 2 && hint == 1) else { throw .eio }
  }
}
