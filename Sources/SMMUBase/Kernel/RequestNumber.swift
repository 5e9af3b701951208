// SPDX-License-Identifier: MIT
// The numbers of requests: C gives enumerators whatever type holds them all.
import CKernel

extension iommufd_request {
  public var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}

extension kvm_request {
  public var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}

extension vfio_request {
  public var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}
