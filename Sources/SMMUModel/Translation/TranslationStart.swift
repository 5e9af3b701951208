// SPDX-License-Identifier: MIT

/// When a translation began, in the time of each cache, and the state of registers that it goes by.
///
/// The times are read before the state, and the state before anything is looked up: what was found
/// by way of registers, a configuration or a table that were replaced meanwhile belongs to a time
/// that has passed, and is not kept.
struct TranslationStart {
  let generation: UInt64
  let time: UInt32
  let walkEpoch: UInt32
  let era: ControlEra

  /// Inside an access.
  @inline(__always)
  init(_ translator: Translator) {
    generation = translator.micro.table.generation
    time = translator.tlb.now
    walkEpoch = translator.walker.cache.table.now
    era = translator.control.era
  }
}
