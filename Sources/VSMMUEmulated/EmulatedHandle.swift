// SPDX-License-Identifier: MIT
import CSupport
import SMMUBase
import SMMUEmulated
import VSMMUShared

/// What a `vsmmu_emulated_t *` points to: a host in this process, and faults to order before it.
/// All system calls come by way of `kernel`.
final class EmulatedHandle {
  let host: EmulatedHost
  let kernel: FailureInjector

  init(_ host: EmulatedHost, _ kernel: FailureInjector) {
    self.host = host
    self.kernel = kernel
  }
}

/// Uses an emulated host by its handle; -EINVAL for NULL.
func with(_ handle: OpaquePointer?, _ body: (EmulatedHandle) -> Int64) -> Int64 {
  guard let handle else { return Int64(vsmmu_support_einval) }
  return Unmanaged<EmulatedHandle>.fromOpaque(UnsafeRawPointer(handle))
    ._withUnsafeGuaranteedRef(body)
}
