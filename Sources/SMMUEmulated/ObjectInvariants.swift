// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

extension EmulatedKernelState {
  func checkObjects(_ broken: inout BrokenInvariants) {
    if leaked > 0 { broken.add("objects outlived their iommufd: ", leaked) }
    for iommufd in iommufds { checkReferences(iommufd, &broken) }
    for device in devices { checkEntry(device, &broken) }
  }

  /// Each object's count is the number of those that hold it.
  private func checkReferences(_ iommufd: IOMMUFDFile, _ broken: inout BrokenInvariants) {
    // By id; 0 is for what has none.
    var held = [0]
    func hold(_ object: KernelObject) {
      let id = Int(object.id)
      while held.count <= id { held.append(0) }
      held[id] += 1
    }
    iommufd.objects.each { entry in
      entry.object?.forEachHeld(hold)
      entry.object?.check(&broken)
      switch entry {
      case .device(let device):
        // Its driver's.
        hold(device)
        device.forEachAttachment { hold($0.object) }
      case .eventQueue(let queue):
        if queue.file != nil { hold(queue) }
      case .faultQueue(let queue):
        if queue.isOpen { hold(queue) }
      default: break
      }
    }
    iommufd.forEachMapped(hold)
    iommufd.objects.each { entry in
      guard let object = entry.object else { return }
      let id = Int(object.id)
      guard object.users != (id < held.count ? held[id] : 0) else { return }
      broken.add("a reference count does not add up, of object ", object.id)
    }
  }

  /// The STE of a device is what its attachment says.
  private func checkEntry(_ device: EmulatedDevice, _ broken: inout BrokenInvariants) {
    let wanted = device.bound?.attached.map { device.entry(of: $0) } ?? .abort
    let found = device.smmu.entry(of: device.stream)
    for index in 0..<8 where wanted[word: index] != found[word: index] {
      broken.add("an STE is not what the attachment says, of stream ", device.stream)
      return
    }
  }
}

extension EmulatedHost {
  /// What does not hold of objects and VMIDs.
  public func check() -> BrokenInvariants { locked { kernel.brokenInvariants } }

  /// The same where memory may be short.
  public func checkReserving() throws(Errno) -> BrokenInvariants {
    try lockedReserving { () throws(Errno) in kernel.brokenInvariants }
  }
}

extension EmulatedKernelState {
  fileprivate var brokenInvariants: BrokenInvariants {
    var broken = BrokenInvariants()
    checkObjects(&broken)
    broken.add(hypervisor.check())
    return broken
  }
}
