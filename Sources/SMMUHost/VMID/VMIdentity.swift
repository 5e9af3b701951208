// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// What a file descriptor is, as far as linking a VM goes.
enum VMIdentity: UInt8, CaseIterable {
  case virtualMachine, otherArchitecture, kvm, virtualCPU, elsewhere, notKVM, notOpen

  /// nil for what can be linked.
  var refusal: StaticString? {
    switch self {
    case .virtualMachine: nil
    case .otherArchitecture:
      "vm_fd is a KVM VM whose host is no arm64: it has no IPA size"
    case .kvm: "vm_fd is /dev/kvm itself, not a KVM VM"
    case .virtualCPU: "vm_fd is a vCPU, not the KVM VM that it belongs to"
    case .elsewhere: "vm_fd is a KVM VM that has died, or another process's"
    case .notKVM: "vm_fd is no KVM VM: it knows no request of KVM's"
    case .notOpen: "vm_fd is not open"
    }
  }

  /// Asks what changes nothing, whatever the file is. A VM does not know the API's version: Linux
  /// on arm64 says EINVAL to that, on others ENOTTY. A vCPU says EINVAL to all requests of a VM,
  /// but so do other files.
  static func of(_ kernel: any Kernel, _ fd: Int32) -> VMIdentity {
    do throws(Errno) {
      try kernel.control(fd, request: KVM_REQUEST_GET_API_VERSION.number, argument: nil)
      return .kvm
    } catch {
      if error == .ebadf { return .notOpen }
    }
    let number = UnsafeMutableRawPointer(bitPattern: UInt(KVM_EXTENSION_ARM_VM_IPA_SIZE))
    do throws(Errno) {
      let bits = try kernel.control(
        fd, request: KVM_REQUEST_CHECK_EXTENSION.number, argument: number)
      return bits > 0 ? .virtualMachine : .otherArchitecture
    } catch {
      if error == .eio { return .elsewhere }
    }
    // KVM_GET_MP_STATE: whether the vCPU runs, in a word.
    var state: UInt32 = 0
    do throws(Errno) {
      try control(kernel, fd: fd, request: 0x8004_ae98, argument: &state)
      return .virtualCPU
    } catch {
      return .notKVM
    }
  }
}
