// SPDX-License-Identifier: MIT
import SMMUSpec

/// What is known of an assigned device, for a VMM that builds its PCI capabilities.
public struct DeviceInformation {
  public let stream: StreamID?
  /// Ids in the iommufd; 0 = none.
  public let id: UInt32
  public let vdevice: UInt32
  public let viommu: UInt32
  public let parent: UInt32
  public let attachment: Attachment
  /// What it is attached to is not what the guest asks for, as the kernel failed.
  public let isFailed: Bool
  public let facts: DeviceFacts

  public enum Attachment {
    case nothing
    case abort(hwpt: UInt32)
    case bypass(hwpt: UInt32)
    case stage1(hwpt: UInt32)
  }
}

extension DeviceFacts {
  /// STALL_MODEL is not 1: a fault may stall where an STE lets it, or must.
  public var mayStall: Bool { value(.idr0, IDR0.stallModel) != 1 }
}
