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
    case .idr0, .idr1, .idr2, .idr3, .idr4, .idr5, .idr6, .iidr, .aidr: .identification
    case .pidr0, .pidr1, .pidr2, .pidr3, .pidr4, .pidr5, .pidr6, .pidr7: .identification
    case .cidr0, .cidr1, .cidr2, .cidr3: .identification
    case .cr0, .cr0ack, .cr1, .cr2, .statusr, .gbpa, .agbpa: .control
    case .irqCtrl, .irqCtrlAck, .gerror, .gerrorn: .control
    case .gerrorIRQConfig0, .gerrorIRQConfig1, .gerrorIRQConfig2: .control
    case .strtabBase, .strtabBaseConfig: .control
    case .cmdqBase, .cmdqProd, .cmdqCons: .commandQueue
    case .eventqBase, .eventqProd, .eventqCons: .eventQueue
    case .eventqIRQConfig0, .eventqIRQConfig1, .eventqIRQConfig2: .eventQueue
    case .priqBase, .priqProd, .priqCons: .pageRequestQueue
    case .priqIRQConfig0, .priqIRQConfig1, .priqIRQConfig2: .pageRequestQueue
    }
  }
}
