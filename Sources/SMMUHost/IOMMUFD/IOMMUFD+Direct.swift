// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// The calls for CMDQ-V.
extension IOMMUFD {
  /// What the SMMU before a device has of it; nil if it has none.
  func directInformation(
    _ device: UInt32
  ) throws(Errno) -> iommufd_hw_info_tegra241_cmdqv? {
    var found = iommufd_hw_info_tegra241_cmdqv()
    var argument = iommufd_hw_info()
    argument.size = Self.size(of: iommufd_hw_info.self)
    argument.flags = IOMMUFD_HW_INFO_INPUT_TYPE
    argument.dev_id = device
    argument.data_type = IOMMUFD_HW_INFO_TYPE_TEGRA241_CMDQV
    argument.data_len = Self.size(of: iommufd_hw_info_tegra241_cmdqv.self)
    do throws(Errno) {
      try call(IOMMUFD_GET_HW_INFO, with: &argument, data: &found) { $0.data_uptr = $1 }
    } catch {
      guard error == .eopnotsupp else { throw error }
      return nil
    }
    return argument.data_type == IOMMUFD_HW_INFO_TYPE_TEGRA241_CMDQV ? found : nil
  }

  /// A vIOMMU with an interface of its own, and where its page 0 can be mapped from.
  func allocateDirectVIOMMU(
    _ device: UInt32, parent: UInt32
  ) throws(Errno) -> (id: UInt32, page: iommufd_viommu_tegra241_cmdqv) {
    var page = iommufd_viommu_tegra241_cmdqv()
    var argument = iommufd_viommu_alloc()
    argument.size = Self.size(of: iommufd_viommu_alloc.self)
    argument.type = IOMMUFD_VIOMMU_TYPE_TEGRA241_CMDQV
    argument.dev_id = device
    argument.hwpt_id = parent
    argument.data_len = Self.size(of: iommufd_viommu_tegra241_cmdqv.self)
    try call(IOMMUFD_VIOMMU_ALLOC, with: &argument, data: &page) { $0.data_uptr = $1 }
    return (argument.out_viommu_id, page)
  }

  func allocateDirectQueue(
    _ viommu: UInt32, index: Int, at address: UInt64, length: UInt64
  ) throws(Errno) -> UInt32 {
    var argument = iommufd_hw_queue_alloc()
    argument.size = Self.size(of: iommufd_hw_queue_alloc.self)
    argument.viommu_id = viommu
    argument.type = IOMMUFD_HW_QUEUE_TYPE_TEGRA241_CMDQV
    argument.index = UInt32(truncatingIfNeeded: index)
    argument.nesting_parent_iova = address
    argument.length = length
    try call(IOMMUFD_HW_QUEUE_ALLOC, &argument)
    return argument.out_hw_queue_id
  }
}
