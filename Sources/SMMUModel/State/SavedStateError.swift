// SPDX-License-Identifier: MIT
import SMMUSpec

/// Why bytes are no saved state of this SMMU.
public enum SavedStateError: Error, Equatable, Sendable {
  case truncated, notASavedState, damaged
  case newer(version: UInt32)
  /// A section that no part of this SMMU has.
  case unknownSection(SectionName)
  case newerSection(SectionName, version: UInt32)
  case repeatedSection(SectionName)
  /// A section behind one that it belongs before.
  case misplacedSection(SectionName)
  case missingSection(SectionName)
  /// A section that does not consist of what it should.
  case malformedSection(SectionName)
  /// A register that this device does not have, or a value that it cannot hold.
  case unknown(offset: UInt32)
  /// A register that is there twice.
  case repeated(offset: UInt32)
  /// An ID register that differs: in this field at first.
  case differs(IdentificationRegister, field: Field, saved: UInt32, own: UInt32)
}
