// SPDX-License-Identifier: MIT
import CKernel

/// Bytes that calls of the emulated host may allocate.
enum EmulatedNeed {
  /// One that makes a few objects, or commands for the SMMU.
  static var call: Int { 64 << 10 }
  /// For each descriptor and each id of an iommufd's: they are in a few arrays, which may grow.
  private static var object: Int { 256 }
  /// For each CPU, when VMIDs roll over or are checked.
  private static var cpu: Int { 64 }
  /// Each VMID set that a rollover copies, of 2^16 bits.
  private static var numbers: Int { 8 << 10 }

  static func call(_ kernel: EmulatedKernelState) -> Int {
    var objects = kernel.descriptors.count
    for iommufd in kernel.iommufds { objects += iommufd.objects.capacity }
    return call + 4 * numbers + objects * object + kernel.hypervisor.loaded.count * cpu
  }

  /// Where memory is short these go on: what they allocate is gone when they return.
  static func isOnlyPassing(_ request: UInt32) -> Bool {
    switch request {
    case IOMMUFD_DESTROY.number, IOMMUFD_IOAS_UNMAP.number, VFIO_REQUEST_DETACH_PT.number,
      VFIO_REQUEST_DEVICE_RESET.number, KVM_REQUEST_SET_DEVICE_ATTR.number:
      true
    default: false
    }
  }

  /// Growing by one element.
  static func growth<T>(of elements: [T]) -> Int {
    3 * (elements.count + 8) * MemoryLayout<T>.stride + 64
  }
}
