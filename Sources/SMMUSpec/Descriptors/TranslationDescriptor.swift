// SPDX-License-Identifier: MIT

/// A VMSAv8-64 translation table descriptor, 48-bit output (DDI 0487 D8.3.1).
public struct TranslationDescriptor: Sendable {
  public let raw: UInt64

  @inline(__always)
  public init(_ raw: UInt64) { self.raw = raw }

  @inline(__always) public var accessFlag: Bool { raw[10] }

  // Stage 1 leaf.
  @inline(__always) public var attributeIndex: UInt64 { raw[4, 2] }
  @inline(__always) public var shareability: UInt64 { raw[9, 8] }
  @inline(__always) public var notGlobal: Bool { raw[11] }

  // Stage 2 leaf.
  @inline(__always) public var stage2MemAttr: UInt64 { raw[5, 2] }
  @inline(__always) public var stage2Read: Bool { raw[6] }  // S2AP[0]
}
