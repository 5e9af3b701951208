// SPDX-License-Identifier: MIT
import CKernel
import SMMUSpec

/// What IOMMU_GET_HW_INFO tells of an assigned device and the physical SMMU before it.
public struct DeviceFacts {
  /// The raw registers. Only what the kernel's contract permits is read of them.
  public var information: iommufd_hw_info_arm_smmuv3
  /// IOMMUFD_HW_CAP_*.
  public var capabilities: UInt64
  /// out_max_pasid_log2.
  public var maxPASIDBits: Int
  /// The VMM says that the device does nothing without ATS.
  public var needsATS = false

  public init(
    _ information: iommufd_hw_info_arm_smmuv3, capabilities: UInt64 = 0, maxPASIDBits: Int = 0
  ) {
    self.information = information
    self.capabilities = capabilities
    self.maxPASIDBits = maxPASIDBits
  }

  public var mayUseATS: Bool {
    capabilities & UInt64(IOMMUFD_HW_CAP_ATS_NOT_SUPPORTED) == 0
  }

  /// A field of the raw registers; 0 of those that the kernel does not tell.
  @inline(never)
  func value(_ register: IdentificationRegister, _ field: Field) -> UInt32 {
    let idr = information.idr
    let word: UInt32 =
      switch register {
      case .idr0: idr.0
      case .idr1: idr.1
      case .idr2: idr.2
      case .idr3: idr.3
      case .idr4: idr.4
      case .idr5: idr.5
      case .idr6: 0
      case .iidr: information.iidr
      case .aidr: information.aidr
      }
    return UInt32(truncatingIfNeeded: UInt64(word)[field.high, field.low])
  }
}
