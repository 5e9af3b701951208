// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// Decides the ID registers of a vSMMU from what is asked for and what the hosts of its devices can
/// do.
///
/// `decide` is a function of its inputs alone: call it again when a device comes, a VM is linked
/// or a VMID is pinned, until the guest may have seen the registers. From then on they are frozen,
/// and `conflict` tells whether a device that comes later can honour them.
public enum Negotiation {
  /// `devices`: the assigned ones; with none, all but ATS is as asked. `stage2Bits`: bits of
  /// the addresses that the host's stage 2 takes (`addressBits(last:)`), 0 if it is not known.
  /// For an automatic field all is asked that the library implements, once there is a host.
  public static func decide(
    asked: Features, automatic: AutomaticFields = [], devices: [DeviceFacts], stage2Bits: Int = 0,
    broadcast evidence: BroadcastEvidence = BroadcastEvidence()
  ) -> NegotiationReport {
    let asked = asked.settingAutomatic(automatic, toMost: !devices.isEmpty)
    var report = NegotiationReport(
      asked: asked, chosen: asked, devices: devices, stage2Bits: stage2Bits,
      broadcast: BroadcastVerdict(
        asked: asked, asid16: asked.asid16, devices: devices, evidence: evidence))
    let view = CommonAbilities(
      devices, stage2Bits: stage2Bits, hasEmulatedStreams: evidence.hasEmulatedStreams)
    for register in IdentificationRegister.allCases {
      for field in register.fields {
        let rule = FieldRule.of(register, field)
        let host =
          devices.isEmpty || !rule.isRead ? nil : view.value(rule, register: register, field: field)
        var row = NegotiationRow(
          register: register, field: field, asked: asked[register, field], host: host,
          isAutomatic: automatic.contains(register, field), chosen: asked[register, field],
          reason: .noHost)
        if !devices.isEmpty || rule == .device && row.asked != 0 {
          view.choose(rule, for: &row, in: &report)
        }
        row.explainAutomatic()
        report.chosen[register, field] = row.chosen
        report.rows.append(row)
      }
    }
    guard !devices.isEmpty else { return report }
    report.offerBroadcast(evidence)
    report.settle()
    report.judge()
    return report
  }

  /// Bits of the addresses that are usable as a whole up to `last`, the last byte of the last IOVA
  /// range of the IOAS.
  public static func addressBits(last: UInt64) -> Int {
    last == .max ? 64 : 63 - (last &+ 1).leadingZeroBitCount
  }
}

/// What the hosts of all devices can do.
struct CommonAbilities {
  private let devices: [DeviceFacts]
  private let stage2Bits: Int
  private let hasEmulatedStreams: Bool
  /// RIL and BBML came with SMMUv3.2 and may be had by v3.1 (§2.9), where HAD is mandatory.
  private let impliesHAD: Bool

  init(_ devices: [DeviceFacts], stage2Bits: Int, hasEmulatedStreams: Bool) {
    self.devices = devices
    self.stage2Bits = stage2Bits
    self.hasEmulatedStreams = hasEmulatedStreams
    var implies = true
    for device in devices
    where device.value(.idr3, IDR3.ril) == 0 && device.value(.idr3, IDR3.bbml) == 0 {
      implies = false
    }
    impliesHAD = implies
  }

  /// A field of all hosts' registers; there is one device at least.
  func value(_ rule: FieldRule, register: IdentificationRegister, field: Field) -> UInt32 {
    var common = devices[0].value(register, field)
    for device in devices.dropFirst() {
      let other = device.value(register, field)
      switch rule {
      case .formats: common &= other
      case .endianness: common = Self.endianness(common, other)
      case .termination: common = max(common, other)
      // 2, stalls always, is what no guest can live with; 0 and 1 both allow to terminate.
      case .stalls: common = max(common, other)
      default: common = min(common, other)
      }
    }
    return common
  }

  /// TTENDIAN of both: 0 is either endianness; 1 is reserved and stands for none.
  private static func endianness(_ a: UInt32, _ b: UInt32) -> UInt32 {
    if a == 0 || a == b { return b }
    return b == 0 ? a : 1
  }

  func choose(
    _ rule: FieldRule, for row: inout NegotiationRow, in report: inout NegotiationReport
  ) {
    let host = row.host ?? 0
    switch rule {
    case .least: row.limit(host, limited: .hostLimits)
    case .formats:
      row.take(row.asked & host, limited: .hostLimits)
      if row.chosen == 0 { report.refuse(.formats) }
    case .endianness:
      row.take(Self.endianness(row.asked, host), limited: .hostEndianness)
      if row.chosen == 1 { report.refuse(.endianness) }
    case .termination: row.take(max(row.asked, host), limited: .abortOnly)
    case .stalls:
      row.choose(1, .terminateOnly)
      if host > 1 { report.refuse(.stalls) }
    case .stallCount: row.choose(0, .terminateOnly)
    case .streamTable: row.choose(row.asked, .noBound)
    case .assumed: row.choose(row.asked, .assumed)
    case .own: row.choose(row.asked, .own)
    case .stage2: row.choose(0, .hostStage2)
    case .attributes: row.choose(0, .noAttributes)
    case .addressSize: chooseAddressSize(&row, &report)
    case .implied: row.limit(impliesHAD ? 1 : 0, limited: .notImplied, kept: .implied)
    // HAD is mandatory from v3.1 on; FWB, which is of stage 2 and therefore 0, from v3.2 on.
    case .revision: row.take(min(row.asked, impliesHAD ? 1 : 0), limited: .revision)
    case .device: chooseATS(&row)
    // Decided when the other fields are.
    case .broadcast: row.limit(0, limited: .broadcastWithheld)
    case .masked: row.choose(0, .masked)
    }
  }

