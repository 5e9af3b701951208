// SPDX-License-Identifier: MIT
import SMMUSpec

/// A part of an SMMU with a section of its own in the saved state, in this order. A part that
/// a device lacks has no section.
enum StatePart: UInt8, CaseIterable {
  case identification, control, commandQueue, eventQueue, pageRequestQueue

  init?(_ name: SectionName) {
    for part in Self.allCases where part.name == name {
      self = part
      return
    }
    return nil
  }

  var name: SectionName {
    switch self {
    case .identification: SectionName("ID")
    case .control: SectionName("CONTROL")
    case .commandQueue: SectionName("CMDQ")
    case .eventQueue: SectionName("EVENTQ")
    case .pageRequestQueue: SectionName("PRIQ")
    }
  }

  /// Of the section: grows where a reader of the old one would misread the new one.
  var version: UInt32 { 1 }
}

extension Register {
  /// Whose state it is.
  var part: StatePart {
    switch self {
    case .identification, .pidr, .cidr: .identification
    case .cr0, .cr0ack, .cr1, .cr2, .statusr, .gbpa, .agbpa: .control
    case .irqCtrl, .irqCtrlAck, .gerror, .gerrorn: .control
    case .strtabBase, .strtabBaseConfig: .control
    case .interrupt(_, .globalError): .control
    case .queue(_, .command): .commandQueue
    case .queue(_, .event), .interrupt(_, .eventQueue): .eventQueue
    case .queue(_, .pageRequest), .interrupt(_, .pageRequestQueue): .pageRequestQueue
    }
  }
}
