// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// The KVM VM that a vSMMU belongs to. It is held open, its VMID pinned, and devices are bound for
/// it, until `close`.
public final class VMLink {
  /// Requests of the VM's that pin and unpin its VMID; 0 where the kernel has none.
  public struct Requests {
    public var pin: UInt32
    public var unpin: UInt32

    public init(pin: UInt32, unpin: UInt32) {
      self.pin = pin
      self.unpin = unpin
    }
  }

  private let kernel: any Kernel
  private let requests: Requests
  private let vms: LinkedVMs
  private let vm: LinkedVM
  /// KVM's VFIO device; -1 where the VMM tells KVM of devices itself.
  private(set) var vfio: Int32 = -1
  /// The pinned VMID, 0 = none.
  public private(set) var vmid: UInt32 = 0

  /// Checks that `fd` is a VM, holds it, and pins its VMID if that is asked for. `vfio` and
  /// `isTold`: see `LinkedVMs.equip`. `tell` hears why the kernel does not take back what was
  /// pinned for a link that is refused.
  public static func make(
    _ kernel: any Kernel, vm fd: Int32, requests: Requests, among vms: LinkedVMs,
    vfio: Int32? = nil, isTold: Bool = false, pins: Bool = false,
    unpinFailed tell: (Errno) -> Void = { _ in }
  ) throws(Refusal) -> VMLink {
    if let refusal = VMIdentity.of(kernel, fd).refusal { throw Refusal(.einval, refusal) }
    let link = VMLink(kernel, requests: requests, vms: vms, vm: try vms.join(fd))
    do throws(Refusal) {
      if pins { try link.pin() }
      // Last, as it stays with the VM while another vSMMU is linked with that.
      if !isTold { link.vfio = try vms.equip(link.vm, given: vfio) }
      return link
    } catch {
      do throws(Errno) { try link.unpin() } catch { tell(error) }
      link.close(unpins: false)
      throw error
    }
  }

  private init(_ kernel: any Kernel, requests: Requests, vms: LinkedVMs, vm: LinkedVM) {
    self.kernel = kernel
    self.requests = requests
    self.vms = vms
    self.vm = vm
  }

  // MARK: The VMID

  public var canPin: Bool { requests.pin != 0 }

  /// Pins the VM's VMID, once.
  public func pin() throws(Refusal) {
    guard canPin, vmid == 0 else { return }
    var number: UInt32 = 0
    do throws(Errno) {
      try control(kernel, fd: vm.file, request: requests.pin, argument: &number)
    } catch {
      if error == .enospc {
        throw Refusal(error, "no VMID is left to pin for this VM: other VMs have them all")
      }
      throw Refusal(error, trying: "pin the VM's VMID")
    }
    // 0 is the number of no VM; in place of an error it would be another VM's memory.
    guard number != 0 else {
      _ = try? kernel.control(vm.file, request: requests.unpin, argument: nil)
      throw Refusal(.enospc, "the host kernel pinned VMID 0, which is that of no VM")
    }
    vmid = number
  }

  /// Gives the VMID back; no STE of this vSMMU's names it any more. Where the kernel fails it is
  /// pinned as before.
  func unpin() throws(Errno) {
    guard vmid != 0 else { return }
    try kernel.control(vm.file, request: requests.unpin, argument: nil)
    vmid = 0
  }

  // MARK: Devices

  /// KVM is told of devices here, and not by the VMM's own VFIO device.
  var tellsKVM: Bool { vfio >= 0 }

  /// Tells KVM of a device, which has to know of it when it is bound.
  func add(_ device: Int32) throws(Refusal) {
    do throws(Errno) { try tell(device, KVM_VFIO_FILE_ADD) } catch {
      throw Refusal(error, trying: "tell KVM of the device (KVM_DEV_VFIO_FILE_ADD)")
    }
  }

  func remove(_ device: Int32) { try? tell(device, KVM_VFIO_FILE_DEL) }

  private func tell(_ device: Int32, _ what: UInt32) throws(Errno) {
    guard vfio >= 0 else { return }
    var failure: Errno?
    withUnsafePointer(to: device) { file in
      var argument = kvm_attribute(
        flags: 0, group: KVM_VFIO_FILE, attr: UInt64(what), addr: UInt64(UInt(bitPattern: file)))
      do throws(Errno) {
        try control(
          kernel, fd: vfio, request: KVM_REQUEST_SET_DEVICE_ATTR.number, argument: &argument)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  /// After the last device has gone. A VMID that stays pinned goes with the VM.
  public func close(unpins: Bool = true) {
    if unpins { try? unpin() }
    vms.leave(vm)
  }
}
