// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

/// Command queues that a guest drives, on SMMUs with CMDQ-V.
extension IOMMUFDFile {
  /// A vIOMMU of type TEGRA241_CMDQV, whose struct tells where its page can be mapped.
  func makeDirect(
    _ alloc: iommufd_viommu_alloc, on parent: PagingHWPT
  ) throws(Errno) -> KernelVIOMMU {
    let size = MemoryLayout<iommufd_viommu_tegra241_cmdqv>.size
    guard Int(alloc.data_len) >= size else { throw .einval }
    let data = try UserMemory.pointer(alloc.data_uptr)
    var page = iommufd_viommu_tegra241_cmdqv()
    try UserMemory.copyIn(data, size: Int(alloc.data_len), to: &page)
    let viommu = try reserving(
      PhysicalInterface.needed, orThrow: Errno.enomem
    ) { () throws(Errno) in
      KernelVIOMMU(
        parent, interface: try parent.smmu.takeInterface(vmid: parent.vmid ?? 0),
        pageOffset: freePageOffset)
    }
    page.out_vintf_mmap_offset = viommu.pageOffset
    page.out_vintf_mmap_length = DirectFrameMap.pageSize
    data.storeBytes(of: page, as: iommufd_viommu_tegra241_cmdqv.self)
    return viommu
  }

  /// The lowest; never 0.
  private var freePageOffset: UInt64 {
    var offset: UInt64 = 4096
    while page(at: offset) != nil { offset += DirectFrameMap.pageSize }
    return offset
  }

  private func page(at offset: UInt64) -> KernelVIOMMU? {
    var found: KernelVIOMMU?
    objects.each { entry in
      guard case .viommu(let viommu) = entry, viommu.interface != nil else { return }
      if viommu.pageOffset == offset { found = viommu }
    }
    return found
  }

  /// An interface replaces StreamIDs in commands, of 20 bits and few.
  func nameStream(
    _ virtualID: UInt64, of device: KernelDevice, in viommu: KernelVIOMMU
  ) throws(Errno) {
    guard let interface = viommu.interface else { return }
    guard virtualID >> UInt64(DirectFrameMap.streamIDBits) == 0 else { throw .einval }
    let isAdded = viommu.smmu.accessing {
      interface.add(
        StreamID(truncatingIfNeeded: virtualID), as: device.hardware.stream)
    }
    guard isAdded else { throw .enospc }
  }

  /// IOMMU_HW_QUEUE_ALLOC.
  func hwQueueAlloc(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_hw_queue_alloc())
    let alloc = request.value
    guard alloc.flags == 0, alloc.type != 0 else { throw .eopnotsupp }
    guard alloc.length > 0 else { throw .einval }
    guard !alloc.nesting_parent_iova.addingReportingOverflow(alloc.length - 1).overflow else {
      throw .eoverflow
    }
    let viommu = try objects.viommu(alloc.viommu_id)
    guard viommu.interface != nil, alloc.type == IOMMUFD_HW_QUEUE_TYPE_TEGRA241_CMDQV else {
      throw .eopnotsupp
    }
    let queue = KernelHWQueue(viommu, index: Int(alloc.index), after: viommu.lastHWQueue)
    let ioas = viommu.parent.ioas
    let address = try ioas.lock(
      alloc.nesting_parent_iova, length: alloc.length, for: queue)
    do throws(Errno) {
      try check(alloc, at: address, of: viommu)
    } catch {
      ioas.unlock(queue)
      throw error
    }
    objects.insert(.hwQueue(queue))
    viommu.add(queue, at: address, log2Size: alloc.length.trailingZeroBitCount - 4)
    request.value.out_hw_queue_id = queue.id
    request.copyOut()
  }

  private func check(
    _ alloc: iommufd_hw_queue_alloc, at address: UInt64, of viommu: KernelVIOMMU
  ) throws(Errno) {
    let count = viommu.hwQueueCount
    guard alloc.index < 1 << UInt32(PhysicalInterface.queueBits) else { throw .einval }
    guard alloc.index >= count else { throw .eexist }
    guard alloc.index == count else { throw .eio }
    let (length, most) = (alloc.length, UInt64(16) << viommu.smmu.features[.idr1, IDR1.cmdqs])
    guard length & (length - 1) == 0, length >= 32, length <= most else { throw .einval }
    guard address & ~DirectQueueBase.address.mask == 0, address & (length - 1) == 0 else {
      throw .einval
    }
  }

  /// mmap(2) of an interface's page, as a whole.
  func mapPage(at offset: UInt64, length: Int) throws(Errno) -> UnsafeMutableRawPointer {
    guard length > 0, offset & 4095 == 0 else { throw .einval }
    guard let viommu = page(at: offset), let interface = viommu.interface,
      UInt64(length) == DirectFrameMap.pageSize
    else { throw .enxio }
    mapped.append(viommu)
    viommu.users += 1
    kernel.descriptors.hold(self)
    return interface.page.pointer
  }

  func unmapPage(_ address: UnsafeMutableRawPointer, length: Int) -> Bool {
    guard length == Int(DirectFrameMap.pageSize),
      let index = mapped.firstIndex(where: { $0.interface?.page.pointer == address })
    else { return false }
    unmap(at: index)
    return true
  }

  /// It holds the object, and the file.
  func unmap(at index: Int) {
    mapped.remove(at: index).users -= 1
    kernel.descriptors.drop(self)
  }
}

extension PhysicalSMMU {
  var hasDirectQueues: Bool { configuration.flags.contains(.cmdqv) }

  /// IOMMU_GET_HW_INFO of type TEGRA241_CMDQV.
  var directInformation: iommufd_hw_info_tegra241_cmdqv {
    iommufd_hw_info_tegra241_cmdqv(
      flags: 0, version: PhysicalInterface.version,
      log2vcmdqs: UInt8(PhysicalInterface.queueBits),
      log2vsids: UInt8(PhysicalInterface.streamBits), reserved: 0)
  }
}
