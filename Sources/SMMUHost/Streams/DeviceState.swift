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
    /// `stays`: the guest asked for another translation, and its DMA goes on in this one until that
    /// can be attached. Else it is to be closed, and could not be.
    case stage1(hwpt: UInt32, made: AssignedStream, stays: Bool)
  }

  /// The nested HWPT of its own.
  var hwpt: UInt32? {
    switch self {
    case .stage1(let hwpt, _), .failed(.stage1(let hwpt, _, _)): hwpt
    case .absent, .abort, .bypass, .failed: nil
    }
  }

  /// The device may keep translations that CMD_ATC_INV must reach.
  var enablesATS: Bool {
    switch self {
    case .stage1(_, let made), .failed(.stage1(_, let made, _)): made.enablesATS
    case .absent, .abort, .bypass, .failed: false
    }
  }

  /// What the device's DMA goes through, whatever the guest asks for.
  var attached: AssignedStream {
    switch self {
    case .absent, .abort, .failed(.nothing), .failed(.abort): .abort
    case .bypass, .failed(.bypass): .bypass
    case .stage1(_, let made), .failed(.stage1(_, let made, _)): made
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

  /// It has a stage 1 that is to be closed, and could not be.
  var isOpen: Bool {
    if case .failed(has: .stage1(_, _, stays: false)) = self { true } else { false }
  }

  /// The same, but not what the guest asks for.
  func failed(stays: Bool = false) -> DeviceState {
    switch self {
    case .stage1(let hwpt, let made), .failed(.stage1(let hwpt, let made, _)):
      .failed(has: .stage1(hwpt: hwpt, made: made, stays: stays))
    case .abort: .failed(has: .abort)
    case .bypass: .failed(has: .bypass)
    case .failed: self
    case .absent: .failed(has: .nothing)
    }
  }
}
