// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUBase
import SMMUModel
import SMMUSpec

/// A guest's SMMU as a whole: the model that software translates by, its devices, and where there
/// are assigned ones the half of it that lives in the host's kernel. It decides the ID registers
/// with the hosts of its devices until the guest may have seen them.
///
/// Serialised by the caller, but for translations by `smmu` and what they ask `streams`.
public final class VirtualSMMU {
  public let smmu: SMMU
  public let streams: StreamDirectory
  /// nil: it has no host.
  public private(set) var nesting: Nesting?
  /// The guest may have seen the ID registers.
  public private(set) var isFrozen = false
  /// A stream that the kernel fails to change aborts, even where its old stage 1 could stay.
  public var closesFailedStreams = false
  /// The guest is to drive command queues of the host's by itself, if it can be had.
  public var asksDirectQueues = false
  /// What the caller asked the ID registers to be.
  let asked: Features
  private let listener: any NestingListener
  /// What they became, if there was something to negotiate with.
  private var report: NegotiationReport?

  public static func make(
    _ features: Features, options: Options, machine: any Machine, listener: any NestingListener
  ) throws(Refusal) -> VirtualSMMU {
    guard let mutex = Mutex() else { throw Refusal(.enomem, "no memory for a lock") }
    let smmu = SMMU(features, options: options, machine: machine)
    return VirtualSMMU(smmu, streams: StreamDirectory(mutex), listener: listener)
  }

  private init(_ smmu: SMMU, streams: StreamDirectory, listener: any NestingListener) {
    self.smmu = smmu
    self.streams = streams
    self.listener = listener
    asked = smmu.features
  }

  deinit { leave() }

  /// Takes a host, for devices of its that are to be assigned.
  public func join(_ host: Host, domain: Domain) throws(Refusal) {
    let nesting = try Nesting.make(
      on: host, domain: domain, for: smmu, streams: streams, listener: listener)
    nesting.closesFailedStreams = closesFailedStreams
    nesting.direct.isAsked = asksDirectQueues
    self.nesting = nesting
    smmu.hardware = nesting
  }

  /// Gives all back to the host, at the end, while nothing else runs.
  public func leave() {
    smmu.hardware = nil
    nesting?.close()
    nesting = nil
  }

  public func requireNesting(or errno: Errno = .einval) throws(Refusal) -> Nesting {
    guard let nesting else { throw Refusal(errno, "the vSMMU was created without config.host") }
    return nesting
  }

  /// The guest may see the ID registers from now on.
  public func freeze() { isFrozen = true }

  /// What the ID registers are, and why.
  public var currentReport: NegotiationReport {
    var current = report ?? Situation(asked: asked).decide()
    current.isFrozen = isFrozen
    current.direct = nesting?.directVerdict ?? (asksDirectQueues ? .noDevice : .notAsked)
    return current
  }

  /// Resets the registers, so only where something changes.
  func adopt(_ report: NegotiationReport) {
    if smmu.features != report.chosen { smmu.renegotiate(report.chosen) }
    self.report = report
  }

  /// `candidate`: a device that is prepared.
  func situation(with candidate: AssignedDevice? = nil) throws(Refusal) -> Situation {
    var situation = Situation(asked: asked)
    if isFrozen { situation.frozen = smmu.features }
    situation.devices = streams.assigned.map { $0.facts }
    if let nesting {
      situation.stage2Bits = try nesting.stage2Bits()
      situation.broadcast = nesting.broadcastEvidence(with: candidate)
      situation.hasDirectQueues = nesting.hasDirectQueues
    }
    situation.broadcast.hasEmulatedStreams = streams.emulatedCount != 0
    return situation
  }
}
