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

  /// A CD is cached only where a stream translates, and translations only where a device may keep
  /// them; the kernel refuses streams that it does not know.
  private func concernsHardware(_ command: Command) -> Bool {
    guard let stream = command.namedStream else { return true }
    guard let index = streams.index(of: stream) else { return false }
    return command.isATCInvalidation ? devices[index].usesATS : devices[index].state.hwpt != nil
  }

  private func queue(_ command: Command) -> Bool {
    if !batch.hasRoom(for: command) && !flush() { return false }
    batch.append(command)
    return true
  }

  public func configurationChanged(first: StreamID, last: StreamID) -> HardwareResult {
    var result = HardwareResult(isDone: true, systemCalls: 0)
    var index = streams.place(of: first)
    while index < devices.count, devices[index].place <= UInt64(last) {
      if !reconfigure(index, &result.systemCalls) { result.isDone = false }
      result.streams += 1
      index += 1
    }
    return result
  }

  private func reconfigure(_ index: Int, _ calls: inout Int) -> Bool {
    let before = devices[index].state
    let wanted = devices[index].stream.map { smmu.assignmentShown(of: $0) } ?? .abort
    if !before.gives(wanted) {
      // Invalidation, allocation, attachment, and the old one goes.
      calls += 4
      // What the guest asked for before belongs to the old configuration.
      guard flush(), follow(index, to: wanted, failing: .stays) else { return false }
    }
    // The same STE still means that its CDs may have changed with it (§4.3.1).
    guard before.hwpt != nil, devices[index].state == before, let stream = devices[index].stream
    else { return true }
    return queue(.cfgiCDAll(stream))
  }

  public func synchronize() throws(HardwareFailure) {
    var isDone = true
    retryEventQueue()
    retryKept()
    // Where the kernel failed when registers changed, there was no command to stop at.
    for index in devices.indices where devices[index].state.isFailed {
      let failing: Failing = devices[index].state.isOpen ? .closes : .stays
      if !follow(index, failing: failing) { isDone = false }
    }
    guard flush(), isDone else { throw .refused }
    if endpointTimedOut {
      endpointTimedOut = false
      throw .endpointTimeout
    }
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
    // No CMD_SYNC waits for what is asked of devices here: the log tells who gave no answer.
    defer { endpointTimedOut = false }
    for index in devices.indices { follow(index, failing: .closes) }
    guard mayHoldTranslations else { return }
    _ = queue(.tlbiNSNHAll)
    for device in devices where device.state.hwpt != nil {
      if let stream = device.stream { _ = queue(.cfgiCDAll(stream)) }
    }
    for device in devices where device.usesATS {
      if let stream = device.stream { _ = queue(.atcInv(ATCInvalidation(CommandSource(stream)))) }
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

  /// Has the kernel carry out what is in the batch. On an error all of it is tried again next time,
  /// but for CMD_ATC_INV after a timeout: the guest hears of that at its CMD_SYNC (§3.9.1.4), and
  /// the rest of the batch, which may wait behind it, is carried out without it.
  func flush() -> Bool {
    var asksEndpoints = false
    do throws(Errno) {
      try send(&asksEndpoints)
      return true
    } catch {
      guard asksEndpoints && error == .etimedout else {
        fail(error, trying: "carry out a guest's invalidations")
        return false
      }
      fail(error, trying: "have the guest's devices forget translations (CMD_ATC_INV)")
    }
    endpointTimedOut = true
    batch.discardATCInvalidations()
    return flush()
  }

  /// `asksEndpoints`: the last call had a CMD_ATC_INV in it.
  private func send(_ asksEndpoints: inout Bool) throws(Errno) {
    guard batch.count > 0, let objects else { return }
    // With the erratum, entries are gone only when the second call is done. CMD_ATC_INV must not be
    // repeated, and follows what was.
    if repeatsInvalidations { try send(batch.bytes(sparingATC: true), to: objects.viommu) }
    asksEndpoints = batch.hasATCInvalidations
    try send(batch.bytes(), to: objects.viommu)
    counters.forwarded &+= UInt64(batch.count)
    batch.clear()
  }

  private func send(
    _ commands: (bytes: UnsafeMutableRawPointer, count: Int), to viommu: UInt32
  ) throws(Errno) {
    guard commands.count > 0 else { return }
    counters.invalidateCalls &+= 1
    try iommufd.invalidate(viommu, commands: commands.bytes, count: commands.count)
  }
}
