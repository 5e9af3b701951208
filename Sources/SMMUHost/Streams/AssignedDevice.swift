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
  var state = DeviceState.absent

  /// It may keep translations that CMD_ATC_INV must reach.
  var usesATS: Bool { facts.mayUseATS && state.enablesATS }
}
