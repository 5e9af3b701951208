// SPDX-License-Identifier: MIT
import SMMUSpec

/// Whether the guest drives command queues of the host's by itself (CMDQ-V), or what keeps it from
/// that.
public enum DirectVerdict: UInt8, CaseIterable, Sendable {
  case offered, notAsked, noDevice, late, software, hardware, version, erratum, interfaces

  public var name: StaticString {
    switch self {
    case .offered: "offered"
    case .notAsked: "asked"
    case .noDevice: "device"
    case .late: "early"
    case .software: "hardware_alone"
    case .hardware: "hardware"
    case .version: "version"
    case .erratum: "no_erratum"
    case .interfaces: "interface"
    }
  }

  public var sentence: StaticString {
    switch self {
    case .offered: "the host's SMMU has CMDQ-V"
    case .notAsked: "they are not asked for"
    case .noDevice: "no assigned device tells what the host has"
    case .late: "the guest may have seen that there are none"
    case .software: "an emulated device is translated in software, which they do not reach"
    case .hardware: "the host's SMMU has no CMDQ-V"
    case .version: "the host's CMDQ-V is of another version than 1"
    case .erratum: "an erratum of the host's SMMU needs each command twice, and no guest is told"
    case .interfaces: "all virtual interfaces of the host's SMMU are taken"
    }
  }
}

extension NegotiationReport {
  /// The kernel takes no queue that is longer than the SMMU's own may be.
  mutating func limitDirectQueues() {
    for device in devices {
      let most = device.value(.idr1, IDR1.cmdqs)
      if chosen[.idr1, IDR1.cmdqs] > most {
        change(.idr1, field: IDR1.cmdqs, to: most, reason: .hostLimits)
      }
    }
  }
}
