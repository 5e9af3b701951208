// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// IOMMU_VIOMMU_ALLOC, and what is made on a vIOMMU. Direct command queues: `DirectRequests`.
extension IOMMUFDFile {
  func viommuAlloc(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(
      argument, zeros: iommufd_viommu_alloc(), least: Int(IOMMUFD_VIOMMU_ALLOC_LEAST))
    let alloc = request.value
    guard alloc.flags == 0, alloc.type != IOMMUFD_VIOMMU_TYPE_DEFAULT else { throw .eopnotsupp }
    let smmu = try objects.device(alloc.dev_id).hardware.smmu
    let isDirect = alloc.type == IOMMUFD_VIOMMU_TYPE_TEGRA241_CMDQV
    guard isDirect ? smmu.hasDirectQueues : alloc.type == IOMMUFD_VIOMMU_TYPE_ARM_SMMUV3,
      smmu.canHaveVIOMMU
    else { throw .eopnotsupp }
    let parent = try objects.paging(alloc.hwpt_id)
    guard parent.flags.contains(.nestParent), parent.smmu === smmu else { throw .einval }
    let viommu = isDirect ? try makeDirect(alloc, on: parent) : KernelVIOMMU(parent)
    objects.insert(.viommu(viommu))
    request.value.out_viommu_id = viommu.id
    request.copyOut()
  }

  func vdeviceAlloc(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_vdevice_alloc())
    let alloc = request.value
    let viommu = try objects.viommu(alloc.viommu_id)
    let device = try objects.device(alloc.dev_id)
    guard device.hardware.smmu === viommu.smmu else { throw .einval }
    guard device.vdevice == nil, viommu.vdevice(alloc.virt_id) == nil else { throw .eexist }
    try nameStream(alloc.virt_id, of: device, in: viommu)
    let vdevice = KernelVDevice(viommu, device: device, virtualID: alloc.virt_id)
    objects.insert(.vdevice(vdevice))
    viommu.add(vdevice)
    device.vdevice = vdevice
    request.value.out_vdevice_id = vdevice.id
    request.copyOut()
  }

  func eventQueueAlloc(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(
      argument, zeros: iommufd_veventq_alloc(), least: Int(IOMMUFD_VEVENTQ_ALLOC_LEAST))
    let alloc = request.value
    guard alloc.flags == 0, alloc.reserved == 0, alloc.type != 0 else { throw .eopnotsupp }
    guard alloc.veventq_depth > 0, alloc.veventq_depth <= 1 << 19 else { throw .einval }
    let viommu = try objects.viommu(alloc.viommu_id)
    guard viommu.queue(alloc.type) == nil else { throw .eexist }
    let queue = KernelEventQueue(viommu, type: alloc.type, depth: Int(alloc.veventq_depth))
    let file = KernelEventQueueFile(queue, self)
    request.value.out_veventq_fd = try kernel.descriptors.install(file)
    objects.insert(.eventQueue(queue))
    viommu.add(queue)
    queue.file = file
    queue.users += 1
    kernel.descriptors.hold(self)
    request.value.out_veventq_id = queue.id
    request.copyOut()
  }
}
