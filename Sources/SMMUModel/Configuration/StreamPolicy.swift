// SPDX-License-Identifier: MIT
import SMMUSpec

/// What a stream becomes. The one decision, for software and hardware alike (§3.3.2, §5.2 Config).
enum StreamPolicy: UInt8, Sendable {
  case abort = 0
  case bypass = 1
  case stage1 = 2
  case stage2 = 3
  case nested = 4

  @inline(__always) var usesTables: Bool { rawValue >= Self.stage1.rawValue }
  @inline(__always) var usesStage1: Bool { self == .stage1 || self == .nested }
  @inline(__always) var usesStage2: Bool { self == .stage2 || self == .nested }

  /// Where the context of a transaction is, or why there is none.
  enum Context: Equatable {
    /// No context: stage 1 is off or bypassed.
    case none
    case descriptor(SubstreamID)
  }

  /// What a valid STE asks for, whatever the transaction (§5.2 Config).
  init(_ ste: StreamTableEntry) {
    switch ste[StreamTableEntry.config] {
    case 0b100: self = .bypass
    case 0b101: self = .stage1
    case 0b110: self = .stage2
    case 0b111: self = .nested
    default: self = .abort
    }
  }

  /// What a stream becomes that hardware translates. Stage 2 is the host's, so an STE with one of
  /// its own aborts, and so does one that is ILLEGAL: of neither hardware tells anyone.
  static func assigned(_ ste: StreamTableEntry, _ features: Features) -> StreamPolicy {
    guard ste.isValid(features) else { return .abort }
    let policy = StreamPolicy(ste)
    return policy.usesStage2 ? .abort : policy
  }

  /// For a valid STE and the SubstreamID of a transaction, nil if it has none.
  static func decide(
    _ ste: StreamTableEntry, substream: SubstreamID?, features: Features
  ) throws(Fault) -> (StreamPolicy, Context) {
    let policy = StreamPolicy(ste)
    switch policy {
    case .abort: return (.abort, .none)
    case .bypass, .stage2:
      if substream != nil { throw Fault(event: .badSubstreamID) }
      return (policy, .none)
    case .stage1, .nested:
      let context = try context(ste, substream: substream, features: features)
      guard context == .none else { return (policy, context) }
      // S1DSS bypass leaves stage 2 alone, or nothing (§5.2 S1DSS).
      return (policy == .nested ? .stage2 : .bypass, .none)
    }
  }

  /// S1CDMax and S1DSS (§5.2): which CD, or which fault.
  private static func context(
    _ ste: StreamTableEntry, substream: SubstreamID?, features: Features
  ) throws(Fault) -> Context {
    let bits =
      features.substreamIDBits == 0 ? 0 : Int(truncatingIfNeeded: ste[StreamTableEntry.s1cdMax])
    guard bits > 0 else {
      if substream != nil { throw Fault(event: .badSubstreamID) }
      return .descriptor(0)
    }
    let mode = ste[StreamTableEntry.s1dss]
    guard let substream else {
      switch mode {
      case 0b01: return .none
      case 0b10: return .descriptor(0)
      default: throw Fault(event: .streamDisabled)
      }
    }
    if UInt64(substream) > UInt64.ones(bits) { throw Fault(event: .badSubstreamID) }
    if substream == 0 && mode == 0b10 { throw Fault(event: .streamDisabled) }
    return .descriptor(substream)
  }
}
