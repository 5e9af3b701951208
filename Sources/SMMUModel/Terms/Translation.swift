// SPDX-License-Identifier: MIT
import SMMUSpec

/// The answer to an access. Four words, so that it travels in registers.
public struct Translation: Equatable, Sendable {
  public enum Kind: UInt8, Sendable {
    case ok = 0
    /// The client sees a bus error.
    case abort = 1
    /// The client reads zeros, loses its writes and sees success (§3.12.1).
    case razwi = 2
    /// No answer: the stream's configuration is not cached.
    case unknown = 3
  }

  /// Output address.
  public var address: UInt64
  /// Bytes from `address` on that the translation covers.
  public var length: UInt64
  /// Since when it may be stale: who keeps it drops it with a notice of this generation or a later
  /// one. 0 is not to be kept.
  public var generation: UInt64
  /// log2 of the page [7:0], permissions [15:8], kind [23:16], event [31:24], MAIR [39:32],
  /// shareability [47:40].
  private var facts: UInt64

  /// An access may go on; its attributes are as they came.
  @inline(__always)
  init(
    address: UInt64, length: UInt64, pageBits: UInt64, permissions: UInt64, generation: UInt64 = 0
  ) {
    self.address = address
    self.length = length
    self.generation = generation
    facts = pageBits | permissions &<< 8 | 0xff &<< 32
  }

  /// An access ends.
  @inline(__always)
  init(_ kind: Kind, event: EventKind? = nil) {
    (address, length, generation) = (0, 0, 0)
    facts = UInt64(kind.rawValue) &<< 16 | UInt64(event?.rawValue ?? 0) &<< 24 | 0xff &<< 32
  }

  @inline(__always)
  static var unknown: Translation { Translation(.unknown) }

  @inline(__always)
  public var kind: Kind {
    get { Kind(rawValue: UInt8(truncatingIfNeeded: facts &>> 16)) ?? .abort }
    set { facts[23, 16] = UInt64(newValue.rawValue) }
  }

  @inline(__always)
  public var isUnknown: Bool { facts &>> 16 & 0xff == 3 }

  /// log2 of the bytes of the naturally aligned mapping around `address`.
  @inline(__always)
  public var pageBits: UInt8 { UInt8(truncatingIfNeeded: facts) }

  /// What this privilege may do here: read 1, write 2, execute 4.
  @inline(__always)
  public var permissions: UInt8 {
    get { UInt8(truncatingIfNeeded: facts &>> 8) }
    set { facts[15, 8] = UInt64(newValue) }
  }

  /// The event that describes the fault, recorded or not.
  @inline(__always)
  public var event: EventKind? {
    get { EventKind(rawValue: UInt8(truncatingIfNeeded: facts &>> 24)) }
    set { facts[31, 24] = UInt64(newValue?.rawValue ?? 0) }
  }

  @inline(__always)
  public var attributes: MemoryAttributes {
    get {
      MemoryAttributes(
        mair: UInt8(truncatingIfNeeded: facts &>> 32),
        shareability: UInt8(truncatingIfNeeded: facts &>> 40))
    }
    set {
      facts[39, 32] = UInt64(newValue.mair)
      facts[47, 40] = UInt64(newValue.shareability)
    }
  }

  /// The numbers of kind and event, for who hands them on as such.
  @inline(__always)
  public var numbers: (kind: UInt8, event: UInt8) {
    (UInt8(truncatingIfNeeded: facts &>> 16), UInt8(truncatingIfNeeded: facts &>> 24))
  }
}
