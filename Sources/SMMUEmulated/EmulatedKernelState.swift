// SPDX-License-Identifier: MIT
import SMMUSpec

/// Which kernel is emulated.
public enum EmulatedKernelVersion: UInt32, Sendable {
  /// Validates every field of invalidations.
  case linux73 = 0
  /// Validates opcodes alone.
  case linux72 = 1
  /// 7.3, with VMIDs that KVM and the SMMUs share.
  case linked = 2

  var validatesFields: Bool { self != .linux72 }
  /// IOMMU_GET_HW_INFO tells of the erratum that TLBI and CFGI must be sent twice.
  var tellsErrata: Bool { self != .linux72 }
}

/// What all files of the emulated kernel share. With the host's lock held.
final class EmulatedKernelState {
  let version: EmulatedKernelVersion
  let descriptors = DescriptorTable()
  let hypervisor: Hypervisor
  let smmus: [PhysicalSMMU]
  let devices: [EmulatedDevice]
  var calls: UInt64 = 0
  var invalidations: UInt64 = 0
  var hwpts: UInt64 = 0
  /// The open iommufds, for what is counted and checked over all of them.
  private(set) var iommufds: [IOMMUFDFile] = []
  /// Objects that the end of an iommufd could not destroy: 0 if reference counts are right.
  var leaked = 0

  init(
    _ version: EmulatedKernelVersion, hypervisor: Hypervisor, smmus: [PhysicalSMMU],
    devices: [EmulatedDevice]
  ) {
    self.version = version
    self.hypervisor = hypervisor
    self.smmus = smmus
    self.devices = devices
    hypervisor.files = descriptors
  }

  /// The end of the process that uses it.
  func closeAll() {
    for iommufd in iommufds { iommufd.unmapAll() }
    descriptors.closeAll()
  }

  func unmap(_ address: UnsafeMutableRawPointer, length: Int) -> Bool {
    // A file may go with its last page.
    let open = iommufds
    return open.contains { $0.unmap(address, length: length) }
  }

  func reportDirectErrors() { for iommufd in iommufds { iommufd.reportErrors() } }

  func add(_ file: IOMMUFDFile) { iommufds.append(file) }
  func remove(_ file: IOMMUFDFile) { iommufds.removeAll { $0 === file } }
}
