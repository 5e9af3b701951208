// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// A device of the host's that the guest has behind this vSMMU, or is to have.
struct AssignedDevice {
  /// nil: the guest has given it none yet.
  var stream: StreamID?
  /// The open VFIO character device; ours. -1: the VMM has it, and attaches the device.
  let fd: Int32
  /// Its id in the iommufd.
  let id: UInt32
  /// The VMM attaches it (`DeviceOwner`).
  let isOwners: Bool
  /// What names it to the kernel by its StreamID; 0 = none.
  var vdevice: UInt32 = 0
  /// It was bound for the VM that the vSMMU is linked with.
  let isLinked: Bool
  var facts: DeviceFacts
  var state = DeviceState.absent

  /// It may keep translations that CMD_ATC_INV must reach.
  var usesATS: Bool { facts.mayUseATS && state.enablesATS }

  /// Where it is among devices: by StreamID, those that have none behind them.
  var place: UInt64 { Self.place(of: stream) }
  static func place(of stream: StreamID?) -> UInt64 { stream.map { UInt64($0) } ?? .max }
}

/// How a caller names an assigned device.
public enum DeviceName: Equatable, Sendable {
  case stream(StreamID)
  /// Its id in the iommufd.
  case id(UInt32)
}
