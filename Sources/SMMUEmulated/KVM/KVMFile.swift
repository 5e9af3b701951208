// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// /dev/kvm.
final class KVMFile: File {
  /// Bits of a VM's IPA space.
  static var ipaBits: UInt64 { 48 }

  private let hypervisor: Hypervisor

  init(_ hypervisor: Hypervisor) {
    self.hypervisor = hypervisor
    super.init()
  }

  override func control(
    _ request: UInt32, _ argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    let value = UInt64(UInt(bitPattern: argument))
    switch request {
    case KVM_REQUEST_GET_API_VERSION.number:
      guard value == 0 else { throw .einval }
      return 12
    case KVM_REQUEST_CHECK_EXTENSION.number:
      return Self.extension(value)
    case KVM_REQUEST_CREATE_VM.number:
      return try create(value)
    default:
      throw .einval
    }
  }

  static func `extension`(_ number: UInt64) -> Int64 {
    number == UInt64(KVM_EXTENSION_ARM_VM_IPA_SIZE) ? Int64(ipaBits) : 0
  }

  /// The type holds the IPA size in bits [7:0], 0 for 40.
  private func create(_ type: UInt64) throws(Errno) -> Int64 {
    guard type == 0 || (32...Self.ipaBits).contains(type) else { throw .einval }
    guard let files = hypervisor.files else { throw .enodev }
    let vm = VirtualMachine(hypervisor)
    do throws(Errno) {
      return Int64(try files.install(vm))
    } catch {
      vm.release()
      throw error
    }
  }
}
