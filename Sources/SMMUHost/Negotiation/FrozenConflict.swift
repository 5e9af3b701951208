// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// A field of frozen ID registers that a device cannot honour.
public struct FrozenConflict {
  /// `asked` is what the guest has seen, `chosen` what it would be with this device.
  public let row: NegotiationRow
  /// Of the device's negotiation alone, where there is one.
  public let refusal: NegotiationRefusal?
  public let missing: BroadcastCondition?
  /// What the guest should have seen to be able to have this device.
  public let remedy: FrozenRemedy

  /// "the guest has seen IDR5.GRAN16K = 1, and the SMMU of this device has 0: the host has no more;
  /// features "GRAN16K=0" or VSMMU_PROFILE_ASSIGN would have avoided it"
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
    remedy.append(to: &sentence)
    return sentence
  }
}

/// The settings with which the guest would have seen what a device honours.
public struct FrozenRemedy {
  /// More fields than this are not listed: a sentence has room for few.
  private static var mostFields: Int { 4 }
  /// Fields and the values with which they would not conflict; empty if there are too many or none
  /// would do.
  let fields: [NegotiationRow]
  /// With the profile for devices that come late there would be no conflict.
  let isProfile: Bool

  fileprivate init(_ report: NegotiationReport, isProfile: Bool) {
    let rows = report.rows.filter { $0.conflicts(report.refusal) }
    let isOfHost = report.refusal != nil || rows.contains { $0.isBroadcast }
    fields = isOfHost || rows.count > Self.mostFields ? [] : rows
    self.isProfile = isProfile
  }

  @inline(never)
  fileprivate func append(to sentence: inout Sentence) {
    guard isProfile || !fields.isEmpty else { return }
    sentence.append("; ")
    for (index, row) in fields.enumerated() {
      sentence.append(index == 0 ? "features \"" : ",")
      sentence.append(row.field.name)
      sentence.append("=")
      sentence.append(UInt64(row.chosen))
    }
    if !fields.isEmpty { sentence.append(isProfile ? "\" or " : "\"") }
    if isProfile { sentence.append("VSMMU_PROFILE_ASSIGN") }
    sentence.append(" would have avoided it")
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
    let least = decide(asked: .assign, devices: [device], stage2Bits: stage2Bits)
    return FrozenConflict(
      row: row, refusal: report.refusal,
      missing: row.isBroadcast ? report.broadcast.firstMissing : nil,
      remedy: FrozenRemedy(report, isProfile: least.firstConflict == nil && !row.isBroadcast))
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
  fileprivate var isBroadcast: Bool { register == .idr0 && field == IDR0.btm }

  fileprivate func conflicts(_ refusal: NegotiationRefusal?) -> Bool {
    guard register != .idr0 || field != IDR0.ats else { return false }
    // Model 1 is chosen always: that the host cannot do it shows in the refusal alone.
    if refusal == .stalls && register == .idr0 && field == IDR0.stallModel { return true }
    if refusal == .addressSize && register == .idr5 && field == IDR5.oas { return true }
    return chosen != asked
  }
}
