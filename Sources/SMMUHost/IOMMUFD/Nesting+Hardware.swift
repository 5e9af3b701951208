// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// What the guest's commands and registers ask of the host.
extension Nesting: Hardware {
  public func invalidate(_ command: Command) -> Bool {
    guard objects != nil, mayHoldTranslations,
      let command = ForwardedCommand.of(command, smmu.features), concernsHardware(command)
    else {
      counters.withheld &+= 1
      return true
    }
    return queue(command)
  }

  /// A CD is cached only where a stream translates; the kernel refuses streams that it does not
  /// know.
  private func concernsHardware(_ command: Command) -> Bool {
    guard let stream = command.contextStream else { return true }
    guard let index = streams.index(of: stream) else { return false }
    return devices[index].state.hwpt != nil
  }

  private func queue(_ command: Command) -> Bool {
    if batch.isFull && !flush() { return false }
    batch.append(command)
    return true
  }

  public func configurationChanged(first: StreamID, last: StreamID) -> HardwareResult {
    var result = HardwareResult(isDone: true, systemCalls: 0)
    var index = streams.place(of: first)
    while index < devices.count, devices[index].stream <= last {
      if !reconfigure(index, &result.systemCalls) { result.isDone = false }
      result.streams += 1
      index += 1
    }
    return result
  }

  private func reconfigure(_ index: Int, _ calls: inout Int) -> Bool {
    let before = devices[index].state
    let wanted = smmu.assignmentShown(of: devices[index].stream)
    if !before.gives(wanted) {
      // Invalidation, allocation, attachment, and the old one goes.
      calls += 4
      // What the guest asked for before belongs to the old configuration.
      guard flush(), follow(index, to: wanted, failing: .stays) else { return false }
    }
    // The same STE still means that its CDs may have changed with it (§4.3.1).
    guard before.hwpt != nil, devices[index].state == before else { return true }
    return queue(.cfgiCDAll(devices[index].stream))
  }

  public func synchronize() -> Bool {
    var isDone = true
    retryEventQueue()
    retryKept()
    // Where the kernel failed when registers changed, there was no command to stop at.
    for index in devices.indices where devices[index].state.isFailed {
      let failing: Failing = devices[index].state.isOpen ? .closes : .stays
      if !follow(index, failing: failing) { isDone = false }
    }
    return flush() && isDone
  }

  public func bypassChanged() {
    // A failure is told, and tried again with the next configuration command or CMD_SYNC.
    _ = flush()
    for index in devices.indices { follow(index, failing: .closes) }
  }

  public func everythingChanged() {
    direct.frame?.reset()
    // What waits in the kernel is of the state that was left.
    events.disable(iommufd)
    eventQueueChanged()
    // What was asked before is part of what follows.
    batch.clear()
    for index in devices.indices { follow(index, failing: .closes) }
    guard mayHoldTranslations else { return }
    _ = queue(.tlbiNSNHAll)
    for device in devices where device.state.hwpt != nil {
      _ = queue(.cfgiCDAll(device.stream))
    }
    _ = flush()
  }

  public func eventQueueChanged() {
    guard let objects else { return }
    let queue = smmu.eventQueue
    do throws(Errno) {
      try events.follow(
        iommufd, viommu: objects.viommu, isOn: queue.isOn, log2Depth: queue.log2Size)
    } catch {
      fail(error, trying: "allocate a queue for the guest's events")
    }
  }

  /// Has the kernel carry out what is in the batch. On an error all of it is tried again next time.
  func flush() -> Bool {
    guard batch.count > 0, let objects else { return true }
    do throws(Errno) {
      // With the erratum, entries are gone only when the second call is done; ATC_INV, which must
      // not be repeated, is never in a batch.
      for _ in 0..<(repeatsInvalidations ? 2 : 1) {
        counters.invalidateCalls &+= 1
        try iommufd.invalidate(objects.viommu, commands: batch.bytes, count: batch.count)
      }
      counters.forwarded &+= UInt64(batch.count)
      batch.clear()
      return true
    } catch {
      fail(error, trying: "carry out a guest's invalidations")
      return false
    }
  }
}
