// SPDX-License-Identifier: MIT
import SMMUSpec

extension Translator {
  /// Records a fault if it is to be recorded, and says what the client sees (§3.12, §5.5, §7.2).
  func conclude(
    _ fault: Fault, of access: Access, plan: StreamPlan, era: ControlEra
  ) -> Translation {
    let (result, isRecorded) = outcome(fault, of: access, plan: plan, era: era)
    if isRecorded, let event = fault.event {
      events?.post(record(event, fault: fault, access: access, plan: plan), in: era.queue)
    }
    return result
  }

  /// What the client sees, and whether the fault is to be recorded.
  func outcome(
    _ fault: Fault, of access: Access, plan: StreamPlan, era: ControlEra
  ) -> (Translation, isRecorded: Bool) {
    var result = Translation(.abort, event: fault.event)
    guard let event = fault.event, !access.flags.contains(.speculative) else {
      return (result, false)
    }
    var isRecorded = true
    switch event {
    case .badStreamID:
      isRecorded = control.state(era).recordsBadStreams
    case .translation, .addressSize, .access, .permission:
      guard plan.isKnown, let model = plan.faultModel(stage2: fault.stage2) else { break }
      isRecorded = model.records
      // TERM_MODEL 1 has no RAZ/WI; a CD that asks for it is illegal there.
      if !model.aborts { result.kind = .razwi }
    // The other events have no switch (§7.2).
    default: break
    }
    return (result, isRecorded)
  }

  private func record(
    _ event: EventKind, fault: Fault, access: Access, plan: StreamPlan
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
      record[EventRecord.fetchAddr] = (fault.fetchAddress.raw & output) >> 3
    default:
      if fault.stage2 { record[EventRecord.ipa] = (fault.ipa.raw & output) >> 12 }
    }
    switch event {
    case .walkAbort, .translation, .addressSize, .access, .permission:
      describe(access, fault: fault, plan: plan, record: &record)
    default: break
    }
    return record
  }

  /// The fields that describe the transaction: it is always the incoming one (§7.3.12 to §7.3.16).
  private func describe(
    _ access: Access, fault: Fault, plan: StreamPlan, record: inout EventRecord
  ) {
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

extension StreamPlan {
  /// Of a stage that the stream has; nil else.
  fileprivate func faultModel(stage2 isStage2: Bool) -> FaultModel? {
    if isStage2 { return stage2.faultModel }
    return policy.usesStage1 ? stage1.faultModel : nil
  }
}
