// SPDX-License-Identifier: MIT
import SMMUSpec

extension SMMU {
  /// What hardware has to do with a stream's transactions now. Hardware tells no one of a stream
  /// that is not to be translated, so an STE that cannot be fetched, or is ILLEGAL, aborts.
  public func assignment(of stream: StreamID) -> AssignedStream {
    assignment(of: stream) { _ in }
  }

  /// The same, as a command shows the STE. One that is valid and ILLEGAL is reported, as nothing
  /// else tells of it: the stream aborts in silence. C_BAD_STE is of transactions (§7.3.5), so it
  /// is recorded here only where that is asked for.
  public func assignmentShown(of stream: StreamID) -> AssignedStream {
    assignment(of: stream) { violation in
      machine.report(.illegalSTE(violation, stream))
      guard options.recordsIllegalSTEs else { return }
      var event = EventRecord()
      event[EventRecord.number] = UInt64(EventKind.badSTE.rawValue)
      event[EventRecord.streamID] = UInt64(stream)
      record(event)
    }
  }

  private func assignment(
    of stream: StreamID, illegal: (Violation) -> Void
  ) -> AssignedStream {
    guard registers.flag(.cr0ack, CR0.smmuen) else {
      return registers.flag(.gbpa, GBPA.abort) ? .abort : .bypass
    }
    do throws(Fault) {
      let reader = ConfigurationReader(
        walker: translator.walker, features: features, state: control.state)
      let ste = try reader.fetchSTE(stream)
      if let violation = ste.violation(features) {
        if ste.flag(StreamTableEntry.v) { illegal(violation) }
        return .abort
      }
      switch StreamPolicy.assigned(ste, features) {
      case .bypass: return .bypass
      case .stage1: return ste.canonicalStage1(features)
      default: return .abort
      }
    } catch {
      return .abort
    }
  }

  /// Whether the guest's event queue is on, and log2 of its entries.
  public var eventQueue: (isOn: Bool, log2Size: Int) {
    (registers.flag(.cr0ack, CR0.eventqen), events.ring.log2Size)
  }

  /// Records an event that hardware met for this SMMU's guest.
  public func record(_ event: EventRecord) { post(event) }

  /// Hardware lost events for this SMMU's guest, behind those that were recorded so far.
  public func recordLoss() { noteLost() }
}

extension StreamTableEntry {
  /// Without the fields that are not looked at (§5.2), so that a driver that writes an STE in steps
  /// does not change what it is. Of EATS only full ATS (1) does something here.
  fileprivate func canonicalStage1(_ features: Features) -> AssignedStream {
    var kept = StreamTableEntry()
    kept[Self.v] = self[Self.v]
    kept[Self.config] = self[Self.config]
    kept[Self.s1cir] = self[Self.s1cir]
    kept[Self.s1cor] = self[Self.s1cor]
    kept[Self.s1csh] = self[Self.s1csh]
    if features.substreamIDBits != 0 && self[Self.s1cdMax] != 0 {
      kept[Self.s1cdMax] = self[Self.s1cdMax]
      kept[Self.s1dss] = self[Self.s1dss]
      if features.twoLevelCDs { kept[Self.s1fmt] = self[Self.s1fmt] }
    }
    kept[Self.s1ContextPtr] = contextTable >> 6
    if features.ats && self[Self.eats] == 1 { kept[Self.eats] = 1 }
    return .stage1(kept.words[0], kept.words[1])
  }
}
