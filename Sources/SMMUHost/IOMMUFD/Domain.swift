// SPDX-License-Identifier: MIT

/// Where the stage 2 of assigned devices comes from. That depends on who owns the guest's memory,
/// never on how a device came to the guest.
public enum Domain: Equatable, Sendable {
  /// A nest parent that is made here, with the first device, over an address space: one that is
  /// made here too and follows the guest's RAM, or one of the VMM's, who says what is in it.
  case own(addressSpace: UInt32?)
  /// A nest parent of the VMM's, over an address space of the VMM's. `isShared`: other vSMMUs may
  /// stand on it, as no two of them have an ASID in common.
  case parent(hwpt: UInt32, addressSpace: UInt32, isShared: Bool)
  /// A table of KVM's that hangs on an anchor of the guest's.
  case anchored

  /// Why there is no such stage 2 yet.
  var refusal: StaticString? {
    switch self {
    case .own, .parent: nil
    case .anchored: "no stage 2 of KVM's can be had from a kernel that this library knows"
    }
  }

  /// The VMM's.
  var lentAddressSpace: UInt32? {
    switch self {
    case .own(let space): space
    case .parent(_, let space, _): space
    case .anchored: nil
    }
  }

  /// The VMM's.
  var lentParent: UInt32? {
    if case .parent(let hwpt, _, _) = self { hwpt } else { nil }
  }
}
