// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

/// IOMMU_HWPT_*, but for invalidation, and IOMMU_FAULT_QUEUE_ALLOC.
extension IOMMUFDFile {
  func hwptAlloc(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(
      argument, zeros: iommufd_hwpt_alloc(), least: Int(IOMMUFD_HWPT_ALLOC_LEAST))
    let alloc = request.value
    guard alloc.reserved == 0 else { throw .eopnotsupp }
    guard (alloc.data_type == IOMMUFD_HWPT_DATA_NONE) == (alloc.data_len == 0) else {
      throw .einval
    }
    let device = try objects.device(alloc.dev_id)
    let made: ObjectEntry
    switch objects[alloc.pt_id] {
    case .ioas(let ioas): made = .paging(try makePaging(alloc, device: device, ioas: ioas))
    // Arm nests in vIOMMUs alone.
    case .paging: throw .eopnotsupp
    case .viommu(let viommu): made = .nested(try makeNested(alloc, device: device, viommu: viommu))
    default: throw .einval
    }
    objects.insert(made)
    kernel.hwpts &+= 1
    request.value.out_hwpt_id = made.object?.id ?? 0
    request.copyOut()
  }

  private func makePaging(
    _ alloc: iommufd_hwpt_alloc, device: KernelDevice, ioas: KernelIOAS
  ) throws(Errno) -> PagingHWPT {
    let flags = HWPTFlags(rawValue: alloc.flags)
    guard flags.isSubset(of: .all), alloc.data_len == 0 else { throw .eopnotsupp }
    let smmu = device.hardware.smmu
    if flags.contains(.nestParent) {
      guard flags == .nestParent, smmu.canNest else { throw .eopnotsupp }
    }
    if flags.contains(.dirtyTracking) && !smmu.tracksDirtyPages { throw .eopnotsupp }
    let fault = try faultQueue(of: alloc)
    return try PagingHWPT.make(ioas, smmu: smmu, flags: flags, for: device.vm, fault: fault)
  }

  private func makeNested(
    _ alloc: iommufd_hwpt_alloc, device: KernelDevice, viommu: KernelVIOMMU
  ) throws(Errno) -> NestedHWPT {
    guard device.hardware.smmu === viommu.smmu else { throw .einval }
    guard HWPTFlags(rawValue: alloc.flags).isSubset(of: .faultQueue), alloc.data_len > 0 else {
      throw .eopnotsupp
    }
    let needed = MemoryLayout<iommufd_hwpt_arm_smmuv3>.size
    guard alloc.data_type == IOMMUFD_HWPT_DATA_ARM_SMMUV3, Int(alloc.data_len) == needed else {
      throw .einval
    }
    var data = iommufd_hwpt_arm_smmuv3()
    try UserMemory.copyIn(
      try UserMemory.pointer(alloc.data_uptr), size: Int(alloc.data_len), to: &data)
    let words = (UInt64(littleEndian: data.ste.0), UInt64(littleEndian: data.ste.1))
    let checked = try VirtualSTE.check(words)
    return NestedHWPT(viommu, words: checked, fault: try faultQueue(of: alloc))
  }

  private func faultQueue(of alloc: iommufd_hwpt_alloc) throws(Errno) -> KernelFaultQueue? {
    guard HWPTFlags(rawValue: alloc.flags).contains(.faultQueue) else { return nil }
    return try objects.faultQueue(alloc.fault_id)
  }

  func faultQueueAlloc(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_fault_alloc())
    guard request.value.flags == 0 else { throw .eopnotsupp }
    let queue = KernelFaultQueue()
    let file = KernelFaultQueueFile(queue, self)
    request.value.out_fault_fd = try kernel.descriptors.install(file)
    objects.insert(.faultQueue(queue))
    queue.users += 1
    kernel.descriptors.hold(self)
    request.value.out_fault_id = queue.id
    request.copyOut()
  }
}

/// Dirty tracking, of stage 1 domains on SMMUs whose raw registers show HTTU. The devices' writes
/// are not recorded: every page is clean.
extension IOMMUFDFile {
  func setDirtyTracking(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    let request = try UserStruct(argument, zeros: iommufd_hwpt_set_dirty_tracking()).value
    guard request.flags & ~1 == 0, request.reserved == 0 else { throw .eopnotsupp }
    try requireDirtyTracking(request.hwpt_id)
  }

  func getDirtyBitmap(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    let request = try UserStruct(argument, zeros: iommufd_hwpt_get_dirty_bitmap()).value
    guard request.flags & ~1 == 0, request.reserved == 0 else { throw .eopnotsupp }
    try requireDirtyTracking(request.hwpt_id)
  }

  private func requireDirtyTracking(_ id: UInt32) throws(Errno) {
    guard try objects.paging(id).flags.contains(.dirtyTracking) else { throw .eopnotsupp }
  }
}

extension PhysicalSMMU {
  /// IDR0.HTTU says that hardware updates the dirty state.
  var tracksDirtyPages: Bool { UInt64(information.idr.0)[7, 6] == 2 }
}
