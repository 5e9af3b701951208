// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// /dev/iommu: objects, and the requests that make, use and destroy them.
final class IOMMUFDFile: File {
  let kernel: EmulatedKernelState
  let objects = ObjectTable()
  /// The address space of the VFIO container interface, and how pinned pages are accounted.
  var containerSpace: KernelIOAS?
  var accountsPerProcess = false
  /// Whose pages user space has mapped, each as often as it has.
  var mapped: [KernelVIOMMU] = []

  init(_ kernel: EmulatedKernelState) {
    self.kernel = kernel
    super.init()
    kernel.add(self)
  }

  override var iommufd: IOMMUFDFile? { self }

  override func map(offset: UInt64, length: Int) throws(Errno) -> UnsafeMutableRawPointer {
    try mapPage(at: offset, length: length)
  }

  /// munmap(2); false if nothing of it is mapped there.
  func unmap(_ address: UnsafeMutableRawPointer, length: Int) -> Bool {
    unmapPage(address, length: length)
  }

  func unmapAll() { while !mapped.isEmpty { unmap(at: mapped.count - 1) } }

  /// Tells guests' VMMs of direct command queues that have stopped.
  func reportErrors() {
    objects.each { if case .viommu(let viommu) = $0 { viommu.reportErrors() } }
  }

  func forEachMapped(_ body: (KernelObject) -> Void) { for viommu in mapped { body(viommu) } }

  override func release() {
    kernel.leaked += objects.destroyAll()
    kernel.remove(self)
  }

  override func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    switch Request(rawValue: request) {
    case .destroy: try destroy(argument)
    case .ioasAlloc: try ioasAlloc(argument)
    case .ioasAllowIOVAs: try ioasAllowIOVAs(argument)
    case .ioasCopy: try ioasCopy(argument)
    case .ioasIOVARanges: try ioasIOVARanges(argument)
    case .ioasMap: try ioasMap(argument)
    case .ioasMapFile: try ioasMapFile(argument)
    case .ioasUnmap: try ioasUnmap(argument)
    case .ioasChangeProcess: try ioasChangeProcess(argument)
    case .option: try option(argument)
    case .vfioIOAS: try vfioIOAS(argument)
    case .hwptAlloc: try hwptAlloc(argument)
    case .hwInfo: try hwInfo(argument)
    case .setDirtyTracking: try setDirtyTracking(argument)
    case .getDirtyBitmap: try getDirtyBitmap(argument)
    case .invalidate: try invalidate(argument)
    case .faultQueueAlloc: try faultQueueAlloc(argument)
    case .viommuAlloc: try viommuAlloc(argument)
    case .vdeviceAlloc: try vdeviceAlloc(argument)
    case .eventQueueAlloc: try eventQueueAlloc(argument)
    case .hwQueueAlloc: try hwQueueAlloc(argument)
    case .physicalAddress: try physicalAddress(argument)
    case .containerVersion: break
    case nil: throw .enotty
    }
    return 0
  }

  /// Requests by number.
  private enum Request: UInt32 {
    case destroy = 0x3b80
    case ioasAlloc = 0x3b81
    case ioasAllowIOVAs = 0x3b82
    case ioasCopy = 0x3b83
    case ioasIOVARanges = 0x3b84
    case ioasMap = 0x3b85
    case ioasUnmap = 0x3b86
    case option = 0x3b87
    case vfioIOAS = 0x3b88
    case hwptAlloc = 0x3b89
    case hwInfo = 0x3b8a
    case setDirtyTracking = 0x3b8b
    case getDirtyBitmap = 0x3b8c
    case invalidate = 0x3b8d
    case faultQueueAlloc = 0x3b8e
    case ioasMapFile = 0x3b8f
    case viommuAlloc = 0x3b90
    case vdeviceAlloc = 0x3b91
    case ioasChangeProcess = 0x3b92
    case eventQueueAlloc = 0x3b93
    case hwQueueAlloc = 0x3b94
    case physicalAddress = 0x3b95
    /// VFIO_GET_API_VERSION, which is 0: an iommufd can be opened as a VFIO container.
    case containerVersion = 0x3b64
  }

  private func destroy(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    let request = try UserStruct(argument, zeros: iommufd_destroy())
    try objects.destroy(request.value.id)
    if containerSpace?.id == request.value.id { containerSpace = nil }
  }

  /// IOMMU_IOAS_NOIOMMU_GET_PA of a kernel that knows of it, since 7.3, and is not built for it.
  private func physicalAddress(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    guard kernel.version != .linux72 else { throw .enotty }
    _ = try UserStruct(argument, zeros: iommufd_ioas_noiommu_get_pa())
    throw .eopnotsupp
  }
}
