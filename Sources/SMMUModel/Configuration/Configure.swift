// SPDX-License-Identifier: MIT
import SMMUSpec

/// From a StreamID and SubstreamID to what governs the transaction (§3.3.2), in the order of faults
/// of §7.3.22.
extension SMMU {
  /// Finds the cached configuration, or fetches one if it may, which is then cached. On a fault it
  /// is as much as was known: the STE, if it was valid.
  func configure(
    _ access: Access, _ configuration: inout StreamConfiguration, _ start: TranslationStart,
    _ walker: inout Walker, mayFetch: Bool
  ) throws(Fault) {
    if configurations.find(access, &configuration) { return }
    guard mayFetch else { throw .unknownStream }
    if configurations.isBarred(access.stream) { throw .silent }
    counters.add(.configurationMisses)
    try fetchConfiguration(access, &configuration, start.state, &walker)
    configurations.insert(access, configuration, time: start.configurationTime)
  }

  private func fetchConfiguration(
    _ access: Access, _ configuration: inout StreamConfiguration, _ state: ControlState,
    _ walker: inout Walker
  ) throws(Fault) {
    let ste = try fetchSTE(access.stream, state)
    guard ste.isValid(features) else { throw Fault(event: .badSTE) }
    let substream = access.flags.contains(.substream) ? access.substream : nil
    let (policy, context) = try StreamPolicy.decide(ste, substream, features)
    configuration = StreamConfiguration(policy, ste, ContextDescriptor(), features)
    guard case .descriptor(let index) = context else { return }
    let cd = try fetchCD(ste, index, &walker)
    guard cd.isValid(features) else { throw Fault(event: .badCD) }
    configuration = StreamConfiguration(policy, ste, cd, features)
  }
}
