// SPDX-License-Identifier: MIT
import SMMUBase

/// HW_QUEUE: a queue in guest memory that a physical SMMU reads. The memory stays mapped meanwhile.
final class KernelHWQueue: KernelObject {
  let viommu: KernelVIOMMU
  let index: Int
  /// The one before it, which goes later.
  private let previous: KernelHWQueue?

  init(_ viommu: KernelVIOMMU, index: Int, after previous: KernelHWQueue?) {
    self.viommu = viommu
    self.index = index
    self.previous = previous
  }

  override func forEachHeld(_ body: (KernelObject) -> Void) {
    body(viommu)
    if let previous { body(previous) }
  }

  override func tearDown() {
    viommu.remove(self)
    viommu.parent.ioas.unlock(self)
  }
}
