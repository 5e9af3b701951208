// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// Broken rules, counted.
struct Violations {
  private(set) var count = 0
  /// About the first one.
  private(set) var sentence = Sentence()

  mutating func add(_ text: StaticString, _ id: UInt64) {
    count += 1
    guard count == 1 else { return }
    sentence.append(text)
    sentence.append(id)
  }

  /// What another check found.
  mutating func add(_ others: Int, _ first: Sentence) {
    if count == 0 && others > 0 { sentence = first }
    count += others
  }
}

extension EmulatedKernelState {
  func checkObjects(_ violations: inout Violations) {
    if leaked > 0 { violations.add("objects outlived their iommufd: ", UInt64(leaked)) }
    for iommufd in iommufds { checkReferences(iommufd, &violations) }
    for device in devices { checkEntry(device, &violations) }
  }

  /// Each object's count is the number of those that hold it.
  private func checkReferences(_ iommufd: IOMMUFDFile, _ violations: inout Violations) {
    // By id; 0 is for what has none.
    var held = [0]
    func hold(_ object: KernelObject) {
      let id = Int(object.id)
      while held.count <= id { held.append(0) }
      held[id] += 1
    }
    iommufd.objects.each { entry in
      entry.object?.forEachHeld(hold)
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
    iommufd.objects.each { entry in
      guard let object = entry.object else { return }
      let id = Int(object.id)
      guard object.users != (id < held.count ? held[id] : 0) else { return }
      violations.add("a reference count does not add up, of object ", UInt64(object.id))
    }
  }

  /// The STE of a device is what its attachment says.
  private func checkEntry(_ device: EmulatedDevice, _ violations: inout Violations) {
    let wanted = device.bound?.attached?.entry ?? .abort
    let found = device.smmu.entry(of: device.stream)
    for index in 0..<8 where wanted[word: index] != found[word: index] {
      violations.add("an STE is not what the attachment says, of stream ", UInt64(device.stream))
      return
    }
  }
}

extension EmulatedHost {
  /// The number of broken rules about objects and VMIDs, and a sentence about the first.
  public func check() -> (count: Int, sentence: Sentence) { locked { kernel.violations } }

  /// The same where memory may be short.
  public func checkReserving() throws(Errno) -> (count: Int, sentence: Sentence) {
    try lockedReserving { () throws(Errno) in kernel.violations }
  }
}

extension EmulatedKernelState {
  fileprivate var violations: (count: Int, sentence: Sentence) {
    var violations = Violations()
    checkObjects(&violations)
    let vmids = hypervisor.check()
    violations.add(vmids.count, vmids.first)
    return (violations.count, violations.sentence)
  }
}
