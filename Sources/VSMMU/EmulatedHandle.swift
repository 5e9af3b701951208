// SPDX-License-Identifier: MIT
import SMMUHost

/// What a `vsmmu_emulated_t *` points to, as the kernel that it is.
func emulatedKernel(_ handle: OpaquePointer) -> any Kernel {
  Unmanaged<EmulatedHost>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
}
