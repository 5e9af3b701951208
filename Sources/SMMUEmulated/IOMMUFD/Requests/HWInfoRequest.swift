// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

extension IOMMUFDFile {
  /// IOMMU_GET_HW_INFO: the raw registers of the SMMU behind a device.
  func hwInfo(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(
      argument, zeros: iommufd_hw_info(), least: Int(IOMMUFD_HW_INFO_LEAST))
    let info = request.value
    let reserved = info.reserved
    guard info.flags & ~UInt32(IOMMUFD_HW_INFO_INPUT_TYPE) == 0, reserved.0 == 0,
      reserved.1 == 0, reserved.2 == 0
    else { throw .eopnotsupp }
    let device = try objects.device(info.dev_id)
    let type =
      info.flags & UInt32(IOMMUFD_HW_INFO_INPUT_TYPE) != 0
      ? info.data_type : IOMMUFD_HW_INFO_TYPE_DEFAULT
    switch type {
    case IOMMUFD_HW_INFO_TYPE_DEFAULT, IOMMUFD_HW_INFO_TYPE_ARM_SMMUV3:
      try copyRegisters(of: device.hardware.smmu, info)
      fill(&request.value, device.hardware)
    case IOMMUFD_HW_INFO_TYPE_TEGRA241_CMDQV where device.hardware.smmu.hasDirectQueues:
      try copyOut(device.hardware.smmu.directInformation, info)
      fill(&request.value, device.hardware)
      request.value.data_len = UInt32(MemoryLayout<iommufd_hw_info_tegra241_cmdqv>.size)
      request.value.data_type = type
    default: throw .eopnotsupp
    }
    request.copyOut()
  }

  private func copyRegisters(
    of smmu: PhysicalSMMU, _ info: iommufd_hw_info
  ) throws(Errno) {
    var registers = smmu.information
    if !kernel.version.tellsErrata { registers.flags = 0 }
    try copyOut(registers, info)
  }

  /// As much as there is room for; what is beyond is cleared.
  private func copyOut<T>(_ answer: T, _ info: iommufd_hw_info) throws(Errno) {
    let room = Int(info.data_len)
    guard room > 0 else { return }
    let target = try UserMemory.pointer(info.data_uptr)
    let length = MemoryLayout<T>.size
    withUnsafeBytes(of: answer) {
      target.copyMemory(from: $0.baseAddress!, byteCount: min(room, length))
    }
    guard room > length else { return }
    (target + length).initializeMemory(as: UInt8.self, repeating: 0, count: room - length)
  }

  private func fill(_ info: inout iommufd_hw_info, _ device: EmulatedDevice) {
    info.data_len = UInt32(MemoryLayout<iommufd_hw_info_arm_smmuv3>.size)
    info.data_type = IOMMUFD_HW_INFO_TYPE_ARM_SMMUV3
    info.out_max_pasid_log2 = UInt8(
      clamping: min(device.pasidBits, device.smmu.features.substreamIDBits))
    info.out_capabilities =
      device.supportsATS ? 0 : UInt64(IOMMUFD_HW_CAP_ATS_NOT_SUPPORTED)
    if device.smmu.tracksDirtyPages {
      info.out_capabilities |= UInt64(IOMMUFD_HW_CAP_DIRTY_TRACKING)
    }
  }
}
