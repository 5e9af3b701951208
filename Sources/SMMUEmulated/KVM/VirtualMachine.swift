// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

/// A KVM VM: the file that KVM_CREATE_VM makes. It lives as long as its descriptors, its vCPUs, its
/// KVM devices and the VFIO devices that were bound for it.
final class VirtualMachine: File {
  static var mostCPUs: UInt64 { 512 }

  let identity = VMIDHolder()
  let hypervisor: Hypervisor
  private var users = 1
  private var ownPins = 0
  private var cpus: [UInt64] = []
  private var hasVFIO = false
  private var devices: [File] = []

  init(_ hypervisor: Hypervisor) {
    self.hypervisor = hypervisor
    super.init()
    hypervisor.begin(self)
  }

  /// The VMID that KVM programs for it, 0 before the first.
  var vmid: VMID { hypervisor.vmids.vmid(of: identity) }

  // MARK: Lifetime

  /// Something in the kernel keeps the VM, as a VFIO device does from BIND on.
  func hold() { users += 1 }

  func drop() {
    users -= 1
    guard users == 0 else { return }
    // What SMMUs pinned stays: their STEs may still name the number.
    while ownPins > 0 { releaseOwnPin() }
    hypervisor.end(self)
    devices = []
  }

  var isAlive: Bool { users > 0 }

  override func release() { drop() }

  // MARK: Requests

  /// What arm64 does not know is EINVAL.
  override func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    switch request {
    case KVM_REQUEST_CHECK_EXTENSION.number:
      return KVMFile.extension(UInt64(UInt(bitPattern: argument)))
    case KVM_REQUEST_CREATE_VCPU.number:
      return try createCPU(UInt64(UInt(bitPattern: argument)))
    case KVM_REQUEST_CREATE_DEVICE.number:
      return try createDevice(argument)
    case hypervisor.pinRequest where hypervisor.isLinked:
      return try pin(argument)
    case hypervisor.unpinRequest where hypervisor.isLinked:
      guard ownPins > 0 else { throw .einval }
      releaseOwnPin()
      return 0
    default:
      throw .einval
    }
  }

  private func createCPU(_ id: UInt64) throws(Errno) -> Int64 {
    guard id < Self.mostCPUs else { throw .einval }
    for other in cpus where other == id { throw .eexist }
    guard let files = hypervisor.files else { throw .enodev }
    let fd = try files.install(VirtualCPU(self))
    cpus.append(id)
    hold()
    return Int64(fd)
  }

  private func createDevice(_ argument: UnsafeMutableRawPointer?) throws(Errno) -> Int64 {
    guard let argument else { throw .efault }
    let device = argument.assumingMemoryBound(to: kvm_device.self)
    guard device.pointee.type == KVM_DEVICE_TYPE_VFIO else { throw .enodev }
    // KVM_CREATE_DEVICE_TEST asks only whether it could be.
    if device.pointee.flags & 1 != 0 { return 0 }
    guard !hasVFIO else { throw .ebusy }
    guard let files = hypervisor.files else { throw .enodev }
    let fd = try files.install(KVMVFIODevice(self))
    device.pointee.fd = UInt32(bitPattern: fd)
    hasVFIO = true
    hold()
    return 0
  }

  private func pin(_ argument: UnsafeMutableRawPointer?) throws(Errno) -> Int64 {
    guard let argument else { throw .efault }
    let vmid = try hypervisor.vmids.pin(identity)
    ownPins += 1
    argument.storeBytes(of: UInt32(vmid), as: UInt32.self)
    return 0
  }

  private func releaseOwnPin() {
    ownPins -= 1
    do throws(Errno) { try hypervisor.vmids.unpin(identity) } catch {}
  }

  // MARK: VFIO devices

  func hasDevice(_ device: File) -> Bool { devices.contains { $0 === device } }

  func add(_ device: File) throws(Errno) {
    guard !hasDevice(device) else { throw .eexist }
    try reserving(EmulatedNeed.growth(of: devices), orThrow: Errno.enomem) { () throws(Errno) in
      devices.append(device)
    }
  }

  func remove(_ device: File) throws(Errno) {
    guard hasDevice(device) else { throw .enoent }
    devices.removeAll { $0 === device }
  }

  /// The VFIO KVM device is gone.
  func unlink() {
    devices = []
    hasVFIO = false
    drop()
  }
}

/// A vCPU: it can be made and closed; what runs is up to `Hypervisor.load`.
final class VirtualCPU: File {
  private let vm: VirtualMachine

  init(_ vm: VirtualMachine) {
    self.vm = vm
    super.init()
  }

  override func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    // ENOEXEC: nobody initialised it.
    throw request == KVM_REQUEST_RUN.number ? Errno(code: 8) : .einval
  }

  override func release() { vm.drop() }
}

/// KVM's VFIO device: which VFIO devices belong to the VM.
final class KVMVFIODevice: File {
  private let vm: VirtualMachine

  init(_ vm: VirtualMachine) {
    self.vm = vm
    super.init()
  }

  override func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    guard request == KVM_REQUEST_SET_DEVICE_ATTR.number else { throw .enotty }
    guard let argument else { throw .efault }
    let attribute = argument.loadUnaligned(as: kvm_attribute.self)
    guard attribute.group == KVM_VFIO_FILE else { throw .enxio }
    let isAddition = attribute.attr == UInt64(KVM_VFIO_FILE_ADD)
    guard isAddition || attribute.attr == UInt64(KVM_VFIO_FILE_DEL) else { throw .enxio }
    guard let place = UnsafeRawPointer(bitPattern: UInt(truncatingIfNeeded: attribute.addr)),
      let files = vm.hypervisor.files
    else { throw .efault }
    let device = try files.file(place.loadUnaligned(as: Int32.self))
    if isAddition {
      guard files.isVFIODevice(device) else { throw .einval }
      try vm.add(device)
    } else {
      try vm.remove(device)
    }
    return 0
  }

  override func release() { vm.unlink() }
}
