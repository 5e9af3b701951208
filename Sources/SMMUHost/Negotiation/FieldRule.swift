// SPDX-License-Identifier: MIT
import SMMUSpec

/// How the value of an ID field comes about where a host SMMU does the guest's stage 1. The fields
/// that may be read of the host's registers are those that the kernel's contract names: IDR0
/// {ST_LEVEL, TERM_MODEL, STALL_MODEL, TTENDIAN, CD2L, ASID16, TTF}, IDR1 {SIDSIZE, SSIDSIZE}, IDR3
/// {BBML, RIL}, IDR5 {VAX, GRAN64K, GRAN16K, GRAN4K, DS}.
enum FieldRule {
  /// Read: the smaller value promises less.
  case least
  /// Read: TTF, a set of formats.
  case formats
  /// Read: TTENDIAN.
  case endianness
  /// Read: TERM_MODEL, where the larger value promises less.
  case termination
  /// Read: STALL_MODEL; and STALL_MAX, which follows from it.
  case stalls, stallCount
  /// Read, but no bound: the library walks the guest's stream table itself.
  case streamTable
  /// Not read: a kernel that nests requires it of its host.
  case assumed
  /// Not read: the library does it.
  case own
  /// Not read: a part of stage 2, which is the host's.
  case stage2
  /// Not read: the kernel takes no memory attributes from a guest's STE.
  case attributes
  /// Not read: the largest address that the host's stage 2 takes decides.
  case addressSize
  /// Not read: mandatory on SMMUs that have what comes after it (HAD).
  case implied
  /// Not read: no newer than the features (AIDR).
  case revision
  /// Not read: each device's own (ATS). There is none without an assigned device.
  case device
  /// The conditions of broadcast TLB maintenance.
  case broadcast
  /// Not read: nothing that a kernel offers to a guest.
  case masked

  var isRead: Bool {
    switch self {
    case .least, .formats, .endianness, .termination, .stalls, .streamTable: true
    default: false
    }
  }

  static func of(_ register: IdentificationRegister, _ field: Field) -> FieldRule {
    switch register {
    case .idr0: idr0(field)
    case .idr1: idr1(field)
    case .idr3: idr3(field)
    case .idr5: idr5(field)
    case .idr2, .idr4: .masked
    case .idr6, .iidr: .own
    case .aidr: field == AIDR.minor ? .revision : .own
    }
  }

  private static func idr0(_ field: Field) -> FieldRule {
    switch field {
    case IDR0.s1p, IDR0.cohacc: .assumed
    case IDR0.s2p, IDR0.vmid16, IDR0.vmw: .stage2
    case IDR0.ttf: .formats
    case IDR0.ttendian: .endianness
    case IDR0.termModel: .termination
    case IDR0.stallModel: .stalls
    case IDR0.cd2l, IDR0.asid16: .least
    case IDR0.stLevel: .streamTable
    case IDR0.msi, IDR0.sev: .own
    case IDR0.ats: .device
    case IDR0.btm: .broadcast
    default: .masked
    }
  }

  private static func idr1(_ field: Field) -> FieldRule {
    switch field {
    case IDR1.sidsize: .streamTable
    case IDR1.ssidsize: .least
    case IDR1.attrTypesOvr, IDR1.attrPermsOvr: .attributes
    default: .own
    }
  }

  private static func idr3(_ field: Field) -> FieldRule {
    switch field {
    case IDR3.ril, IDR3.bbml: .least
    case IDR3.had: .implied
    case IDR3.fwb, IDR3.xnx, IDR3.ptwnnc, IDR3.s2pi, IDR3.s2po, IDR3.mteperm: .stage2
    default: .masked
    }
  }

  private static func idr5(_ field: Field) -> FieldRule {
    switch field {
    case IDR5.gran4K, IDR5.gran16K, IDR5.gran64K, IDR5.vax, IDR5.ds: .least
    case IDR5.oas: .addressSize
    case IDR5.stallMax: .stallCount
    default: .masked
    }
  }
}

/// Why a field has its value.
public enum NegotiationReason: UInt8, CaseIterable, Sendable {
  case noHost, undecided, automatic, notAsked, honoured, hostLimits, assumed, own, noBound,
    hostStage2, noAttributes
  case terminateOnly, abortOnly, hostEndianness, stage2Size, inStage2, stage2Unknown
  case implied, notImplied, revision, deviceATS, noDeviceATS, emulatedATS
  case broadcastOffered, broadcastWithheld, masked, follows

  public var sentence: StaticString {
    switch self {
    case .noHost: "as asked: no assigned device limits it"
    case .undecided: "an assigned device's host will decide"
    case .automatic: "all that the library can do: no host limits it"
    case .notAsked: "not asked for"
    case .honoured: "as asked: the host can do it"
    case .hostLimits: "the host has no more"
    case .assumed: "as asked: every host that nests has it"
    case .own: "as asked: the library does it, not the host"
    case .noBound: "as asked: the library walks the stream table, the host sets no bound"
    case .hostStage2: "stage 2 is the host's"
    case .noAttributes: "the kernel takes no attributes from an STE"
    case .terminateOnly: "faults of the guest never stall"
    case .abortOnly: "the host always aborts"
    case .hostEndianness: "the only one that the host has"
    case .stage2Size: "all that the host's stage 2 takes"
    case .inStage2: "as asked: the host's stage 2 takes more or as much"
    case .stage2Unknown: "as asked: what the host's stage 2 takes is not known"
    case .implied: "not told by the kernel, but mandatory beside the host's RIL or BBML"
    case .notImplied: "not told by the kernel, nor implied by what is"
    case .revision: "no newer than what the host must have"
    case .deviceATS: "a device may use it"
    case .noDeviceATS: "no device may use it"
    case .emulatedATS: "of an emulated device it would be the device model's"
    case .broadcastOffered: "every condition holds"
    case .broadcastWithheld: "a condition is missing"
    case .masked: "no kernel offers it to a nested guest"
    case .follows: "another field that it needs is absent"
    }
  }
}
