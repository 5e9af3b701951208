// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

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

  /// Requests that make something. What others allocate is gone when they return.
  static func isLasting(_ request: UInt32) -> Bool {
    switch request {
    case IOMMUFD_IOAS_ALLOC.number, IOMMUFD_IOAS_ALLOW_IOVAS.number, IOMMUFD_IOAS_COPY.number,
      IOMMUFD_IOAS_MAP.number, IOMMUFD_IOAS_MAP_FILE.number, IOMMUFD_HWPT_ALLOC.number,
      IOMMUFD_HWPT_INVALIDATE.number, IOMMUFD_FAULT_QUEUE_ALLOC.number,
      IOMMUFD_VIOMMU_ALLOC.number, IOMMUFD_VDEVICE_ALLOC.number, IOMMUFD_VEVENTQ_ALLOC.number,
      IOMMUFD_HW_QUEUE_ALLOC.number,
      VFIO_REQUEST_BIND_IOMMUFD.number, VFIO_REQUEST_ATTACH_PT.number,
      VFIO_REQUEST_DEVICE_FEATURE.number,
      KVM_REQUEST_CREATE_VM.number, KVM_REQUEST_CREATE_VCPU.number,
      KVM_REQUEST_CREATE_DEVICE.number:
      true
    default: false
    }
  }

  /// A copy of an array that grows by one element, or that is made of one after the other.
  static func growth<T>(of elements: [T]) -> Int { growth(to: elements.count, T.self) }

  static func growth<T>(to count: Int, _: T.Type) -> Int {
    // It doubles, and what it leaves behind is as much again.
    (4 * count + 16) * MemoryLayout<T>.stride + 512
  }
}
