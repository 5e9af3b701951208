// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// What became of one ID field.
public struct NegotiationRow {
  public let register: IdentificationRegister
  public let field: Field
  public let asked: UInt32
  /// nil = not read of the host: the kernel's contract does not tell it.
  public let host: UInt32?
  /// "auto" is what was asked; `asked` is what that means now.
  public let isAutomatic: Bool
  public internal(set) var chosen: UInt32
  public internal(set) var reason: NegotiationReason
}

/// Why there are no registers that both sides can honour.
public enum NegotiationRefusal: UInt8, CaseIterable, Sendable {
  case stage1, formats, endianness, stalls, granules, addressSize, illegal

  public var sentence: StaticString {
    switch self {
    case .stage1: "an assigned device needs stage 1"
    case .formats: "no table format is common"
    case .endianness: "no endianness of tables is common"
    case .stalls: "the host cannot but stall faults, which this library does not offer"
    case .granules: "no translation granule is common"
    case .addressSize: "the host's stage 2 takes less than the 32 bits that an SMMU has at least"
    case .illegal: "the registers would not be legal"
    }
  }
}

/// The outcome of a negotiation. `chosen` is for the guest only if `refusal` is nil.
public struct NegotiationReport {
  public let asked: Features
  public internal(set) var chosen: Features
  public let devices: [DeviceFacts]
  /// Bits of the addresses that the host's stage 2 takes; 0 = not known.
  public let stage2Bits: Int
  public internal(set) var rows: [NegotiationRow] = []
  public internal(set) var broadcast: BroadcastVerdict
  public internal(set) var refusal: NegotiationRefusal?
  /// For the report's reader; the caller sets it, as `isFrozen`.
  public var direct = DirectVerdict.notAsked
  /// The guest may have seen the registers. For the report's reader; the caller sets it.
  public var isFrozen = false
  /// Other vSMMUs have the same VMID. Likewise.
  public var sharesVMID = false

  public subscript(_ register: IdentificationRegister, _ field: Field) -> NegotiationRow? {
    for row in rows where row.register == register && row.field == field { return row }
    return nil
  }

  /// Why it was refused, naming both sides; empty if it was not.
  public var refusalSentence: Sentence {
    guard let refusal else { return Sentence() }
    var sentence = Sentence(refusal.sentence)
    sentence.append(": ")
    switch refusal {
    case .stage1: append(IDR0.s1p, to: &sentence)
    case .formats: append(IDR0.ttf, to: &sentence)
    case .endianness: append(IDR0.ttendian, to: &sentence)
    case .stalls: append(IDR0.stallModel, to: &sentence)
    case .granules: appendGranules(to: &sentence)
    case .addressSize:
      sentence.append(UInt64(stage2Bits.magnitude))
      sentence.append(" bits")
    case .illegal:
      if let broken = chosen.illegality { sentence.append(broken, of: chosen) }
    }
    return sentence
  }

  /// "IDR0.TTF: asked 2, host 1"
  private func append(_ field: Field, to sentence: inout Sentence) {
    guard let row = self[.idr0, field] else { return }
    sentence.append(place: row.register, row.field)
    sentence.append(" asked ")
    sentence.append(UInt64(row.asked))
    guard let host = row.host else { return }
    sentence.append(", host ")
    sentence.append(UInt64(host))
  }

  /// "asked GRAN4K GRAN16K, host GRAN64K"
  private func appendGranules(to sentence: inout Sentence) {
    sentence.append("asked")
    appendGranules(to: &sentence) { $0.asked != 0 }
    sentence.append(", host")
    appendGranules(to: &sentence) { $0.host == 1 }
  }

  private func appendGranules(to sentence: inout Sentence, where has: (NegotiationRow) -> Bool) {
    for row in rows where row.register == .idr5 && row.field.isGranule && has(row) {
      sentence.append(" ")
      sentence.append(row.field.name)
    }
  }
}

extension Field {
  /// Of IDR5.
  fileprivate var isGranule: Bool { low >= IDR5.gran4K.low && high <= IDR5.gran64K.high }
}
