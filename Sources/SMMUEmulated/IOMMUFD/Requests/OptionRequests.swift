// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// IOMMU_OPTION and IOMMU_VFIO_IOAS.
extension IOMMUFDFile {
  func option(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_option())
    guard request.value.reserved == 0, request.value.op <= 1 else { throw .eopnotsupp }
    switch request.value.option_id {
    case 0: try accounting(&request.value)
    case 1: try hugePages(&request.value)
    default: throw .eopnotsupp
    }
    request.copyOut()
  }

  private static var set: UInt16 { 0 }

  /// IOMMU_OPTION_RLIMIT_MODE, of the iommufd as a whole, before it has objects.
  private func accounting(_ option: inout iommufd_option) throws(Errno) {
    guard option.object_id == 0 else { throw .eopnotsupp }
    if option.op == Self.set {
      guard objects.count == 0 else { throw .ebusy }
      guard option.value <= 1 else { throw .einval }
      accountsPerProcess = option.value == 1
    } else {
      option.value = accountsPerProcess ? 1 : 0
    }
  }

  /// IOMMU_OPTION_HUGE_PAGES, of an IOAS.
  private func hugePages(_ option: inout iommufd_option) throws(Errno) {
    let ioas = try objects.ioas(option.object_id)
    if option.op == Self.set {
      guard option.value <= 1 else { throw .einval }
      ioas.hasHugePages = option.value == 1
    } else {
      option.value = ioas.hasHugePages ? 1 : 0
    }
  }

  func vfioIOAS(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_vfio_ioas())
    guard request.value.reserved == 0 else { throw .eopnotsupp }
    switch request.value.op {
    case 0:
      guard let containerSpace else { throw .enodev }
      request.value.ioas_id = containerSpace.id
      request.copyOut()
    case 1: containerSpace = try objects.ioas(request.value.ioas_id)
    case 2: containerSpace = nil
    default: throw .eopnotsupp
    }
  }
}
