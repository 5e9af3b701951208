// SPDX-License-Identifier: MIT
import SMMUBase

/// A VMM that attaches its devices itself: the library knows their ids, and needs no file.
public protocol DeviceOwner: AnyObject {
  /// Attaches the device, or replaces what is attached in one step; on an error the old one stays.
  func attach(_ device: UInt32, to hwpt: UInt32) throws(Errno)
  /// The device leaves whatever this library attached it to.
  func detach(_ device: UInt32) throws(Errno)
}
