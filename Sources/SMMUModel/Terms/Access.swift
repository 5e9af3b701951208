// SPDX-License-Identifier: MIT
import SMMUSpec

/// What kind of access a transaction is.
public struct AccessFlags: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static var write: AccessFlags { AccessFlags(rawValue: 1) }
  public static var instruction: AccessFlags { AccessFlags(rawValue: 2) }
  public static var privileged: AccessFlags { AccessFlags(rawValue: 4) }
  /// `substream` is valid: the transaction has SSV = 1.
  public static var substream: AccessFlags { AccessFlags(rawValue: 8) }
  /// Reads and writes.
  public static var atomic: AccessFlags { AccessFlags(rawValue: 16) }
  /// Never recorded, always aborted where it fails (§3.14).
  public static var speculative: AccessFlags { AccessFlags(rawValue: 32) }
  /// Attributes come with the access and are wanted of the result.
  public static var attributes: AccessFlags { AccessFlags(rawValue: 64) }

  /// No access but a look at what one would come to: nothing is recorded, counted or kept.
  public static var inspect: AccessFlags { AccessFlags(rawValue: 128) }

  public static var all: AccessFlags { AccessFlags(rawValue: 255) }
  /// Those that the micro TLB knows.
  public static var common: AccessFlags { AccessFlags(rawValue: 127 & ~(16 | 64)) }
}

/// One incoming transaction (§3.2).
public struct Access: Sendable {
  public var stream: StreamID
  public var substream: SubstreamID
  public var flags: AccessFlags
  public var address: UInt64
  public var attributes: MemoryAttributes

  @inline(__always)
  public init(
    stream: StreamID, substream: SubstreamID = 0, flags: AccessFlags = [], address: UInt64,
    attributes: MemoryAttributes = .incoming
  ) {
    self.stream = stream
    self.substream = substream
    self.flags = flags
    self.address = address
    self.attributes = attributes
  }

  /// An atomic is a write that reads.
  @inline(__always)
  var writes: Bool { !flags.isDisjoint(with: [.write, .atomic]) }
  @inline(__always)
  var reads: Bool { !flags.contains(.write) || flags.contains(.atomic) }
}

/// Privilege and kind of an access after the STE or GBPA had their say (§13.1.2, §5.2).
struct EffectiveAccess {
  let privileged: Bool
  let instruction: Bool

  /// `privcfg` and `instcfg`: 0 and 1 keep what came, 2 and 3 override. Writes are always data.
  @inline(__always)
  init(_ access: Access, privcfg: UInt64, instcfg: UInt64) {
    privileged = privcfg & 2 != 0 ? privcfg & 1 != 0 : access.flags.contains(.privileged)
    let marked = instcfg & 2 != 0 ? instcfg & 1 != 0 : access.flags.contains(.instruction)
    instruction = marked && !access.writes
  }
}
