// SPDX-License-Identifier: MIT
import SMMUSpec

/// What a stream becomes where hardware translates it: `StreamPolicy`, with what stage 1 needs.
public enum AssignedStream: Equatable, Sendable {
  case abort
  case bypass
  /// STE [127:0], canonical: two STEs that mean the same are equal here.
  case stage1(UInt64, UInt64)
}

extension SMMU {
  /// What hardware has to do with a stream's transactions now. Hardware tells no one of a stream
  /// that is not to be translated, so an STE that cannot be fetched, or is ILLEGAL, aborts.
  public func assignment(of stream: StreamID) -> AssignedStream {
    guard registers.flag(.cr0ack, CR0.smmuen) else {
      return registers.flag(.gbpa, GBPA.abort) ? .abort : .bypass
    }
    do throws(Fault) {
      let reader = ConfigurationReader(
        walker: translator.walker, features: features, state: control.state)
      let ste = try reader.fetchSTE(stream)
      guard ste.isValid(features) else { return .abort }
      switch StreamPolicy(ste) {
      case .bypass: return .bypass
      case .stage1: return ste.canonicalStage1(features)
      // Stage 2 is the host's.
      case .abort, .stage2, .nested: return .abort
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
  /// does not change what it is. ATS is not offered: EATS is 0.
  fileprivate func canonicalStage1(_ features: Features) -> AssignedStream {
    var kept = StreamTableEntry()
    func keep(_ fields: [Field]) { for field in fields { kept[field] = self[field] } }
    keep([Self.v, Self.config, Self.s1cir, Self.s1cor, Self.s1csh])
    let substreams = features.substreamIDBits == 0 ? 0 : self[Self.s1cdMax]
    kept[Self.s1cdMax] = substreams
    if substreams != 0 {
      keep([Self.s1dss])
      if features.twoLevelCDs { keep([Self.s1fmt]) }
    }
    kept[Self.s1ContextPtr] = contextTable >> 6
    return .stage1(kept.words[0], kept.words[1])
  }
}
