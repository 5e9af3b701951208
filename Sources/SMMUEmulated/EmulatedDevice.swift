// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// A physical device: a DMA engine with one StreamID at one SMMU.
final class EmulatedDevice {
  let smmu: PhysicalSMMU
  let stream: StreamID
  /// Width of its PASIDs, 0 if it has none.
  let pasidBits: Int
  /// Where it keeps translations, if ATS is to be had.
  let cache: EndpointCache?
  /// To a guest's CMD_ATC_INV; to its host it does.
  let answersInvalidations: Bool
  let bar: EmulatedBAR
  /// The iommufd's view of it, while a VFIO file has it bound.
  var bound: KernelDevice?
  /// Whom its events are told, in which name: taken when a nested HWPT is attached, and kept even
  /// if the vDEVICE goes.
  var virtual: (viommu: KernelVIOMMU, stream: StreamID)?

  /// nil without memory.
  static func make(
    _ smmu: PhysicalSMMU, _ configuration: EmulatedConfiguration.Device
  ) -> EmulatedDevice? {
    guard configuration.flags.contains(.ats), smmu.supportsATS else {
      return EmulatedDevice(smmu, as: configuration, cache: nil)
    }
    guard let reserve = Reserve(bytes: EndpointCache.needed + EmulatedNeed.call) else { return nil }
    defer { reserve.giveBack() }
    return reserve.covering {
      EndpointCache.make().map { cache in
        let device = EmulatedDevice(smmu, as: configuration, cache: cache)
        smmu.add(endpoint: device)
        return device
      }
    }
  }

  private init(
    _ smmu: PhysicalSMMU, as configuration: EmulatedConfiguration.Device, cache: EndpointCache?
  ) {
    self.smmu = smmu
    self.cache = cache
    stream = configuration.stream
    pasidBits = configuration.pasidBits
    bar = EmulatedBAR(bytes: 1 << UInt64(configuration.barBits))
    answersInvalidations = !configuration.flags.contains(.silent)
    block()
  }

  /// Nobody's: all its DMA is aborted, and no event tells of it.
  func block() {
    virtual = nil
    cache?.disable()
    smmu.install(.abort, for: stream)
  }

  /// What its stream becomes. ATS is off before the SMMU denies it, and on after it allows it; what
  /// is kept of another configuration goes.
  func install(_ hwpt: HWPT) {
    if !usesATS(hwpt) { cache?.disable() }
    smmu.install(entry(of: hwpt), for: stream)
    if usesATS(hwpt) {
      cache?.clear()
      cache?.enable()
    }
  }

  /// Its STE while it is attached to that.
  func entry(of hwpt: HWPT) -> StreamTableEntry {
    var entry = hwpt.entry
    entry[StreamTableEntry.eats] = usesATS(hwpt) ? 1 : 0
    return entry
  }

  /// A guest's stage 1 has ATS if the guest promises CMD_ATC_INV; of stage 2 the kernel takes care.
  private func usesATS(_ hwpt: HWPT) -> Bool { supportsATS && hwpt.allowsATS }
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
