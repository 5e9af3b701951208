// SPDX-License-Identifier: MIT
import CKernel
import SMMUSpec

/// A physical device: a DMA engine with one StreamID at one SMMU.
final class EmulatedDevice {
  let smmu: PhysicalSMMU
  let stream: StreamID
  /// Width of its PASIDs, 0 if it has none.
  let pasidBits: Int
  /// The iommufd's view of it, while a VFIO file has it bound.
  var bound: KernelDevice?
  /// Whom its events are told, in which name: taken when a nested HWPT is attached, and kept even
  /// if the vDEVICE goes.
  var virtual: (viommu: KernelVIOMMU, stream: StreamID)?

  init(_ smmu: PhysicalSMMU, _ stream: StreamID, pasidBits: Int) {
    self.smmu = smmu
    self.stream = stream
    self.pasidBits = pasidBits
    block()
  }

  /// Nobody's: all its DMA is aborted, and no event tells of it.
  func block() {
    virtual = nil
    smmu.install(.abort, for: stream)
  }
}

extension StreamTableEntry {
  /// Valid, Config = abort.
  static var abort: StreamTableEntry {
    var entry = StreamTableEntry()
    entry[v] = 1
    return entry
  }
}

extension PhysicalSMMU {
  /// TLBI and CFGI have to be sent twice. The kernel does so for its own commands, and leaves those
  /// of user space to user space.
  var repeatsInvalidations: Bool {
    information.flags & UInt32(IOMMUFD_ARM_SMMUV3_REPEAT_TLBI_CFGI) != 0
  }

  /// Commands of the kernel's own. A queue that stopped is no reason to fail for whoever unmaps.
  func issueForKernel(_ commands: [CommandWords]) {
    for _ in 0..<(repeatsInvalidations ? 2 : 1) {
      do throws(Errno) {
        try issue(commands)
      } catch {
        continue
      }
    }
  }
}
