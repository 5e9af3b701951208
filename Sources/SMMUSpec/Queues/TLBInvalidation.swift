// SPDX-License-Identifier: MIT

/// Inclusive bounds of the addresses that an invalidation names.
public struct AddressRange: Equatable, Sendable {
  public let first: UInt64
  public let last: UInt64

  @inline(__always)
  public init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
  }

  public static var all: AddressRange { AddressRange(first: 0, last: .max) }
}

/// What a TLBI removes (§4.4).
public enum TLBInvalidation: Equatable, Sendable {
  /// All stage 1 information of a VMID.
  case stage1(VMID)
  /// The non-global stage 1 information of an ASID.
  case asid(VMID, ASID)
  /// Stage 1 information by address: of one ASID and global, or of any.
  case address(VMID, asid: ASID?, range: AddressRange)
  /// Stage 2 information by address.
  case intermediate(VMID, AddressRange)
  /// All information of a VMID.
  case vmid(VMID)
  /// All of NS-EL1, every VMID.
  case everything
  /// Of the EL2 worlds where streams have one: there are no entries.
  case nothing
}

extension TLBInvalidation {
  /// What names entries of EL2. Without Hyp an STE's STRW is RES0 (§5.2): the streams that a driver
  /// means are of NS-EL1, with whatever VMID their STEs say, so all of that goes. To remove more
  /// than is named is allowed (§4.4).
  @inline(__always)
  public static func ofEL2(_ features: Features) -> TLBInvalidation {
    features.hyp ? .nothing : .everything
  }
}
