// SPDX-License-Identifier: MIT
import SMMUSpec

/// Memory type, cacheability, allocation hints and shareability (§13.1).
public struct MemoryAttributes: Equatable, Sendable {
  /// As in a MAIR byte (DDI 0487, MAIR_ELx.Attr).
  public var mair: UInt8
  /// 0 non-shareable, 2 outer, 3 inner shareable.
  public var shareability: UInt8

  @inline(__always)
  public init(mair: UInt8, shareability: UInt8) {
    self.mair = mair
    self.shareability = shareability
  }

  /// What an access without attributes of its own has (§13.1.3).
  public static var incoming: MemoryAttributes { MemoryAttributes(mair: 0xff, shareability: 0) }
}

/// One level of cacheability of Normal memory, strongest first.
private struct Cacheability: Equatable {
  enum Policy: UInt8 { case none, writeThrough, writeBack }
  var policy: Policy
  var readAllocate = true
  var writeAllocate = true
  var transient = false

  /// A nibble of a MAIR byte. Inner 0b0000 is a reserved encoding that acts as transient
  /// write-through with both hints (§5.4 MAIR0).
  init(_ nibble: UInt8) {
    switch nibble & 0xc {
    case 0x0: policy = .writeThrough
    case 0x4: policy = nibble == 4 ? .none : .writeBack
    case 0x8: policy = .writeThrough
    default: policy = .writeBack
    }
    transient = nibble & 8 == 0 && policy != .none
    readAllocate = nibble & 2 != 0 || nibble == 0
    writeAllocate = nibble & 1 != 0 || nibble == 0
  }

  init(_ policy: Policy) { self.policy = policy }

  var nibble: UInt8 {
    let hints: UInt8 = (readAllocate ? 2 : 0) | (writeAllocate ? 1 : 0)
    // No allocation and transient is plain no allocation (§13.1.7).
    let isTransient = transient && hints != 0
    return switch policy {
    case .none: 0x4
    case .writeThrough: (isTransient ? 0x0 : 0x8) | hints
    case .writeBack: (isTransient ? 0x4 : 0xc) | hints
    }
  }
}

/// Memory attributes taken apart.
private enum MemoryType: Equatable {
  /// 0 nGnRnE, 1 nGnRE, 2 nGRE, 3 GRE: the lower, the stronger.
  case device(UInt8)
  case normal(outer: Cacheability, inner: Cacheability)

  init(mair: UInt8) {
    self =
      mair & 0xf0 == 0
      ? .device(mair >> 2 & 3)
      : .normal(outer: Cacheability(mair >> 4), inner: Cacheability(mair & 0xf))
  }

  var mair: UInt8 {
    switch self {
    case .device(let kind): kind << 2
    case .normal(let outer, let inner): outer.nibble << 4 | inner.nibble
    }
  }

  /// Stage 2 MemAttr without S2FWB, as in STE.MemAttr and GBPA.MemAttr too (D8.6.5). 0b0100, 0b1000
  /// and 0b1100 act as Device-nGnRnE (§5.2 MemAttr).
  init(memAttr: UInt8) {
    func level(_ bits: UInt8) -> Cacheability {
      Cacheability(bits == 1 ? .none : bits == 2 ? .writeThrough : .writeBack)
    }
    let outer = memAttr >> 2 & 3
    let inner = memAttr & 3
    if outer == 0 {
      self = .device(inner)
    } else if inner == 0 {
      self = .device(0)
    } else {
      self = .normal(outer: level(outer), inner: level(inner))
    }
  }

  /// Device and Normal Non-cacheable throughout are always outer shareable (§13.1.7).
  var isOuterShareableOnly: Bool {
    switch self {
    case .device: true
    case .normal(let outer, let inner): outer.policy == .none && inner.policy == .none
    }
  }
}

extension MemoryAttributes {
  private init(_ type: MemoryType, _ shareability: UInt8) {
    // 0b01 acts as 0b00 wherever it is reserved.
    self.init(
      mair: type.mair,
      shareability: type.isOuterShareableOnly ? 2 : shareability == 1 ? 0 : shareability)
  }

  private var type: MemoryType { MemoryType(mair: mair) }

  /// The attributes in canonical form: reserved encodings replaced, hints consistent.
  var canonical: MemoryAttributes { MemoryAttributes(type, shareability) }

  /// Whether a stage 2 mapping is Device memory: what S2PTW looks at.
  static func isDevice(stage2 memAttr: UInt8, forced: Bool) -> Bool {
    forced
      ? memAttr & 4 == 0 || memAttr & 7 == 4
      : MemoryType(memAttr: memAttr).isDevice
  }

