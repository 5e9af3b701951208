// SPDX-License-Identifier: MIT
import SMMUSpec

/// From a StreamID and SubstreamID to what governs the transaction (§3.3.2), in the order of faults
/// of §7.3.22.
extension SMMU {
  /// Finds the cached configuration, or fetches one, which is then cached. On a fault `found` is as
  /// much as was known: the STE, if it was valid.
  func configure(
    _ access: Access, _ found: inout StreamConfiguration?
  ) throws(Fault) -> StreamConfiguration {
    if let cached = configurations.configuration(of: access) {
      found = cached
      return cached
    }
    counters.add(.configurationMisses)
    let time = configurations.now
    let fetched = try fetchConfiguration(access, &found)
    found = fetched
    configurations.insert(access, fetched, time: time, machine)
    return fetched
  }

  private func fetchConfiguration(
    _ access: Access, _ found: inout StreamConfiguration?
  ) throws(Fault) -> StreamConfiguration {
    let ste = try fetchSTE(access.stream)
    guard ste.isValid(features) else { throw Fault(event: .badSTE) }
    let substream = access.flags.contains(.substream) ? access.substream : nil
    let (policy, context) = try StreamPolicy.decide(ste, substream, features)
    let withoutContext = StreamConfiguration(policy, ste, ContextDescriptor(), features)
    guard case .descriptor(let index) = context else { return withoutContext }
    found = withoutContext
    let cd = try fetchCD(ste, index)
    guard cd.isValid(features) else { throw Fault(event: .badCD) }
    return StreamConfiguration(policy, ste, cd, features)
  }
}
