// SPDX-License-Identifier: MIT
import SMMUSpec

/// What a page allows, by privilege.
struct Permissions: OptionSet, Sendable {
  let rawValue: UInt8

  static var unprivilegedRead: Permissions { Permissions(rawValue: 1) }
  static var unprivilegedWrite: Permissions { Permissions(rawValue: 2) }
  static var unprivilegedExecute: Permissions { Permissions(rawValue: 4) }
  static var privilegedRead: Permissions { Permissions(rawValue: 8) }
  static var privilegedWrite: Permissions { Permissions(rawValue: 16) }
  static var privilegedExecute: Permissions { Permissions(rawValue: 32) }
  static var all: Permissions { Permissions(rawValue: 63) }

  @inline(__always)
  init(rawValue: UInt8) { self.rawValue = rawValue }

  @inline(__always)
  private mutating func set(_ member: Permissions, _ isSet: Bool) {
    if isSet { insert(member) }
  }

  /// Stage 1, direct scheme (DDI 0487 D8.4.1, J1.1 S1DirectBasePermissions; §5.4 PAN, WXN, HAD).
  /// `table` are bits [62:59] of the table descriptors on the way, ored.
  @inline(__always)
  init(_ leaf: TranslationDescriptor, table: UInt64, _ cd: ContextDescriptor) {
    let tables = TranslationDescriptor(table)
    let readOnly = leaf.readOnly || tables.tableReadOnly
    let unprivileged = leaf.unprivileged && !tables.tableNoUnprivileged
    let unprivilegedWrite = unprivileged && !readOnly
    let wxn = cd.flag(ContextDescriptor.wxn)
    // PAN: no privileged data access where there is an unprivileged one.
    let pan = cd.flag(ContextDescriptor.pan) && unprivileged
    let privilegedWrite = !readOnly && !pan
    let privilegedExecute =
      !leaf.privilegedExecuteNever && !tables.tablePrivilegedExecuteNever && !unprivilegedWrite
    let unprivilegedExecute =
      !leaf.unprivilegedExecuteNever && !tables.tableUnprivilegedExecuteNever
    self.init(rawValue: 0)
    set(.unprivilegedRead, unprivileged)
    set(.unprivilegedWrite, unprivilegedWrite)
    set(.unprivilegedExecute, unprivilegedExecute && !(wxn && unprivilegedWrite))
    set(.privilegedRead, !pan)
    set(.privilegedWrite, privilegedWrite)
    set(.privilegedExecute, privilegedExecute && !(wxn && privilegedWrite))
  }

  /// Stage 2 (D8.4.2; §13.4.3). Without XNX, bit [54] alone forbids execution.
  @inline(__always)
  init(stage2 leaf: TranslationDescriptor, xnx: Bool) {
    let never = xnx ? leaf.stage2ExecuteNever : leaf.stage2ExecuteNever & 2
    self.init(rawValue: 0)
    if leaf.stage2Read { formUnion([.unprivilegedRead, .privilegedRead]) }
    if leaf.stage2Write { formUnion([.unprivilegedWrite, .privilegedWrite]) }
    // 00 both, 01 unprivileged, 10 none, 11 privileged.
    set(.unprivilegedExecute, never == 0 || never == 1)
    set(.privilegedExecute, never == 0 || never == 3)
  }

  /// One stage's permissions as read 1, write 2, execute 4.
  @inline(__always)
  func visible(privileged: Bool) -> UInt8 { privileged ? rawValue &>> 3 : rawValue & 7 }

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
