// SPDX-License-Identifier: MIT
import SMMUSpec

/// Why an access ends: an event with its own fields (§7.3), or an abort that is told to no one.
struct Fault: Error {
  /// nil: silent.
  var event: EventKind?
  var stage2 = false
  var accessClass = AccessClass.input
  /// Of a stage 2 fault.
  var ipa = IntermediateAddress(0)
  /// Of an external abort.
  var fetchAddress = PhysicalAddress(0)
  /// An atomic that may write but not read (§16.7.6).
  var missesRead = false

  static var silent: Fault { Fault(event: nil) }

  @inline(never)
  static func fetch(_ event: EventKind, _ address: PhysicalAddress) -> Fault {
    Fault(event: event, fetchAddress: address)
  }
}

/// A descriptor of a translation table: where it is, and what was read there.
struct FoundDescriptor: Equatable {
  let level: Int
  let address: PhysicalAddress
  let value: UInt64
}

/// Told what a translation finds on its way, where somebody asks for that.
final class Observer {
  /// The rule that a structure breaks.
  var violation: Violation?
  /// The descriptor that a walk ended at.
  var descriptor: FoundDescriptor?
}

/// What a stage of translation is done for: what its faults report.
struct WalkPurpose {
  let stage2: Bool
  let accessClass: AccessClass
  let ipa: IntermediateAddress

  /// Stage 1 for the access itself.
  @inline(__always)
  static var stage1: WalkPurpose {
    WalkPurpose(stage2: false, accessClass: .input, ipa: IntermediateAddress(0))
  }

  @inline(never)
  func fault(_ event: EventKind) -> Fault {
    Fault(event: event, stage2: stage2, accessClass: accessClass, ipa: ipa)
  }

  /// An external abort on a descriptor (§7.3.12): of stage 1 it is CLASS TT, of stage 2 the class
  /// of what the walk was for.
  @inline(never)
  func abort(_ address: PhysicalAddress) -> Fault {
    Fault(
      event: .walkAbort, stage2: stage2, accessClass: stage2 ? accessClass : .translationTable,
      fetchAddress: address)
  }
}