  /// MTCFG, ALLOCCFG and SHCFG of an STE or of GBPA (§13.2, §5.2, §6.3.14). The encodings of SHCFG
  /// are those of shareability, with 1 for "as it came".
  func overridden(mtcfg: Bool, memAttr: UInt8, alloccfg: UInt8, shcfg: UInt8) -> MemoryAttributes {
    var type = mtcfg ? MemoryType(memAttr: memAttr).hinted(by: self.type) : self.type
    if alloccfg & 8 != 0, case .normal(var outer, var inner) = type {
      outer.hint(alloccfg)
      inner.hint(alloccfg)
      type = .normal(outer: outer, inner: inner)
    }
    // What comes as Device or Non-cacheable comes as outer shareable (§13.1.4).
    return MemoryAttributes(type, shcfg == 1 ? canonical.shareability : shcfg)
  }

  /// Stage 1: MAIR and the leaf replace type and shareability; allocation hints of a cacheable
  /// access are combined with MAIR's (§13.4.2).
  func replaced(mair: UInt8, shareability: UInt8) -> MemoryAttributes {
    guard case .normal(var outer, var inner) = MemoryType(mair: mair) else {
      return MemoryAttributes(MemoryType(mair: mair), shareability)
    }
    if case .normal(let incomingOuter, let incomingInner) = type {
      outer.combineHints(incomingOuter)
      inner.combineHints(incomingInner)
    }
    return MemoryAttributes(.normal(outer: outer, inner: inner), shareability)
  }

  /// Stage 2 on top: the stronger of both, or what S2FWB forces (D8.6.5, D8.6.6, §13.1.5, §13.1.6).
  func combined(stage2 memAttr: UInt8, shareability other: UInt8, forced: Bool) -> MemoryAttributes
  {
    let type =
      forced ? self.type.forced(memAttr) : self.type.stronger(MemoryType(memAttr: memAttr))
    return MemoryAttributes(type, Self.wider(shareability, other))
  }

  /// Outer over inner over none.
  private static func wider(_ a: UInt8, _ b: UInt8) -> UInt8 {
    if a == 2 || b == 2 { return 2 }
    return a == 3 || b == 3 ? 3 : 0
  }
}

extension Cacheability {
  fileprivate mutating func hint(_ alloccfg: UInt8) {
    guard policy != .none else { return }
    readAllocate = alloccfg & 4 != 0
    writeAllocate = alloccfg & 2 != 0
    transient = alloccfg & 1 != 0
  }

  fileprivate mutating func combineHints(_ other: Cacheability) {
    guard policy != .none && other.policy != .none else { return }
    readAllocate = readAllocate && other.readAllocate
    writeAllocate = writeAllocate && other.writeAllocate
    transient = transient || other.transient
  }

  /// Another level's policy with this one's hints, where both are cacheable.
  fileprivate func lending(to other: Cacheability) -> Cacheability {
    guard policy != .none && other.policy != .none else { return other }
    var result = self
    result.policy = other.policy
    return result
  }

  /// The weaker cacheability with this level's hints, or full allocation if it had none.
  fileprivate func weakened(to policy: Policy) -> Cacheability {
    var result = self.policy == .none ? Cacheability(policy) : self
    result.policy = policy
    return result
  }
}

extension MemoryType {
  /// With the hints of what came, at each level where both are cacheable: ALLOCCFG alone overrides
  /// them (§5.2 ALLOCCFG, §13.1.3).
  fileprivate func hinted(by other: MemoryType) -> MemoryType {
    guard case .normal(let outer, let inner) = self,
      case .normal(let otherOuter, let otherInner) = other
    else { return self }
    return .normal(
      outer: otherOuter.lending(to: outer), inner: otherInner.lending(to: inner))
  }

  fileprivate var isDevice: Bool {
    if case .device = self { true } else { false }
  }

  fileprivate func stronger(_ stage2: MemoryType) -> MemoryType {
    switch (self, stage2) {
    case (.device(let a), .device(let b)): .device(min(a, b))
    case (.device, _): self
    case (_, .device): stage2
    case (.normal(let outer, let inner), .normal(let outer2, let inner2)):
      .normal(
        outer: outer.weakened(to: outer.weaker(outer2)),
        inner: inner.weakened(to: inner.weaker(inner2)))
    }
  }

  /// S2FWB = 1 (D8.6.6): 0b0xx Device, 0b101 Non-cacheable, 0b110 write-back, 0b111 stage 1's.
  fileprivate func forced(_ memAttr: UInt8) -> MemoryType {
    switch memAttr & 7 {
    case 0...3: return stronger(.device(memAttr & 3))
    case 5:
      let none = Cacheability(.none)
      return stronger(.normal(outer: none, inner: none))
    case 6:
      guard case .normal(let outer, let inner) = self else {
        let back = Cacheability(.writeBack)
        return .normal(outer: back, inner: back)
      }
      return .normal(
        outer: outer.weakened(to: .writeBack), inner: inner.weakened(to: .writeBack))
    case 7: return self
    default: return .device(0)
    }
  }
}

extension Cacheability {
  fileprivate func weaker(_ other: Cacheability) -> Policy {
    policy.rawValue < other.policy.rawValue ? policy : other.policy
  }
}
