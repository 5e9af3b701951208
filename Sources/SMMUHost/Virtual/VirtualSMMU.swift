// SPDX-License-Identifier: MIT
import CKernel
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
  /// Of these, what the hosts are to decide.
  let automatic: AutomaticFields
  private let listener: any NestingListener
  private let owner: (any DeviceOwner)?
  /// The guest's RAM, in the order in which it came.
  var memory: [GuestRegion] = []
  /// By which others learn of events; -1 until somebody asks. It outlives hosts.
  private var eventFile: Int32 = -1
  /// What they became, if there was something to negotiate with.
  private var report: NegotiationReport?
  /// They say that the TLBIs of a linked VM's CPUs reach the guest's devices.
  private(set) var offersLinkedBroadcast = false

  public static func make(
    _ features: Features, automatic: AutomaticFields = [], options: Options,
    machine: any Machine, listener: any NestingListener, owner: (any DeviceOwner)? = nil
  ) throws(Refusal) -> VirtualSMMU {
    guard let mutex = Mutex() else { throw Refusal(.enomem, "no memory for a lock") }
    // What only devices bring is not there yet.
    let first = Situation(asked: features, automatic: automatic).decide().chosen
    let smmu = SMMU(first, options: options, machine: machine)
    return VirtualSMMU(
      smmu, asked: features, automatic: automatic, streams: StreamDirectory(mutex),
      listener: listener, owner: owner)
  }

  private init(
    _ smmu: SMMU, asked: Features, automatic: AutomaticFields, streams: StreamDirectory,
    listener: any NestingListener, owner: (any DeviceOwner)?
  ) {
    self.smmu = smmu
    self.streams = streams
    self.listener = listener
    self.owner = owner
    self.asked = asked
    self.automatic = automatic
  }

  deinit {
    leave()
    for region in memory { region.close() }
    if eventFile >= 0 { _ = vsmmu_system_close(eventFile) }
  }

  /// Takes a host, for devices of its that are to be assigned, with all RAM that there is, or
  /// none of it and no host.
  public func join(_ host: Host, domain: Domain) throws(Refusal) {
    guard nesting == nil else { throw Refusal(.eexist, "the vSMMU has a host already") }
    let nesting = try Nesting.make(
      on: host, domain: domain, for: smmu, streams: streams, listener: listener, owner: owner,
      eventFile: eventFile)
    do throws(Refusal) { for region in memory { try nesting.map(region) } } catch {
      nesting.close()
      throw error
    }
    nesting.closesFailedStreams = closesFailedStreams
    nesting.direct.isAsked = asksDirectQueues
    self.nesting = nesting
    smmu.hardware = nesting
  }

  /// Gives the host back, once no device of its is left.
  public func part() throws(Refusal) {
    let nesting = try requireNesting(or: .enodev)
    guard streams.assignedCount == 0 else {
      throw Refusal(.ebusy, "the vSMMU has assigned devices, which are to be detached first")
    }
    guard !(isFrozen && nesting.hasDirectQueues) else {
      throw Refusal(
        .ebusy, "the guest has direct command queues, which no other host could go on with")
    }
    leave()
    guard !isFrozen, let situation = try? situation() else { return }
    adopt(situation.decide())
  }

  /// Gives all back to the host, whatever there is.
  public func leave() {
    smmu.hardware = nil
    guard let nesting else { return }
    nesting.close()
    eventFile = nesting.events.epoll
    self.nesting = nil
  }

  public func requireNesting(or errno: Errno = .einval) throws(Refusal) -> Nesting {
    guard let nesting else {
      throw Refusal(errno, "the vSMMU has no host (config.host, vsmmu_set_host)")
    }
    return nesting
  }

  /// The guest may see the ID registers from now on.
  public func freeze() { isFrozen = true }

  /// What the ID registers are, and why.
  public var currentReport: NegotiationReport {
    var current = report ?? Situation(asked: asked, automatic: automatic).decide()
    current.isFrozen = isFrozen
    current.sharesVMID = nesting?.sharesVMID ?? false
    current.direct = nesting?.directVerdict ?? (asksDirectQueues ? .noDevice : .notAsked)
    return current
  }

  /// Resets the registers, so only where something changes.
  func adopt(_ report: NegotiationReport) {
    if smmu.features != report.chosen { smmu.renegotiate(report.chosen) }
    offersLinkedBroadcast = nesting?.isLinked == true && report.chosen[.idr0, IDR0.btm] != 0
    self.report = report
  }

  /// `candidate`: a device that is prepared.
  func situation(with candidate: AssignedDevice? = nil) throws(Refusal) -> Situation {
    var situation = Situation(asked: asked, automatic: automatic)
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
