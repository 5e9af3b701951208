// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUBase

/// A VM that vSMMUs of a host are linked with, held open by all of them together.
final class LinkedVM {
  /// A duplicate of a caller's.
  let file: Int32
  /// KVM's VFIO device, of which a VM has one; -1 where nobody had it made here, or KVM
  /// wants to know of none.
  fileprivate(set) var vfio: Int32 = -1
  fileprivate var links = 0
  /// The host's next one: a list, which has no code of its own.
  fileprivate var next: LinkedVM?

  fileprivate init(_ file: Int32) { self.file = file }
}

/// The linked VMs of a host.
public final class LinkedVMs {
  private let kernel: any Kernel
  private let mutex: Mutex
  private var first: LinkedVM?

  public static func make(_ kernel: any Kernel) -> LinkedVMs? {
    Mutex().map { LinkedVMs(kernel, $0) }
  }

  private init(_ kernel: any Kernel, _ mutex: Mutex) {
    self.kernel = kernel
    self.mutex = mutex
  }

  deinit { mutex.destroy() }

  /// One more link with the VM of that descriptor.
  func join(_ fd: Int32) throws(Refusal) -> LinkedVM {
    try mutex.locked { () throws(Refusal) in
      let vm = try find(fd)
      vm.links += 1
      return vm
    }
  }

  /// KVM's VFIO device of a VM, for who does not tell KVM of devices itself. `given`: that device,
  /// to be duplicated. -1: KVM has none of the kind.
  func equip(_ vm: LinkedVM, given: Int32?) throws(Refusal) -> Int32 {
    try mutex.locked { () throws(Refusal) in
      if vm.vfio < 0 { vm.vfio = try vfio(of: vm, given: given) }
      return vm.vfio
    }
  }

  /// Where the kernel does not tell whether two descriptors are one VM, each is its own.
  private func find(_ fd: Int32) throws(Refusal) -> LinkedVM {
    var place = first
    while let vm = place {
      if (try? kernel.same(vm.file, fd)) == true { return vm }
      place = vm.next
    }
    do throws(Errno) {
      let made = LinkedVM(try kernel.duplicate(fd))
      made.next = first
      first = made
      return made
    } catch {
      throw Refusal(error, trying: "duplicate the VM's file descriptor")
    }
  }

  private func vfio(of vm: LinkedVM, given: Int32?) throws(Refusal) -> Int32 {
    if let given {
      do throws(Errno) { return try kernel.duplicate(given) } catch {
        throw Refusal(error, trying: "duplicate the KVM VFIO device's descriptor")
      }
    }
    var argument = kvm_device(type: KVM_DEVICE_TYPE_VFIO, fd: 0, flags: 0)
    do throws(Errno) {
      try control(
        kernel, fd: vm.file, request: KVM_REQUEST_CREATE_DEVICE.number, argument: &argument)
      return Int32(truncatingIfNeeded: argument.fd)
    } catch {
      // A KVM that has none of the kind wants to know of no devices.
      if error == .enodev { return -1 }
      guard error == .ebusy || error == .eexist else {
        throw Refusal(error, trying: "make KVM's VFIO device (KVM_CREATE_DEVICE)")
      }
      throw Refusal(
        .ebusy,
        """
        the VM has a KVM VFIO device already: give it with vsmmu_give_kvm_vfio, or tell KVM of \
        devices yourself and say so with VSMMU_LINK_TOLD
        """)
    }
  }

  func leave(_ vm: LinkedVM) {
    mutex.locked {
      vm.links -= 1
      if vm.links == 0 { remove(vm) }
    }
  }

  private func remove(_ vm: LinkedVM) {
    if vm.vfio >= 0 { try? kernel.close(vm.vfio) }
    try? kernel.close(vm.file)
    guard first !== vm else {
      first = vm.next
      return
    }
    var before = first
    while let other = before, other.next !== vm { before = other.next }
    before?.next = vm.next
  }
}
