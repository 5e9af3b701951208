// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// All that the ID registers of a vSMMU hang on. What is decided of it is a function of it alone.
public struct Situation {
  /// What the VMM asks the registers to be.
  public var asked: Features
  /// Of these, what the hosts are to decide.
  public var automatic: AutomaticFields
  /// Of the assigned devices.
  public var devices: [DeviceFacts] = []
  /// Bits of the addresses that the host's stage 2 takes; 0 = not known.
  public var stage2Bits = 0
  public var broadcast = BroadcastEvidence()
  /// The guest drives command queues of the host's by itself.
  public var hasDirectQueues = false
  /// What the guest may have seen; nil = nothing yet.
  public var frozen: Features?

  public init(asked: Features, automatic: AutomaticFields = []) {
    self.asked = asked
    self.automatic = automatic
  }
}

extension Situation {
  /// What the registers are, unless they are frozen. To link a VM is to ask for broadcast TLB
  /// maintenance.
  public func decide() -> NegotiationReport {
    var asked = asked
    if broadcast.isLinked && !devices.isEmpty { asked[.idr0, IDR0.btm] = 1 }
    var report = Negotiation.decide(
      asked: asked, automatic: automatic, devices: devices, stage2Bits: stage2Bits,
      broadcast: broadcast)
    if hasDirectQueues { report.limitDirectQueues() }
    return report
  }

  /// What the registers become with one more device, nil if they stay as the guest has seen them;
  /// or why they cannot be had with it. `place`: where it is among the devices.
  public func admit(_ device: DeviceFacts, at place: Int) throws(Refusal) -> NegotiationReport? {
    if let frozen {
      let conflict = Negotiation.conflict(
        of: frozen, by: device, stage2Bits: stage2Bits, broadcast: broadcast)
      if let conflict { throw Refusal(.eopnotsupp, conflict.sentence) }
      return nil
    }
    var next = self
    next.devices.insert(device, at: place)
    let report = next.decide()
    if report.refusal != nil { throw Refusal(.eopnotsupp, report.refusalSentence) }
    return report
  }
}
