// SPDX-License-Identifier: MIT

/// What software writes for an SMMU to read, by the names of the architecture.
public enum Structure: UInt8, CaseIterable, Sendable {
  case level1StreamTableDescriptor
  case streamTableEntry
  case level1ContextDescriptor
  case contextDescriptor
  case translationDescriptor
  case command

  public var name: StaticString {
    switch self {
    case .level1StreamTableDescriptor: "L1STD"
    case .streamTableEntry: "STE"
    case .level1ContextDescriptor: "L1CD"
    case .contextDescriptor: "CD"
    case .translationDescriptor: "descriptor"
    case .command: "command"
    }
  }
}

/// Why something that software wrote is refused: a field whose value a rule does not allow. Made
/// only where somebody asks, by a second look at what was refused.
public struct Violation: Equatable, Sendable {
  public let structure: Structure
  public let field: Field
  public let value: UInt64
  /// The rule's place in IHI 0070, as "§4.1.6".
  public let clause: StaticString

  public init(_ structure: Structure, field: Field, value: UInt64, clause: StaticString) {
    self.structure = structure
    self.field = field
    self.value = value
    self.clause = clause
  }

  /// Of a field in the layout that was refused.
  @inline(never)
  public init(
    _ structure: Structure, in layout: some Layout, field: Field, clause: StaticString
  ) {
    self.init(structure, field: field, value: layout[field], clause: clause)
  }

  public static func == (a: Violation, b: Violation) -> Bool {
    a.structure == b.structure && a.field == b.field && a.value == b.value
      && a.clause.isSame(as: b.clause)
  }
}

extension StaticString {
  /// Whether both have the same characters.
  fileprivate func isSame(as other: StaticString) -> Bool {
    guard utf8CodeUnitCount == other.utf8CodeUnitCount else { return false }
    for i in 0..<utf8CodeUnitCount where utf8Start[i] != other.utf8Start[i] { return false }
    return true
  }
}
