// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase

/// FAULT: page faults that wait for an answer. Those of an SMMUv3 come from stalls alone, which the
/// emulated SMMUs do not have: the queue is always empty.
final class KernelFaultQueue: KernelObject {
  /// Its file is.
  var isOpen = true
}

final class KernelFaultQueueFile: File {
  private let queue: KernelFaultQueue
  private let owner: IOMMUFDFile

  init(_ queue: KernelFaultQueue, _ owner: IOMMUFDFile) {
    self.queue = queue
    self.owner = owner
  }

  override func read(into data: UnsafeMutableRawPointer, count: Int) throws(Errno) -> Int {
    guard count % MemoryLayout<iommufd_hwpt_pgfault>.size == 0 else { throw .espipe }
    return 0
  }

  /// No cookie is known, so no answer is to any question.
  override func write(from data: UnsafeRawPointer, count: Int) throws(Errno) -> Int {
    guard count % MemoryLayout<iommufd_hwpt_page_response>.size == 0 else { throw .espipe }
    guard count == 0 else { throw .einval }
    return 0
  }

  override var readiness: Int32 { 4 }

  override func release() {
    queue.isOpen = false
    queue.users -= 1
    owner.kernel.descriptors.drop(owner)
  }
}
