// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// A physical device: a DMA engine with one StreamID at one SMMU.
final class EmulatedDevice {
  let smmu: PhysicalSMMU
  let stream: StreamID
  /// Width of its PASIDs, 0 if it has none.
  let pasidBits: Int
  let bar: EmulatedBAR
  /// The iommufd's view of it, while a VFIO file has it bound.
  var bound: KernelDevice?
  /// Whom its events are told, in which name: taken when a nested HWPT is attached, and kept even
  /// if the vDEVICE goes.
  var virtual: (viommu: KernelVIOMMU, stream: StreamID)?

  init(_ smmu: PhysicalSMMU, stream: StreamID, pasidBits: Int, bar: EmulatedBAR) {
    self.smmu = smmu
    self.stream = stream
    self.pasidBits = pasidBits
    self.bar = bar
    block()
  }

  /// Nobody's: all its DMA is aborted, and no event tells of it.
  func block() {
    virtual = nil
    smmu.install(.abort, for: stream)
  }
}

extension PhysicalSMMU {
  /// Commands of the kernel's own, which it sends twice where the erratum demands that; those of
  /// user space it leaves to user space. A queue that stopped is no reason to fail an unmap.
  func issueForKernel(_ commands: [CommandWords]) {
    for _ in 0..<(configuration.flags.contains(.repeats) ? 2 : 1) {
      do throws(Errno) {
        try issue(commands)
      } catch {
        continue
      }
    }
  }
}
