// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// /dev/vfio/devices/vfioN: its requests about the device as a whole.
final class VFIODeviceFile: File {
  let kernel: EmulatedKernelState
  let device: EmulatedDevice
  private struct Binding {
    let device: KernelDevice
    let owner: IOMMUFDFile
  }
  private var binding: Binding?

  init(_ kernel: EmulatedKernelState, _ device: EmulatedDevice) {
    self.kernel = kernel
    self.device = device
  }

  override var isVFIODevice: Bool { true }

  override func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    if request == VFIO_REQUEST_BIND_IOMMUFD.number {
      try bind(argument)
      return 0
    }
    // Until then nobody may use it.
    guard let binding else { throw .einval }
    switch request {
    case VFIO_REQUEST_DEVICE_GET_INFO.number: try information(argument)
    // It aborts what the device has under way, which forgets what it kept; attachments stay.
    case VFIO_REQUEST_DEVICE_RESET.number:
      device.cache?.clear()
      kernel.revoke(device.bar)
    case VFIO_REQUEST_DEVICE_FEATURE.number: return try feature(argument)
    case VFIO_REQUEST_ATTACH_PT.number: try attach(argument, binding)
    case VFIO_REQUEST_DETACH_PT.number: try detach(argument, binding)
    default: throw .enotty
    }
    return 0
  }

  /// The device goes back to nobody, and what it held with it.
  override func release() {
    guard let binding else { return }
    self.binding = nil
    kernel.revoke(device.bar)
    device.bar.closed()
    binding.device.unbind()
    binding.device.vm?.drop()
    kernel.descriptors.drop(binding.owner)
  }

  // MARK: Binding

  /// One file at a time, and once. The VM is the one that knows the file by now.
  private func bind(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    guard let argument else { throw .efault }
    let size = argument.loadUnaligned(as: UInt32.self)
    guard size >= VFIO_BIND_LEAST else { throw .einval }
    var request = vfio_bind_iommufd()
    let known = min(Int(size), MemoryLayout<vfio_bind_iommufd>.size)
    try UserMemory.copyIn(argument, size: known, to: &request)
    guard request.flags & ~UInt32(VFIO_BIND_TOKEN) == 0, request.iommufd >= 0, binding == nil else {
      throw .einval
    }
    if request.flags != 0 { try Self.refuse(token: request) }
    guard let owner = try kernel.descriptors.file(request.iommufd).iommufd else { throw .ebadfd }
    guard device.bound == nil else { throw .einval }
    let vm = kernel.hypervisor.machine(of: self)
    let bound = KernelDevice(device, owner: owner, for: vm)
    owner.objects.insert(.device(bound))
    vm?.hold()
    kernel.descriptors.hold(owner)
    device.bound = bound
    binding = Binding(device: bound, owner: owner)
    argument.storeBytes(of: bound.id, toByteOffset: 12, as: UInt32.self)  // out_devid
  }

  /// Tokens are for virtual functions, which no device here is.
  private static func refuse(token request: vfio_bind_iommufd) throws(Errno) {
    let size = UInt32(MemoryLayout<vfio_bind_iommufd>.size)
    guard request.argsz >= size, request.token_uuid_ptr != 0 else { throw .efault }
    throw .einval
  }

  // MARK: Information

  /// A PCI device that can be reset.
  private func information(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    guard let argument else { throw .efault }
    let size = argument.loadUnaligned(as: UInt32.self)
    // Up to num_irqs; the rest is newer.
    guard size >= 16 else { throw .einval }
    var info = vfio_info(
      argsz: UInt32(MemoryLayout<vfio_info>.size), flags: 3, num_regions: 9, num_irqs: 5,
      cap_offset: 0, pad: 0)
    withUnsafeBytes(of: &info) {
      argument.copyMemory(
        from: $0.baseAddress!, byteCount: min(Int(size), MemoryLayout<vfio_info>.size))
    }
  }

  // MARK: Attachment

  private func attach(
    _ argument: UnsafeMutableRawPointer?, _ binding: Binding
  ) throws(Errno) {
    let (request, pasid) = try Self.attachment(argument, least: VFIO_ATTACH_LEAST, pasidAt: 12)
    let id = request.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
    let target: HWPT
    switch binding.owner.objects[id] {
    case .paging(let hwpt): target = .paging(hwpt)
    case .nested(let hwpt): target = .nested(hwpt)
    case .ioas(let ioas):
      guard pasid == nil else { throw .einval }
      let hwpt = try binding.device.attach(ioas)
      // The page table that the kernel chose.
      request.storeBytes(of: hwpt.id, toByteOffset: 8, as: UInt32.self)
      return
    case nil, .tombstone: throw .enoent
    default: throw .einval
    }
    if let pasid {
      try binding.device.attach(target, pasid: pasid)
    } else {
      try binding.device.attach(target)
    }
  }

  private func detach(
    _ argument: UnsafeMutableRawPointer?, _ binding: Binding
  ) throws(Errno) {
    let (_, pasid) = try Self.attachment(argument, least: VFIO_DETACH_LEAST, pasidAt: 8)
    if let pasid {
      binding.device.detach(pasid: pasid)
    } else {
      binding.device.detach()
    }
  }

  /// The head that both requests share: argsz, flags, and a PASID at the end if a flag says so.
  private static func attachment(
    _ argument: UnsafeMutableRawPointer?, least: UInt32, pasidAt offset: Int
  ) throws(Errno) -> (UnsafeMutableRawPointer, pasid: UInt32?) {
    guard let argument else { throw .efault }
    let size = argument.loadUnaligned(as: UInt32.self)
    guard size >= least else { throw .einval }
    let flags = argument.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    guard flags & ~UInt32(VFIO_PT_PASID) == 0 else { throw .einval }
    guard flags != 0 else { return (argument, nil) }
    guard Int(size) >= offset + 4 else { throw .einval }
    return (argument, argument.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
}
