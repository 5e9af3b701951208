// SPDX-License-Identifier: MIT
import SMMUSpec

/// A KVM VM: the file that KVM_CREATE_VM makes.
final class VirtualMachine: File {
}
