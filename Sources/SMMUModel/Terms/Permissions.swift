// SPDX-License-Identifier: MIT
import SMMUSpec

/// What a page allows, by privilege: a bit for each kind of access that is neither atomic nor
/// overridden, in the order of the flags that say it (`AccessFlags`): write 1, instruction 2,
/// privileged 4. A write that is marked as instruction is data (§13.1.2).
struct Permissions: OptionSet, Sendable {
  let rawValue: UInt8

  static var unprivilegedRead: Permissions { Permissions(rawValue: 0x01) }
  static var unprivilegedWrite: Permissions { Permissions(rawValue: 0x0a) }
  static var unprivilegedExecute: Permissions { Permissions(rawValue: 0x04) }
  static var privilegedRead: Permissions { Permissions(rawValue: 0x10) }
  static var privilegedWrite: Permissions { Permissions(rawValue: 0xa0) }
  static var privilegedExecute: Permissions { Permissions(rawValue: 0x40) }
  static var all: Permissions { Permissions(rawValue: 0xff) }

  @inline(__always)
  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Of both privileges as read 1, write 2, execute 4.
  @inline(__always)
  init(unprivileged: UInt64, privileged: UInt64) {
    let both = unprivileged | privileged &<< 4
    self.init(rawValue: UInt8(truncatingIfNeeded: both | (both & 0x22) &<< 2))
  }

  /// Stage 1, direct scheme (DDI 0487 D8.4.1, J1.1 S1DirectBasePermissions; §5.4 PAN, WXN).
  /// `tables` are bits [62:59] of the table descriptors on the way, ored.
  @inline(__always)
  init(_ leaf: TranslationDescriptor, tables: UInt64, wxn: Bool, pan: Bool) {
    let never = leaf.raw &>> 53 | tables &>> 59  // PXN [0], UXN [1]
    let refused = (leaf.raw &>> 6 ^ 1) | tables &>> 61  // unprivileged access [0], writes [1]
    let kind = never & 3 | (refused & 3) &<< 2
    self = _slowPath(wxn || pan) ? Self.narrowed(kind, wxn: wxn, pan: pan) : Self.direct(kind)
  }

  /// Of each kind, a byte; written down by `narrowed`, which a test compares it with.
  @inline(__always)
  private static func direct(_ kind: UInt64) -> Permissions {
    let half = kind & 8 == 0 ? 0xb0f0_b4f4_bbbb_bfbf as UInt64 : 0x1050_1454_1151_1555
    return Permissions(rawValue: UInt8(truncatingIfNeeded: half &>> ((kind & 7) &* 8)))
  }

  /// `kind`: PXN [0], UXN [1], no unprivileged access [2], no writes [3].
  static func narrowed(_ kind: UInt64, wxn: Bool, pan: Bool) -> Permissions {
    let user = ~kind &>> 2 & 1
    let writable = ~kind &>> 3 & 1
    let userWrite = user & writable
    // PAN: no privileged data access where there is an unprivileged one.
    let privileged = 1 & ~(user & (pan ? 1 : 0))
    let privilegedWrite = privileged & writable
    let w: UInt64 = wxn ? 1 : 0
    let userExecute = ~(kind &>> 1) & ~(w & userWrite) & 1
    // What unprivileged software may write is not executed with privilege.
    let privilegedExecute = ~kind & ~userWrite & ~(w & privilegedWrite) & 1
    return Permissions(
      unprivileged: user | userWrite &<< 1 | userExecute &<< 2,
      privileged: privileged | privilegedWrite &<< 1 | privilegedExecute &<< 2)
  }

  /// Stage 2 (D8.4.2; §13.4.3). Without XNX, bit [54] alone forbids execution.
  @inline(__always)
  init(stage2 leaf: TranslationDescriptor, xnx: Bool) {
    let access = leaf.raw &>> 6 & 3
    let high = leaf.raw &>> 54 & 1
    let low = leaf.raw &>> 53 & (xnx ? 1 : 0)
    // 00 both, 01 unprivileged, 10 none, 11 privileged.
    let userExecute = ~high & 1
    let privilegedExecute = ~(high ^ low) & 1
    self.init(
      unprivileged: access | userExecute &<< 2, privileged: access | privilegedExecute &<< 2)
  }

  /// One stage's permissions as read 1, write 2, execute 4.
  @inline(__always)
  func visible(privileged: Bool) -> UInt8 { (privileged ? rawValue &>> 4 : rawValue) & 7 }

  /// Whether an access that is neither atomic nor overridden may go on.
  @inline(__always)
  func allow(plain flags: AccessFlags) -> Bool {
    rawValue &>> UInt8(truncatingIfNeeded: flags.rawValue & 7) & 1 != 0
  }

  /// One stage's permissions, where all reads are fetches or all fetches are data.
  @inline(__always)
  static func marked(_ permissions: UInt8, asInstruction: Bool) -> UInt8 {
    let read = asInstruction ? permissions &>> 2 : permissions & 1
    return read | permissions & 2 | read &<< 2
  }

  /// Whether an access may go on. Instruction reads need execute and not read (D8.4.1).
  @inline(__always)
  func allow(_ access: Access, _ effective: EffectiveAccess) -> Bool {
    let needed: UInt8 =
      effective.instruction ? 4 : (access.reads ? 1 : 0) | (access.writes ? 2 : 0)
    return visible(privileged: effective.privileged) & needed == needed
  }

  /// Whether an atomic fails for want of read alone; write is tested first (§16.7.6).
  func missesReadOnly(_ access: Access, _ effective: EffectiveAccess) -> Bool {
    access.writes && visible(privileged: effective.privileged) & 2 != 0
  }
}
