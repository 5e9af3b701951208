// SPDX-License-Identifier: MIT

/// When a translation began, in the time of each cache, and the state of registers that it goes by.
///
/// The times are read before the state, and the state before anything is looked up: what was found
/// by way of registers, a configuration or a table that were replaced meanwhile belongs to a time
/// that has passed, and is not kept.
struct TranslationStart {
  let generation: UInt64
  let time: UInt32
  let configurationTime: UInt32
  let walkEpoch: UInt32
  let state: ControlState

  /// Inside an access.
  @inline(__always)
  init(_ smmu: SMMU) {
    generation = smmu.micro.table.generation
    time = smmu.tlb.now
    configurationTime = smmu.configurations.now
    walkEpoch = smmu.walks.table.now
    state = smmu.control.state
  }
}
