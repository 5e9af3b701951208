// SPDX-License-Identifier: MIT
import SMMUSpec

/// What a stream becomes where hardware translates it: `StreamPolicy`, with what stage 1 needs.
public enum AssignedStream: Equatable, Sendable {
  case abort
  case bypass
  /// STE [127:0], canonical: two STEs that mean the same are equal here.
  case stage1(UInt64, UInt64)

  /// The guest lets the device keep translations of its own, and promises CMD_ATC_INV for them.
  public var enablesATS: Bool {
    guard case .stage1(_, let word) = self else { return false }
    return word & StreamTableEntry.eats.mask != 0
  }
}
