// SPDX-License-Identifier: MIT
import CKernel
import SMMUModel
import SMMUSpec

@testable import SMMUHost

extension DeviceFacts {
  /// A device behind an SMMU that has everything, also what no guest may see.
  static var rich: DeviceFacts {
    DeviceFacts(registers { _ in }, capabilities: 0, maxPASIDBits: 20)
  }

  /// The same with changes.
  static func rich(_ change: (inout Features) -> Void) -> DeviceFacts {
    DeviceFacts(registers(change), capabilities: 0, maxPASIDBits: 20)
  }

  private static func registers(
    _ change: (inout Features) -> Void
  ) -> iommufd_hw_info_arm_smmuv3 {
    var f = Features()
    f[.idr0] = 0xffff_ffff
    f[.idr1] = 0xffff_ffff
    f[.idr3] = 0xffff_ffff
    f[.idr5] = 0xffff_ffff
    f[.idr0, IDR0.ttf] = 2
    f[.idr0, IDR0.ttendian] = 2
    f[.idr0, IDR0.stallModel] = 0
    f[.idr0, IDR0.stLevel] = 1
    f[.idr0, IDR0.termModel] = 0
    f[.idr1, IDR1.sidsize] = 32
    f[.idr1, IDR1.ssidsize] = 20
    f[.idr3, IDR3.bbml] = 2
    f[.idr5, IDR5.vax] = 1
    f[.idr5, IDR5.oas] = 5
    change(&f)
    var information = iommufd_hw_info_arm_smmuv3()
    information.idr = (f[.idr0], f[.idr1], f[.idr2], f[.idr3], f[.idr4], f[.idr5])
    information.iidr = f[.iidr]
    information.aidr = f[.aidr]
    return information
  }
}

extension BroadcastEvidence {
  /// All that can be said for BTM.
  static var complete: BroadcastEvidence {
    var evidence = BroadcastEvidence()
    evidence.kernelLinks = true
    evidence.isLinked = true
    evidence.boundForVM = true
    evidence.vmid = 7
    evidence.kvmVMIDBits = 16
    evidence.cpuASIDBits = 16
    return evidence
  }
}

extension Features {
  /// The Linux profile with BTM asked for.
  static var broadcasting: Features {
    var f = Features.linux
    f[.idr0, IDR0.btm] = 1
    return f
  }
}

/// The next number of a seeded sequence.
struct Seed {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
