// SPDX-License-Identifier: MIT
import CKernel
import SMMUSpec

/// VIOMMU: the part of a physical SMMU that one vSMMU stands for.
final class KernelVIOMMU: KernelObject {
  let parent: PagingHWPT
  private struct Entry {
    let virtualID: UInt64
    let vdevice: KernelVDevice
  }
  /// Sorted by virtual id.
  private var vdevices: [Entry] = []
  private var queues: [KernelEventQueue] = []
  /// Of the guest's own command queues, where they were asked for.
  let interface: PhysicalInterface?
  /// Where the interface's page can be mapped from its iommufd.
  let pageOffset: UInt64
  /// From 0 upwards.
  private var hwQueues: [KernelHWQueue] = []

  init(_ parent: PagingHWPT, interface: PhysicalInterface? = nil, pageOffset: UInt64 = 0) {
    self.parent = parent
    self.interface = interface
    self.pageOffset = pageOffset
  }

  var smmu: PhysicalSMMU { parent.smmu }

  override func forEachHeld(_ body: (KernelObject) -> Void) { body(parent) }

  override func tearDown() {
    if let interface { smmu.giveBack(interface) }
  }

  // MARK: Direct command queues

  var lastHWQueue: KernelHWQueue? { hwQueues.last }
  var hwQueueCount: Int { hwQueues.count }

  func add(_ queue: KernelHWQueue, at address: UInt64, log2Size: Int) {
    hwQueues.append(queue)
    smmu.accessing { interface?.setUp(queue.index, at: address, log2Size: log2Size) }
  }

  func remove(_ queue: KernelHWQueue) {
    hwQueues.removeAll { $0 === queue }
    smmu.accessing { interface?.tearDown(queue.index) }
  }

  /// Tells the guest's VMM of queues that stopped; without a vEVENTQ nobody is told.
  func reportErrors() {
    guard let interface else { return }
    let errors = smmu.accessing { interface.takeErrors() }
    guard errors != 0, let queue = queue(IOMMUFD_VEVENTQ_TYPE_TEGRA241_CMDQV) else { return }
    var record = EventRecord()
    record[word: 0] = errors
    queue.append(record)
  }

  // MARK: vDEVICEs

  private func place(of virtualID: UInt64) -> Int {
    var low = 0
    var high = vdevices.count
    while low < high {
      let middle = (low + high) / 2
      if vdevices[middle].virtualID < virtualID { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func vdevice(_ virtualID: UInt64) -> KernelVDevice? {
    let place = place(of: virtualID)
    guard place < vdevices.count, vdevices[place].virtualID == virtualID else { return nil }
    return vdevices[place].vdevice
  }

  func add(_ vdevice: KernelVDevice) {
    let entry = Entry(virtualID: vdevice.virtualID, vdevice: vdevice)
    vdevices.insert(entry, at: place(of: vdevice.virtualID))
  }

  func remove(_ vdevice: KernelVDevice) { vdevices.removeAll { $0.vdevice === vdevice } }

  // MARK: vEVENTQs, one of each type

  func queue(_ type: UInt32) -> KernelEventQueue? { queues.first { $0.type == type } }
  func add(_ queue: KernelEventQueue) { queues.append(queue) }
  func remove(_ queue: KernelEventQueue) { queues.removeAll { $0 === queue } }
}

/// VDEVICE: the name that a guest has for a device.
final class KernelVDevice: KernelObject {
  let viommu: KernelVIOMMU
  /// It holds its vDEVICE, not the other way round: the device can go first.
  let device: KernelDevice
  let virtualID: UInt64

  init(_ viommu: KernelVIOMMU, device: KernelDevice, virtualID: UInt64) {
    self.viommu = viommu
    self.device = device
    self.virtualID = virtualID
  }

  override func forEachHeld(_ body: (KernelObject) -> Void) { body(viommu) }

  override func tearDown() {
    viommu.remove(self)
    device.vdevice = nil
    if let interface = viommu.interface {
      viommu.smmu.accessing { interface.remove(StreamID(truncatingIfNeeded: virtualID)) }
    }
  }
}
