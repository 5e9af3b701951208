// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// A device of the host's that the guest has behind this vSMMU, or is to have.
struct AssignedDevice {
  var stream: StreamID
  /// The open VFIO character device; ours.
  let fd: Int32
  /// Its id in the iommufd.
  let id: UInt32
  /// What names it to the kernel by its StreamID; 0 = none.
  var vdevice: UInt32 = 0
  /// It was bound for the VM that the vSMMU is linked with.
  let isLinked: Bool
  let facts: DeviceFacts
  var attachment = Attachment.absent
}

/// What the kernel lets a device's DMA go through.
enum Attachment: Equatable {
  /// Nothing: the device is bound, and not attached yet.
  case absent
  /// The HWPTs that all devices share.
  case abort, bypass
  /// A nested HWPT of its own, made of what the guest's STE asks for.
  case stage1(hwpt: UInt32, made: AssignedStream)
  /// Not what the guest asks for, as the kernel failed; to be tried again.
  case failed(has: Remainder)

  /// What a device has that could not be attached to what the guest asks for.
  enum Remainder: Equatable {
    case nothing, abort, bypass
    case stage1(hwpt: UInt32)
  }

  /// The nested HWPT of its own.
  var hwpt: UInt32? {
    switch self {
    case .stage1(let hwpt, _), .failed(.stage1(let hwpt)): hwpt
    case .absent, .abort, .bypass, .failed: nil
    }
  }

  var isFailed: Bool {
    if case .failed = self { true } else { false }
  }

  /// It is what the guest asks for.
  func gives(_ wanted: AssignedStream) -> Bool {
    switch self {
    case .abort: wanted == .abort
    case .bypass: wanted == .bypass
    case .stage1(_, let made): wanted == made
    case .absent, .failed: false
    }
  }

  /// The same, but not what the guest asks for.
  var failed: Attachment {
    switch self {
    case .absent: .failed(has: .nothing)
    case .abort: .failed(has: .abort)
    case .bypass: .failed(has: .bypass)
    case .stage1(let hwpt, _): .failed(has: .stage1(hwpt: hwpt))
    case .failed: self
    }
  }
}
