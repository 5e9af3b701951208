// SPDX-License-Identifier: MIT
import SMMUSpec

/// From a StreamID and SubstreamID to what governs the transaction (§3.3.2), in the order of faults
/// of §7.3.22.
extension SMMU {
  /// Finds the cached configuration, or fetches one, which is then cached. On a fault it is as much
  /// as was known: the STE, if it was valid.
  func configure(
    _ access: Access, _ configuration: inout StreamConfiguration, _ walker: inout Walker
  ) throws(Fault) {
    if configurations.find(access, &configuration) { return }
    counters.add(.configurationMisses)
    let time = configurations.now
    try fetchConfiguration(access, &configuration, &walker)
    configurations.insert(access, configuration, time: time, machine)
  }

  private func fetchConfiguration(
    _ access: Access, _ configuration: inout StreamConfiguration, _ walker: inout Walker
  ) throws(Fault) {
    let ste = try fetchSTE(access.stream)
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
