// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// The calls on an open /dev/iommu and on VFIO character devices, with Swift's types.
struct IOMMUFD {
  let kernel: any Kernel
  let fd: Int32

  func call<T>(_ request: iommufd_request, _ argument: inout T) throws(Errno) {
    try control(kernel, fd: fd, request: request.rawValue, argument: &argument)
  }

  /// A request whose argument has the address of `data`, which `point` puts there.
  func call<T, Data>(
    _ request: iommufd_request, with argument: inout T, data: inout Data,
    pointing point: (inout T, UInt64) -> Void
  ) throws(Errno) {
    // withUnsafeMutablePointer passes no typed errors on in Embedded Swift 6.3.
    var failure: Errno?
    withUnsafeMutablePointer(to: &data) { data in
      point(&argument, UInt64(UInt(bitPattern: data)))
      do throws(Errno) { try call(request, &argument) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  static func size<T>(of _: T.Type) -> UInt32 { UInt32(MemoryLayout<T>.size) }

  // MARK: Objects

  func destroy(_ id: UInt32) throws(Errno) {
    var argument = iommufd_destroy(size: Self.size(of: iommufd_destroy.self), id: id)
    try call(IOMMUFD_DESTROY, &argument)
  }

  func allocateAddressSpace() throws(Errno) -> UInt32 {
    var argument = iommufd_ioas_alloc()
    argument.size = Self.size(of: iommufd_ioas_alloc.self)
    try call(IOMMUFD_IOAS_ALLOC, &argument)
    return argument.out_ioas_id
  }

  func map(
    in ioas: UInt32, at address: UInt64, length: UInt64, host: UnsafeMutableRawPointer
  ) throws(Errno) {
    var argument = iommufd_ioas_map()
    argument.size = Self.size(of: iommufd_ioas_map.self)
    argument.flags = IOMMUFD_MAP_FIXED_IOVA | IOMMUFD_MAP_WRITEABLE | IOMMUFD_MAP_READABLE
    argument.ioas_id = ioas
    argument.user_va = UInt64(UInt(bitPattern: host))
    argument.length = length
    argument.iova = address
    try call(IOMMUFD_IOAS_MAP, &argument)
  }

  /// Maps memory of a file (a memfd), which needs no mapping of this process.
  func map(
    in ioas: UInt32, at address: UInt64, length: UInt64, file: Int32, offset: UInt64
  ) throws(Errno) {
    var argument = iommufd_ioas_map_file()
    argument.size = Self.size(of: iommufd_ioas_map_file.self)
    argument.flags = IOMMUFD_MAP_FIXED_IOVA | IOMMUFD_MAP_WRITEABLE | IOMMUFD_MAP_READABLE
    argument.ioas_id = ioas
    argument.fd = file
    argument.start = offset
    argument.length = length
    argument.iova = address
    try call(IOMMUFD_IOAS_MAP_FILE, &argument)
  }

  /// Maps what another address space has mapped, without pinning it again.
  func copy(
    in ioas: UInt32, at address: UInt64, length: UInt64, from source: UInt32, at there: UInt64
  ) throws(Errno) {
    var argument = iommufd_ioas_copy()
    argument.size = Self.size(of: iommufd_ioas_copy.self)
    argument.flags = IOMMUFD_MAP_FIXED_IOVA | IOMMUFD_MAP_WRITEABLE | IOMMUFD_MAP_READABLE
    argument.dst_ioas_id = ioas
    argument.src_ioas_id = source
    argument.length = length
    argument.dst_iova = address
    argument.src_iova = there
    try call(IOMMUFD_IOAS_COPY, &argument)
  }

  /// The last address that an address space can map now.
  func lastAddress(_ ioas: UInt32) throws(Errno) -> UInt64 {
    var capacity = 64
    while true {
      let bytes = capacity * MemoryLayout<iommufd_iova_range>.stride + 64
      guard let reserve = Reserve(bytes: bytes) else { throw .enomem }
      defer { reserve.giveBack() }
      let ranges = reserve.covering {
        UnsafeMutablePointer<iommufd_iova_range>.allocate(capacity: capacity)
      }
      defer { ranges.deallocate() }
      var argument = iommufd_ioas_iova_ranges()
      argument.size = Self.size(of: iommufd_ioas_iova_ranges.self)
      argument.ioas_id = ioas
      argument.num_iovas = UInt32(capacity)
      argument.allowed_iovas = UInt64(UInt(bitPattern: ranges))
      do throws(Errno) {
        try call(IOMMUFD_IOAS_IOVA_RANGES, &argument)
      } catch {
        // As many as there are, if that is plausible.
        let needed = Int(argument.num_iovas)
        guard error == .emsgsize, needed > capacity, needed <= 65536 else { throw error }
        capacity = needed
        continue
      }
      var last: UInt64 = 0
      for i in 0..<min(capacity, Int(argument.num_iovas)) { last = max(last, ranges[i].last) }
      return last
    }
  }

  func unmap(in ioas: UInt32, at address: UInt64, length: UInt64) throws(Errno) {
    var argument = iommufd_ioas_unmap()
    argument.size = Self.size(of: iommufd_ioas_unmap.self)
    argument.ioas_id = ioas
    argument.iova = address
    argument.length = length
    try call(IOMMUFD_IOAS_UNMAP, &argument)
  }

  /// The stage 2 of a vSMMU, over an address space.
  func allocateNestParent(_ device: UInt32, _ ioas: UInt32) throws(Errno) -> UInt32 {
    var argument = iommufd_hwpt_alloc()
    argument.size = Self.size(of: iommufd_hwpt_alloc.self)
    argument.flags = IOMMUFD_HWPT_NEST_PARENT
    argument.dev_id = device
    argument.pt_id = ioas
    try call(IOMMUFD_HWPT_ALLOC, &argument)
    return argument.out_hwpt_id
  }

  func allocateVIOMMU(_ device: UInt32, parent: UInt32) throws(Errno) -> UInt32 {
    var argument = iommufd_viommu_alloc()
    argument.size = Self.size(of: iommufd_viommu_alloc.self)
    argument.type = IOMMUFD_VIOMMU_TYPE_ARM_SMMUV3
    argument.dev_id = device
    argument.hwpt_id = parent
    try call(IOMMUFD_VIOMMU_ALLOC, &argument)
    return argument.out_viommu_id
  }

  func allocateVDevice(
    for device: UInt32, of viommu: UInt32, stream: UInt32
  ) throws(Errno) -> UInt32 {
    var argument = iommufd_vdevice_alloc()
    argument.size = Self.size(of: iommufd_vdevice_alloc.self)
    argument.viommu_id = viommu
    argument.dev_id = device
    argument.virt_id = UInt64(stream)
    try call(IOMMUFD_VDEVICE_ALLOC, &argument)
    return argument.out_vdevice_id
  }

  /// A nested HWPT from the first two words of an STE.
  func allocateNested(
    for device: UInt32, of viommu: UInt32, ste words: (UInt64, UInt64)
  ) throws(Errno) -> UInt32 {
    var ste = iommufd_hwpt_arm_smmuv3(ste: (words.0.littleEndian, words.1.littleEndian))
    var argument = iommufd_hwpt_alloc()
    argument.size = Self.size(of: iommufd_hwpt_alloc.self)
    argument.dev_id = device
    argument.pt_id = viommu
    argument.data_type = IOMMUFD_HWPT_DATA_ARM_SMMUV3
    argument.data_len = Self.size(of: iommufd_hwpt_arm_smmuv3.self)
    try call(IOMMUFD_HWPT_ALLOC, with: &argument, data: &ste) { $0.data_uptr = $1 }
    return argument.out_hwpt_id
  }

  func allocateEventQueue(
    _ viommu: UInt32, depth: UInt32, type: UInt32 = IOMMUFD_VEVENTQ_TYPE_ARM_SMMUV3
  ) throws(Errno) -> (id: UInt32, fd: Int32) {
    var argument = iommufd_veventq_alloc()
    argument.size = Self.size(of: iommufd_veventq_alloc.self)
    argument.viommu_id = viommu
    argument.type = type
    argument.veventq_depth = depth
    try call(IOMMUFD_VEVENTQ_ALLOC, &argument)
    return (argument.out_veventq_id, argument.out_veventq_fd)
  }

  struct HardwareInformation {
    var registers = iommufd_hw_info_arm_smmuv3()
    var capabilities: UInt64 = 0
    var pasidBits: UInt8 = 0
    var isSMMUv3 = false
  }

  func hardwareInformation(_ device: UInt32) throws(Errno) -> HardwareInformation {
    var found = HardwareInformation()
    var argument = iommufd_hw_info()
    argument.size = Self.size(of: iommufd_hw_info.self)
    argument.dev_id = device
    argument.data_len = Self.size(of: iommufd_hw_info_arm_smmuv3.self)
    try call(IOMMUFD_GET_HW_INFO, with: &argument, data: &found.registers) { $0.data_uptr = $1 }
    found.capabilities = argument.out_capabilities
    found.pasidBits = argument.out_max_pasid_log2
    found.isSMMUv3 = argument.data_type == IOMMUFD_HW_INFO_TYPE_ARM_SMMUV3
    return found
  }

  /// Carries commands out and waits for them. What the kernel says of the number done is not
  /// returned: on an error it may say more than was done.
  func invalidate(
    _ viommu: UInt32, commands: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) {
    var argument = iommufd_hwpt_invalidate()
    argument.size = Self.size(of: iommufd_hwpt_invalidate.self)
    argument.hwpt_id = viommu
    argument.data_uptr = UInt64(UInt(bitPattern: commands))
    argument.data_type = IOMMUFD_INVALIDATE_ARM_SMMUV3
    argument.entry_len = 16
    argument.entry_num = UInt32(truncatingIfNeeded: count)
    try call(IOMMUFD_HWPT_INVALIDATE, &argument)
  }

  // MARK: VFIO character devices

  func bind(_ device: Int32) throws(Errno) -> UInt32 {
    var argument = vfio_bind_iommufd()
    argument.argsz = VFIO_BIND_LEAST
    argument.iommufd = fd
    try control(
      kernel, fd: device, request: VFIO_REQUEST_BIND_IOMMUFD.rawValue, argument: &argument)
    return argument.out_devid
  }

  /// Attaches, or replaces what is attached in one step; on an error the old one stays.
  func attach(_ device: Int32, to pageTable: UInt32) throws(Errno) {
    var argument = vfio_attach_pt()
    argument.argsz = VFIO_ATTACH_LEAST
    argument.pt_id = pageTable
    try control(kernel, fd: device, request: VFIO_REQUEST_ATTACH_PT.rawValue, argument: &argument)
  }

  func detach(_ device: Int32) throws(Errno) {
    var argument = vfio_detach_pt()
    argument.argsz = VFIO_DETACH_LEAST
    try control(kernel, fd: device, request: VFIO_REQUEST_DETACH_PT.rawValue, argument: &argument)
  }

  /// Makes a dma-buf of a part of a BAR, and returns its descriptor.
  func exportBAR(
    _ device: Int32, region: UInt32, offset: UInt64, length: UInt64
  ) throws(Errno) -> Int32 {
    var argument = vfio_feature_dma_buf()
    argument.argsz = Self.size(of: vfio_feature_dma_buf.self)
    argument.flags = VFIO_FEATURE_GET | VFIO_FEATURE_DMA_BUF
    argument.region_index = region
    argument.open_flags = VFIO_OPEN_FLAGS
    argument.nr_ranges = 1
    argument.range = vfio_bar_range(offset: offset, length: length)
    let file = try control(
      kernel, fd: device, request: VFIO_REQUEST_DEVICE_FEATURE.rawValue, argument: &argument)
    return Int32(truncatingIfNeeded: file)
  }

  func reset(_ device: Int32) throws(Errno) {
    try kernel.control(device, request: VFIO_REQUEST_DEVICE_RESET.rawValue, argument: nil)
  }
}
