// SPDX-License-Identifier: MIT
import SMMUSpec

/// A translation as it is kept: whatever an access needs but its own attributes. Two words, so that
/// it travels in registers.
struct CachedTranslation: Equatable, Sendable {
  /// MAIR byte of stage 1 [7:0], its shareability [9:8], that of stage 2 [11:10], output page
  /// [55:12], memory attributes of stage 2 [59:56].
  var output: UInt64
  /// log2 of the bytes that it covers [7:0], the same of the stage 1 leaf that it is a piece of
  /// [15:8], permissions [23:16].
  private var facts: UInt64

  private static var page: UInt64 { UInt64.ones(56) & ~UInt64.ones(12) }

  @inline(__always)
  init(output: UInt64, size: Int, permissions: Permissions) {
    self.output = output
    facts =
      UInt64(truncatingIfNeeded: size) | UInt64(permissions.rawValue) &<< 16
  }

  /// A leaf of stage 1.
  @inline(__always)
  init(
    page: UInt64, size: Int, permissions: Permissions, stage1Attributes: UInt8,
    stage1Shareability: UInt64
  ) {
    self.init(
      output: page & Self.page | UInt64(stage1Attributes) | (stage1Shareability & 3) &<< 8,
      size: size, permissions: permissions)
  }

  /// A leaf of stage 2.
  @inline(__always)
  init(
    page: UInt64, size: Int, permissions: Permissions, stage2Attributes: UInt64,
    stage2Shareability: UInt64
  ) {
    self.init(
      output: page & Self.page | (stage2Shareability & 3) &<< 10
        | (stage2Attributes & 0xf) &<< 56,
      size: size, permissions: permissions)
  }

  @inline(__always) var page: UInt64 { output & Self.page }
  @inline(__always) var size: Int { Int(truncatingIfNeeded: facts & 0xff) }
  @inline(__always)
  var permissions: Permissions {
    Permissions(rawValue: UInt8(truncatingIfNeeded: facts &>> 16))
  }

  /// log2 of the bytes of the stage 1 leaf that it is a smaller piece of; 0 if it is none.
  @inline(__always) var stage1Size: Int { Int(truncatingIfNeeded: facts &>> 8 & 0xff) }
  @inline(__always) var isPiece: Bool { stage1Size != 0 }

  var stage1Attributes: UInt8 { UInt8(truncatingIfNeeded: output) }
  var stage1Shareability: UInt8 { UInt8(truncatingIfNeeded: output[9, 8]) }
  var stage2Attributes: UInt8 { UInt8(truncatingIfNeeded: output[59, 56]) }
  var stage2Shareability: UInt8 { UInt8(truncatingIfNeeded: output[11, 10]) }

  /// Of a stage 1: what stage 2 is to translate.
  @inline(__always)
  func intermediate(_ access: Access) -> IntermediateAddress {
    IntermediateAddress(page | access.address & UInt64.low(size))
  }

  /// Stage 2 on top of this stage 1: the smaller size, the permissions of both.
  @inline(__always)
  func joined(_ below: CachedTranslation, at ipa: IntermediateAddress) -> CachedTranslation {
    let size = min(size, below.size)
    var joined = CachedTranslation(
      output: output & UInt64.ones(10) | below.output
        | ipa.raw & UInt64.low(below.size) & ~UInt64.low(size),
      size: size, permissions: permissions.intersection(below.permissions))
    if size < self.size { joined.facts |= UInt64(truncatingIfNeeded: self.size) &<< 8 }
    return joined
  }

  @inline(__always)
  func answer(_ access: Access, _ visible: Permissions) -> Translation {
    let offset = access.address & UInt64.low(size)
    return Translation(
      address: page | offset, length: (1 &<< UInt64(truncatingIfNeeded: size)) &- offset,
      pageBits: UInt64(truncatingIfNeeded: size),
      permissions: UInt64(visible.visible(privileged: access.flags.contains(.privileged))))
  }
}
