// SPDX-License-Identifier: MIT
import SMMUBase

/// A VMM that attaches its devices itself: the library knows their ids, and needs no file.
public protocol DeviceOwner: AnyObject {
  /// Attaches the device, or replaces what is attached in one step; on an error the old one stays.
  func attach(_ device: UInt32, to hwpt: UInt32) throws(Errno)
  /// The device leaves whatever this library attached it to.
  func detach(_ device: UInt32) throws(Errno)
}

/// Why a device is not attached to something else, or not detached.
struct AttachmentError: Error {
  let errno: Errno
  /// Of the owner's that failed; nil: the kernel did.
  let operation: StaticString?

  init(_ errno: Errno, of operation: StaticString? = nil) {
    self.errno = errno
    self.operation = operation
  }

  var who: StaticString { operation ?? "the host kernel" }

  /// `request`: of the kernel's.
  func refusal(trying text: StaticString, request: StaticString) -> Refusal {
    Refusal(errno, by: who, trying: operation == nil ? request : text)
  }
}
