// SPDX-License-Identifier: MIT

/// A VMSAv8-64 translation table descriptor, 48-bit output (DDI 0487 D8.3.1).
public struct TranslationDescriptor: Sendable {
  public let raw: UInt64

  @inline(__always)
  public init(_ raw: UInt64) { self.raw = raw }

  public enum Kind: Sendable { case invalid, table, leaf }

  /// What the low bits make of it at `level` of tables of 2^`shift` bytes; which levels may hold
  /// blocks depends on the granule (D8.2.8 to D8.2.10), and bits [1:0] == 0b01 at level 3 are
  /// reserved.
  @inline(__always)
  public func kind(level: Int, shift: Int) -> Kind {
    if !raw[0] { return .invalid }
    if level == 3 { return raw[1] ? .leaf : .invalid }
    if raw[1] { return .table }
    return level == 2 || (level == 1 && shift == 12) ? .leaf : .invalid
  }

  @inline(__always) public var accessFlag: Bool { raw[10] }

  // Stage 1 leaf.
  @inline(__always) public var attributeIndex: UInt64 { raw[4, 2] }
  @inline(__always) public var unprivileged: Bool { raw[6] }  // AP[1]
  @inline(__always) public var readOnly: Bool { raw[7] }  // AP[2]
  @inline(__always) public var shareability: UInt64 { raw[9, 8] }
  @inline(__always) public var notGlobal: Bool { raw[11] }
  @inline(__always) public var privilegedExecuteNever: Bool { raw[53] }
  @inline(__always) public var unprivilegedExecuteNever: Bool { raw[54] }

  // Stage 1 table.
  @inline(__always) public var tablePrivilegedExecuteNever: Bool { raw[59] }
  @inline(__always) public var tableUnprivilegedExecuteNever: Bool { raw[60] }
  @inline(__always) public var tableNoUnprivileged: Bool { raw[61] }  // APTable[0]
  @inline(__always) public var tableReadOnly: Bool { raw[62] }  // APTable[1]

  // Stage 2 leaf.
  @inline(__always) public var stage2MemAttr: UInt64 { raw[5, 2] }
  @inline(__always) public var stage2Read: Bool { raw[6] }  // S2AP[0]
  @inline(__always) public var stage2Write: Bool { raw[7] }  // S2AP[1]
  @inline(__always) public var stage2ExecuteNever: UInt64 { raw[54, 53] }
}
