// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

/// BARs of assigned devices in stage 2, where the others reach them. The kernel revokes them where
/// a device is reset or decodes no memory, and keeps a hole that a new mapping alone fills.
extension Nesting {
  static var mostBARs: Int { 256 }

  func addBAR(_ range: BARRange, of device: DeviceName) throws(Refusal) {
    guard domain.lentParent == nil else {
      throw Refusal(
        .einval, "config.parent_hwpt is over the VMM's address space, in which it maps BARs itself")
    }
    guard ownsAddressSpace else {
      throw Refusal(.einval, "config.ioas is the VMM's address space, in which it maps BARs itself")
    }
    let index = try streams.require(device)
    guard devices[index].fd >= 0 else { throw Self.noFile }
    try check(range)
    bars.append(PeerBAR(range: range, device: devices[index].id))
    do throws(Refusal) { try remap(bars.count - 1, devices[index]) } catch {
      bars.removeLast()
      throw error
    }
  }

  private func check(_ range: BARRange) throws(Refusal) {
    guard range.length != 0, (range.offset | range.length | range.address) & 4095 == 0 else {
      throw Refusal(
        .einval, "bar.offset, .length and .address must be multiples of 4096, and .length not 0")
    }
    guard !range.offset.addingReportingOverflow(range.length).overflow,
      !range.address.addingReportingOverflow(range.length).overflow
    else {
      throw Refusal(.einval, "bar.offset or bar.address + bar.length passes the end of 64 bits")
    }
    let window = messageWindow
    guard range.address > window.last || range.address + range.length <= window.first else {
      throw Refusal(.einval, "bar.address meets the host's window for MSIs (vsmmu_msi_window)")
    }
    try requireNoBAR(range.address, length: range.length)
    guard bars.count < Self.mostBARs else {
      throw Refusal(.enomem, "bar is one more than the 256 possible")
    }
  }

  /// Also for one that is not mapped now: its place is taken.
  func requireNoBAR(_ address: UInt64, length: UInt64) throws(Refusal) {
    guard let other = bars.first(where: { $0.range.meets(address, length: length) }) else { return }
    throw Refusal(
      .eexist,
      Sentence(or: "address meets a BAR") { sentence in
        sentence.append("address meets the BAR at ")
        sentence.append(hex: other.range.address)
      })
  }

  func removeBAR(_ address: UInt64) throws(Refusal) {
    let index = try requireBAR(address)
    try unmap(index)
    bars.remove(at: index)
  }

  /// The memory is back, so it is mapped anew.
  func renewBAR(_ address: UInt64) throws(Refusal) {
    let index = try requireBAR(address)
    guard let device = devices.first(where: { $0.id == bars[index].device }) else {
      throw Refusal(.enoent, "the device of the BAR is gone")
    }
    try remap(index, device)
  }

  private func requireBAR(_ address: UInt64) throws(Refusal) -> Int {
    guard let index = bars.firstIndex(where: { $0.range.address == address }) else {
      throw Refusal(.enoent, "address is no BAR's first address")
    }
    return index
  }

  // MARK: With its device

  /// After a reset that succeeded or not: the kernel may have revoked them. While memory decode is
  /// off there is nothing to map.
  func renewBARs(of device: AssignedDevice) {
    for index in bars.indices where bars[index].device == device.id {
      do throws(Refusal) { try remap(index, device) } catch {
        guard error.errno != .enodev else { continue }
        fail(error.errno, trying: "map a BAR again after a reset", stream: device.stream)
      }
    }
  }

  /// The device is detached.
  func removeBARs(of device: AssignedDevice) {
    for index in bars.indices.reversed() where bars[index].device == device.id {
      do throws(Refusal) {
        try unmap(index)
        bars.remove(at: index)
      } catch {
        fail(error.errno, trying: "unmap the BAR of a detached device", stream: device.stream)
        bars[index].device = nil
      }
    }
  }

  // MARK: Calls

  /// Puts a mapping of what is there now in the place of what was mapped. Where that is revoked
  /// (ENODEV) or the kernel fails to map it, nothing is mapped.
  private func remap(_ index: Int, _ device: AssignedDevice) throws(Refusal) {
    let range = bars[index].range
    let file: Int32
    do throws(Errno) {
      file = try iommufd.exportBAR(
        device.fd, region: range.region, offset: range.offset, length: range.length)
    } catch {
      throw refusal(toExport: error)
    }
    // A mapping keeps what it needs of it.
    defer { try? iommufd.kernel.close(file) }
    try unmap(index)
    do throws(Errno) {
      try iommufd.map(
        in: addressSpace, at: range.address, length: range.length, file: file, offset: 0)
    } catch {
      throw refusal(toMap: error)
    }
    bars[index].isMapped = true
  }

  private func refusal(toExport error: Errno) -> Refusal {
    switch error {
    case .enodev: Refusal(error, "bar.region is no BAR of the device")
    default:
      Refusal(
        error,
        trying: "make a dma-buf of a BAR (VFIO_DEVICE_FEATURE_DMA_BUF, CONFIG_VFIO_PCI_DMABUF)")
    }
  }

  private func refusal(toMap error: Errno) -> Refusal {
    switch error {
    case .enodev: Refusal(error, "the BAR is revoked: memory decode is off, or the device is in D3")
    case .eexist: Refusal(error, "bar.address meets RAM, or what else is mapped")
    default: Refusal(error, trying: "map a BAR into the address space (IOMMU_IOAS_MAP_FILE)")
    }
  }

  private func unmap(_ index: Int) throws(Refusal) {
    guard bars[index].isMapped else { return }
    let range = bars[index].range
    do throws(Errno) {
      try iommufd.unmap(in: addressSpace, at: range.address, length: range.length)
    } catch {
      throw Refusal(error, trying: "unmap a BAR from the address space (IOMMU_IOAS_UNMAP)")
    }
    bars[index].isMapped = false
  }
}
