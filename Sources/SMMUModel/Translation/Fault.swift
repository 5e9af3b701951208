// SPDX-License-Identifier: MIT
import SMMUSpec

/// Why an access ends: an event with its own fields (§7.3), or an abort that is told to no one.
struct Fault: Error {
  /// nil: silent.
  var event: EventKind?
  var stage2 = false
  var accessClass = AccessClass.input
  /// Of a stage 2 fault.
  var ipa: UInt64 = 0
  /// Of an external abort.
  var fetchAddress: UInt64 = 0
  /// An atomic that may write but not read (§16.7.6).
  var missesRead = false
  /// No fault: the stream is to be looked for first.
  var isUnknownStream = false

  static var silent: Fault { Fault(event: nil) }
  static var unknownStream: Fault { Fault(event: nil, isUnknownStream: true) }

  @inline(never)
  static func fetch(_ event: EventKind, _ address: UInt64) -> Fault {
    Fault(event: event, fetchAddress: address)
  }
}

/// What a stage of translation is done for: what its faults report.
struct WalkPurpose {
  let stage2: Bool
  let accessClass: AccessClass
  let ipa: UInt64

  /// Stage 1 for the access itself.
  static var stage1: WalkPurpose { WalkPurpose(stage2: false, accessClass: .input, ipa: 0) }

  @inline(never)
  func fault(_ event: EventKind) -> Fault {
    Fault(event: event, stage2: stage2, accessClass: accessClass, ipa: ipa)
  }

  /// An external abort on a descriptor (§7.3.12): of stage 1 it is CLASS TT, of stage 2 the class
  /// of what the walk was for.
  @inline(never)
  func abort(_ address: UInt64) -> Fault {
    Fault(
      event: .walkAbort, stage2: stage2, accessClass: stage2 ? accessClass : .translationTable,
      fetchAddress: address)
  }
}

extension SMMU {
  /// Records a fault if it is to be recorded, and says what the client sees (§3.12, §5.5, §7.2).
  func conclude(
    _ fault: Fault, _ access: Access, _ configuration: StreamConfiguration, _ state: ControlState
  ) -> Translation {
    var result = Translation.nothing
    result.event = fault.event
    guard let event = fault.event, !access.flags.contains(.speculative) else { return result }
    var isRecorded = true
    switch event {
    case .badStreamID:
      isRecorded = state.recordsBadStreams
    case .translation, .addressSize, .access, .permission:
      guard configuration.plan.isKnown else { break }
      if fault.stage2 {
        isRecorded = configuration.ste.flag(StreamTableEntry.s2r)
      } else if configuration.policy.usesStage1 {
        isRecorded = configuration.cd.flag(ContextDescriptor.r)
        // TERM_MODEL 1 has no RAZ/WI; a CD that asks for it is illegal there.
        if !configuration.cd.flag(ContextDescriptor.a) { result.kind = .razwi }
      }
    // The other events have no switch (§7.2).
    default: break
    }
    if isRecorded { post(record(event, fault, access, configuration), in: state.era.queue) }
    return result
  }

  private func record(
    _ event: EventKind, _ fault: Fault, _ access: Access, _ configuration: StreamConfiguration
  ) -> EventRecord {
    var record = EventRecord()
    record[EventRecord.number] = UInt64(event.rawValue)
    record[EventRecord.streamID] = UInt64(access.stream)
    if access.flags.contains(.substream) && event != .streamDisabled {
      // §7.3.9: C_BAD_SUBSTREAMID has the SubstreamID but no SSV.
      if event != .badSubstreamID { record[EventRecord.ssv] = 1 }
      record[EventRecord.substreamID] = UInt64(access.substream)
    }
    let output = UInt64.ones(features.outputBits)
    switch event {
    case .steFetch, .cdFetch, .walkAbort:
      record[EventRecord.fetchAddr] = (fault.fetchAddress & output) >> 3
    default:
      if fault.stage2 { record[EventRecord.ipa] = (fault.ipa & output) >> 12 }
    }
    switch event {
    case .walkAbort, .translation, .addressSize, .access, .permission:
      describe(access, fault, configuration, &record)
    default: break
    }
    return record
  }

  /// The fields that describe the transaction: it is always the incoming one (§7.3.12 to §7.3.16).
  private func describe(
    _ access: Access, _ fault: Fault, _ configuration: StreamConfiguration,
    _ record: inout EventRecord
  ) {
    let plan = configuration.plan
    let effective = plan.isKnown ? plan.effective(access) : nil
    let isRead = !access.writes || fault.missesRead
    record[EventRecord.pnu] = effective?.privileged == true ? 1 : 0
    record[EventRecord.ind] = isRead && effective?.instruction == true ? 1 : 0
    record[EventRecord.rnw] = isRead ? 1 : 0
    record[EventRecord.s2] = fault.stage2 ? 1 : 0
    record[EventRecord.accessClass] = UInt64(fault.accessClass.rawValue)
    record[EventRecord.inputAddr] = access.address
    // TTRnW of a permission fault on a descriptor: it was read (§7.3.16).
    if fault.event == .permission && fault.accessClass == .translationTable {
      record[EventRecord.ttrnw] = 1
    }
  }
}
