// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec

/// The way of a physical SMMU's events to the vEVENTQs.
extension EmulatedKernelState {
  func deliverEvents(of smmu: PhysicalSMMU) {
    smmu.takeEvents { record in
      guard Self.isGuests(record) else { return }
      let stream = StreamID(truncatingIfNeeded: record[EventRecord.streamID])
      for device in devices where device.smmu === smmu && device.stream == stream {
        deliver(record, of: device)
      }
    }
  }

  /// A vSMMU that has no queue loses its events without a trace.
  private func deliver(_ record: EventRecord, of device: EmulatedDevice) {
    guard let (viommu, stream) = device.virtual,
      let queue = viommu.queue(IOMMUFD_VEVENTQ_TYPE_ARM_SMMUV3)
    else { return }
    var record = record
    record[EventRecord.streamID] = UInt64(stream)
    queue.append(record)
  }

  /// Faults that the guest's own tables cause. Those of stage 2, and of what the host configures,
  /// stay in the host's log.
  private static func isGuests(_ record: EventRecord) -> Bool {
    guard !record.flag(EventRecord.stall), !record.flag(EventRecord.s2) else { return false }
    switch EventKind(rawValue: UInt8(truncatingIfNeeded: record[EventRecord.number])) {
    case .badSTE, .streamDisabled, .badSubstreamID, .badCD, .translation, .addressSize, .access,
      .permission:
      return true
    default: return false
    }
  }
}

// MARK: DMA

extension EmulatedHost {
  /// A device reads or writes through its SMMU; `access.stream` is not looked at. nil = no device.
  public func dma(
    of index: Int, access: Access, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Translation? {
    guard kernel.devices.indices.contains(index) else { return nil }
    let device = kernel.devices[index]
    runQueues(of: device.smmu)
    var access = access
    access.stream = device.stream
    let result = device.dma(access, data: data, length: length)
    if result.event != nil { deliverEvents(of: device.smmu) }
    return result
  }

  /// The hardware consumes direct command queues by itself, at any time: here when it is asked, and
  /// before each DMA; later where memory is short.
  public func runQueues() {
    for smmu in kernel.smmus { runQueues(of: smmu) }
  }

  private func runQueues(of smmu: PhysicalSMMU) {
    guard smmu.mayRunInterfaces, let reserve = Reserve(bytes: EmulatedNeed.call) else { return }
    defer { reserve.giveBack() }
    reserve.covering {
      if smmu.runInterfaces() { locked { kernel.reportDirectErrors() } }
    }
  }

  /// Where memory is short they wait in the SMMU's queue for the next one.
  private func deliverEvents(of smmu: PhysicalSMMU) {
    locked {
      guard let reserve = Reserve(bytes: EmulatedNeed.call) else { return }
      defer { reserve.giveBack() }
      reserve.covering { kernel.deliverEvents(of: smmu) }
    }
  }
}
