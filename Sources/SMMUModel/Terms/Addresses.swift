// SPDX-License-Identifier: MIT
// The three kinds of addresses that meet in a translation (§3.4). They are numbers apart, so that
// none is taken for another one.
import SMMUSpec

/// What a transaction comes with, an ignored top byte being a copy of bit 55 (§3.4.1).
struct InputAddress: Equatable, Sendable {
  let raw: UInt64
  @inline(__always) init(_ raw: UInt64) { self.raw = raw }

  /// With bits [63:56] as copies of bit 55.
  @inline(__always)
  init(ignoringTopByte address: UInt64) {
    raw = UInt64(bitPattern: Int64(bitPattern: address &<< 8) &>> 8)
  }

  /// Whether the upper half of the address space is meant: TTB1.
  @inline(__always) var isUpper: Bool { raw[55] }
}

/// What stage 1 makes of it where there is a stage 2, and where stage 2 begins: an IPA.
struct IntermediateAddress: Equatable, Sendable {
  let raw: UInt64
  @inline(__always) init(_ raw: UInt64) { self.raw = raw }
}

/// What memory is accessed with: a PA of the system that the SMMU is in.
struct PhysicalAddress: Equatable, Sendable {
  let raw: UInt64
  @inline(__always) init(_ raw: UInt64) { self.raw = raw }

  @inline(__always)
  static func + (base: PhysicalAddress, offset: UInt64) -> PhysicalAddress {
    PhysicalAddress(base.raw &+ offset)
  }
}
