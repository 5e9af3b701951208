// SPDX-License-Identifier: MIT

/// A part of an assigned device's BAR, and the guest physical address where others reach it.
public struct BARRange {
  /// VFIO's index of the BAR.
  let region: UInt32
  /// In the BAR.
  let offset: UInt64
  let length: UInt64
  let address: UInt64

  public init(region: UInt32, offset: UInt64, length: UInt64, address: UInt64) {
    self.region = region
    self.offset = offset
    self.length = length
    self.address = address
  }

  func meets(_ first: UInt64, length: UInt64) -> Bool {
    first < address &+ self.length && address < first &+ length
  }
}

/// One in stage 2.
struct PeerBAR {
  let range: BARRange
  /// The device's id in the iommufd; nil: the device is gone, and the kernel would not unmap.
  var device: UInt32?
  /// In the address space, be it as a hole.
  var isMapped = false
}
