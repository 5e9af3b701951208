// SPDX-License-Identifier: MIT
import SMMUSpec

/// An access on its way through steps 2 to 6 (`Translate.swift`). It stays in one place in memory:
/// each step takes of it what it needs.
struct Passage {
  let access: Access
  let start: TranslationStart
  /// Of the configuration cache, read before `start`; closed where nothing is kept there.
  var configurationTime = InvalidationClock.closed
  /// Unknown until there is a configuration.
  var plan: StreamPlan
  var walk: Walk

  /// The address that the access has for TLB and tables; nil in a disabled half.
  @inline(__always)
  var key: InputAddress? { plan.key(access.address) }

  @inline(__always)
  var isUpper: Bool { InputAddress(access.address).isUpper }
}
