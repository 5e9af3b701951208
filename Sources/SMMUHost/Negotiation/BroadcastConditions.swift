// SPDX-License-Identifier: MIT
import SMMUSpec

/// What is known of the link between the vSMMU, KVM and the host's SMMUs.
public struct BroadcastEvidence: Equatable, Sendable {
  /// The kernel has requests that pin a VM's VMID; such a kernel also gives it to stage 2 of the
  /// VM's devices, keeps one number space for KVM and SMMUs, and lets SMMUs listen (CR2.PTM = 0).
  public var kernelLinks = false
  /// A KVM VM of an arm64 host is linked.
  public var isLinked = false
  /// The VMID that is pinned for it; 0 = none yet.
  public var vmid: UInt32 = 0
  /// It will be pinned before the first STE names it; if it cannot be, that attachment fails.
  public var pinsOnDemand = false
  /// Each device was bound for that VM, so that its stage 2 has the VM's number.
  public var boundForVM = false
  /// A device is translated in software, whose TLB no CPU of KVM's reaches.
  public var hasEmulatedStreams = false
  /// Bits of KVM's VMIDs and of the guest CPU's ASIDs, 8 or 16; 0 = not known.
  public var kvmVMIDBits = 0
  public var cpuASIDBits = 0

  public init() {}
}

/// What must hold before a guest is told that its CPU's broadcast TLB maintenance reaches its
/// devices.
public enum BroadcastCondition: UInt8, CaseIterable, Sendable {
  case asked, hardware, noErratum, kernelLinks, linked, bound, pinned, hardwareAlone, vmidWidth
  case asidWidth

  public var name: StaticString {
    switch self {
    case .asked: "asked"
    case .hardware: "hardware"
    case .noErratum: "no_erratum"
    case .kernelLinks: "kernel_links"
    case .linked: "vm_linked"
    case .bound: "devices_bound"
    case .pinned: "vmid_pinned"
    case .hardwareAlone: "hardware_alone"
    case .vmidWidth: "vmid_width"
    case .asidWidth: "asid_width"
    }
  }

  public var sentence: StaticString {
    switch self {
    case .asked: "BTM is asked for"
    case .hardware: "the host's SMMU has IDR0.BTM"
    case .noErratum: "no erratum of the host's SMMU forbids it"
    case .kernelLinks: "the kernel can pin KVM's VMID and use it for stage 2"
    case .linked: "a KVM VM is linked"
    case .bound: "each device was bound for it"
    case .pinned: "its VMID is pinned"
    case .hardwareAlone: "no device is translated in software"
    case .vmidWidth: "the host's SMMU has VMIDs as wide as KVM's"
    case .asidWidth: "the guest's SMMU has ASIDs as wide as its CPU's"
    }
  }

  /// What is missing.
  public var missing: StaticString {
    switch self {
    case .asked: "BTM is not asked for"
    case .hardware: "the host's SMMU has no broadcast TLB maintenance (IDR0.BTM = 0)"
    case .noErratum: "an erratum of the host's SMMU forbids it (IIDR)"
    case .kernelLinks: "this kernel has no request that pins a VMID"
    case .linked: "no KVM VM is linked"
    case .bound: "a device was bound without KVM being told of it before"
    case .pinned: "the VM's VMID is not pinned"
    case .hardwareAlone: "KVM's CPUs do not reach software, which translates an emulated device"
    case .vmidWidth: "KVM's VMIDs are wider than those of the host's SMMU"
    case .asidWidth: "the CPU's ASIDs are wider than those of the guest's SMMU"
    }
  }
}

/// Which conditions hold.
public struct BroadcastVerdict: Equatable, Sendable {
  private var met: UInt32 = 0

  public func holds(_ condition: BroadcastCondition) -> Bool {
    met & 1 &<< UInt32(condition.rawValue) != 0
  }

  public var firstMissing: BroadcastCondition? {
    for condition in BroadcastCondition.allCases where !holds(condition) { return condition }
    return nil
  }

  public var isOffered: Bool { firstMissing == nil }

  /// `asid16`: what the guest's SMMU is going to have. Raw bits that the kernel's contract does not
  /// name (BTM, VMID16) can only forbid here: that the hardware would do it promises nothing.
  init(asked: Features, asid16: Bool, devices: [DeviceFacts], evidence: BroadcastEvidence) {
    var hasBTM = true
    var isSound = true
    var vmidBits = 16
    for device in devices {
      hasBTM = hasBTM && device.value(.idr0, IDR0.btm) != 0
      isSound = isSound && !device.hasBroadcastErratum
      if device.value(.idr0, IDR0.vmid16) == 0 { vmidBits = 8 }
    }
    let kvmBits = evidence.kvmVMIDBits == 0 ? 16 : evidence.kvmVMIDBits
    let cpuBits = evidence.cpuASIDBits == 0 ? 16 : evidence.cpuASIDBits
    set(.asked, asked[.idr0, IDR0.btm] != 0)
    set(.hardware, hasBTM)
    set(.noErratum, isSound)
    set(.kernelLinks, evidence.kernelLinks)
    set(.linked, evidence.isLinked)
    set(.bound, evidence.boundForVM)
    set(.hardwareAlone, !evidence.hasEmulatedStreams)
    set(.pinned, evidence.vmid != 0 || evidence.pinsOnDemand)
    set(.vmidWidth, kvmBits <= vmidBits && UInt64(evidence.vmid) <= UInt64.ones(vmidBits))
    set(.asidWidth, cpuBits <= (asid16 ? 16 : 8))
  }

  // Not inlined: ten conditions in a row would become a tree of all their combinations.
  @inline(never)
  private mutating func set(_ condition: BroadcastCondition, _ holds: Bool) {
    if holds { met |= 1 &<< UInt32(condition.rawValue) }
  }
}

extension DeviceFacts {
  /// Arm's MMU-700, MMU-L1 and MMU-S3 must not listen to broadcasts.
  var hasBroadcastErratum: Bool {
    guard value(.iidr, IIDR.implementer) == 0x43b else { return false }
    let product = value(.iidr, IIDR.productID)
    return product == 0x487 || product == 0x48a || product == 0x498
  }
}
