// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// A field of frozen ID registers that a device cannot honour.
public struct FrozenConflict {
  /// `asked` is what the guest has seen, `chosen` what it would be with this device.
  public let row: NegotiationRow
  /// Of the device's negotiation alone, where there is one.
  public let refusal: NegotiationRefusal?
  public let missing: BroadcastCondition?

  /// "the guest has seen IDR5.GRAN16K = 1, and the SMMU of this device has 0"
  public var sentence: Sentence {
    var sentence = Sentence("the guest has seen ")
    sentence.append(place: row.register, row.field)
    sentence.append(" = ")
    sentence.append(UInt64(row.asked))
    if let host = row.host {
      sentence.append(", and the SMMU of this device has ")
      sentence.append(UInt64(host))
    } else {
      sentence.append(", and with this device it would be ")
      sentence.append(UInt64(row.chosen))
    }
    sentence.append(": ")
    if let missing {
      sentence.append(missing.missing)
    } else {
      sentence.append(refusal?.sentence ?? row.reason.sentence)
    }
    return sentence
  }
}

extension Negotiation {
  /// The first field of frozen registers that a device cannot honour; nil if it honours all. The
  /// arguments are those of `decide`, for this device.
  public static func conflict(
    of frozen: Features, by device: DeviceFacts, stage2Bits: Int = 0,
    broadcast evidence: BroadcastEvidence = BroadcastEvidence()
  ) -> FrozenConflict? {
    let report = decide(
      asked: frozen, devices: [device], stage2Bits: stage2Bits, broadcast: evidence)
    guard let row = report.firstConflict else { return nil }
    let isBTM = row.register == .idr0 && row.field == IDR0.btm
    return FrozenConflict(
      row: row, refusal: report.refusal,
      missing: isBTM ? report.broadcast.firstMissing : nil)
  }
}

extension NegotiationReport {
  /// The first row that is not as asked; one whose host value is known says more. ATS is of
  /// devices: one that has none disturbs no other.
  fileprivate var firstConflict: NegotiationRow? {
    var first: NegotiationRow?
    for row in rows where row.conflicts(refusal) {
      if row.host != nil { return row }
      if first == nil { first = row }
    }
    return first
  }
}

extension NegotiationRow {
  fileprivate func conflicts(_ refusal: NegotiationRefusal?) -> Bool {
    guard register != .idr0 || field != IDR0.ats else { return false }
    // Model 1 is chosen always: that the host cannot do it shows in the refusal alone.
    if refusal == .stalls && register == .idr0 && field == IDR0.stallModel { return true }
    if refusal == .addressSize && register == .idr5 && field == IDR5.oas { return true }
    return chosen != asked
  }
}