  private func chooseAddressSize(_ row: inout NegotiationRow, _ report: inout NegotiationReport) {
    var size = row.asked
    if stage2Bits != 0 {
      while size > 0 && SMMUSpec.addressBits(UInt64(size)) > stage2Bits { size -= 1 }
      if SMMUSpec.addressBits(UInt64(size)) > stage2Bits { report.refuse(.addressSize) }
    }
    row.take(size, limited: .stage2Size, kept: stage2Bits == 0 ? .stage2Unknown : .inStage2)
  }

  private func chooseATS(_ row: inout NegotiationRow) {
    if hasEmulatedStreams { return row.limit(0, limited: .emulatedATS) }
    let isUsable = devices.contains { $0.mayUseATS }
    row.limit(isUsable ? 1 : 0, limited: .noDeviceATS, kept: .deviceATS)
  }
}

extension NegotiationRow {
  /// Nobody asked for the value that an automatic field has.
  fileprivate mutating func explainAutomatic() {
    guard isAutomatic else { return }
    switch reason {
    case .noHost: reason = .undecided
    case .notAsked, .honoured, .inStage2, .stage2Unknown: reason = .automatic
    default: break
    }
  }

  mutating func choose(_ value: UInt32, _ reason: NegotiationReason) {
    chosen = value
    self.reason = reason
  }

  /// A value that is as asked, or else what a limit left of it.
  mutating func take(
    _ value: UInt32, limited: NegotiationReason, kept: NegotiationReason = .honoured
  ) {
    choose(value, value == asked ? kept : limited)
  }

  /// What is asked for up to a limit; 0 asks for nothing.
  mutating func limit(
    _ limit: UInt32, limited: NegotiationReason, kept: NegotiationReason = .honoured
  ) {
    take(min(asked, limit), limited: limited, kept: asked == 0 ? .notAsked : kept)
  }
}

extension NegotiationReport {
  /// The first reason against it stays.
  mutating func refuse(_ refusal: NegotiationRefusal) {
    if self.refusal == nil { self.refusal = refusal }
  }

  mutating func change(
    _ register: IdentificationRegister, field: Field, to value: UInt32,
    reason: NegotiationReason
  ) {
    guard chosen[register, field] != value else { return }
    chosen[register, field] = value
    for i in rows.indices where rows[i].register == register && rows[i].field == field {
      rows[i].choose(value, reason)
    }
  }

  mutating func offerBroadcast(_ evidence: BroadcastEvidence) {
    broadcast = BroadcastVerdict(
      asked: asked, asid16: chosen.asid16, devices: devices, evidence: evidence)
    if broadcast.isOffered { change(.idr0, field: IDR0.btm, to: 1, reason: .broadcastOffered) }
  }

  /// What depends on fields that were lowered (§6.3.6), the revision among them (§2.9).
  mutating func settle() {
    let revision = chosen[.aidr, AIDR.minor]
    if revision < 3 { change(.idr5, field: IDR5.ds, to: 0, reason: .follows) }
    if revision < 1 { change(.idr5, field: IDR5.vax, to: 0, reason: .follows) }
    let hasSmallGranule = chosen.supports(.size4K) || chosen.supports(.size16K)
    if chosen[.idr5, IDR5.vax] > 1 { change(.idr5, field: IDR5.vax, to: 1, reason: .follows) }
    if chosen[.idr5, IDR5.vax] == 0 || !hasSmallGranule {
      change(.idr5, field: IDR5.ds, to: 0, reason: .follows)
    }
    let has52Bits = chosen.supports(.size64K) || chosen[.idr5, IDR5.ds] != 0
    if !has52Bits { change(.idr5, field: IDR5.vax, to: 0, reason: .follows) }
    let mostOAS: UInt32 = has52Bits && revision >= 1 ? 6 : 5
    if chosen[.idr5, IDR5.oas] > mostOAS {
      change(.idr5, field: IDR5.oas, to: mostOAS, reason: .follows)
    }
    if !chosen.supports(.size4K) {
      change(.idr0, field: IDR0.ttf, to: chosen[.idr0, IDR0.ttf] & ~1, reason: .follows)
    }
  }

  /// Whether a guest can use what is left, and the architecture allows it.
  mutating func judge() {
    if !chosen.stage1 { refuse(.stage1) }
    if chosen[.idr0, IDR0.ttf] == 0 { refuse(.formats) }
    let granules = [IDR5.gran4K, IDR5.gran16K, IDR5.gran64K]
    if granules.allSatisfy({ chosen[.idr5, $0] == 0 }) { refuse(.granules) }
    if chosen.illegality != nil { refuse(.illegal) }
  }
}
