// SPDX-License-Identifier: MIT
import SMMUModel

/// What the kernel lets a device's DMA go through.
enum DeviceState: Equatable {
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
    case stage1(hwpt: UInt32, made: AssignedStream)
  }

  /// The nested HWPT of its own.
  var hwpt: UInt32? {
    switch self {
    case .stage1(let hwpt, _), .failed(.stage1(let hwpt, _)): hwpt
    case .absent, .abort, .bypass, .failed: nil
    }
  }

  /// The device may keep translations that CMD_ATC_INV must reach.
  var enablesATS: Bool {
    switch self {
    case .stage1(_, let made), .failed(.stage1(_, let made)): made.enablesATS
    case .absent, .abort, .bypass, .failed: false
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
  var failed: DeviceState {
    switch self {
    case .absent: .failed(has: .nothing)
    case .abort: .failed(has: .abort)
    case .bypass: .failed(has: .bypass)
    case .stage1(let hwpt, let made): .failed(has: .stage1(hwpt: hwpt, made: made))
    case .failed: self
    }
  }
}
