// SPDX-License-Identifier: MIT
import SMMUSpec

/// From a StreamID and SubstreamID to what governs the transaction (§3.3.2), in the order of faults
/// of §7.3.22.
struct ConfigurationReader {
  let walker: TableWalker
  let features: Features
  let state: ControlState

  var bus: Bus { walker.bus }

  /// Fetches a configuration. On a fault `configuration` is as much as was known: the STE, if it
  /// was valid.
  func fetch(
    _ access: Access, configuration: inout StreamConfiguration, walk: inout Walk
  ) throws(Fault) {
    try decide(
      try fetchSTE(access.stream), access: access, configuration: &configuration, walk: &walk)
  }

  /// The same of an STE that was fetched.
  @inline(never)
  func decide(
    _ ste: StreamTableEntry, access: Access, configuration: inout StreamConfiguration,
    walk: inout Walk
  ) throws(Fault) {
    if let violation = ste.violation(features) { throw illegal(.badSTE, violation) }
    let substream = access.flags.contains(.substream) ? access.substream : nil
    let (policy, context) = try StreamPolicy.decide(ste, substream: substream, features: features)
    configuration = StreamConfiguration(policy, ste: ste, cd: nil, features: features)
    guard case .descriptor(let index) = context else { return }
    let cd = try fetchCD(ste, substream: index, walk: &walk)
    if let violation = cd.violation(features) { throw illegal(.badCD, violation) }
    configuration = StreamConfiguration(policy, ste: ste, cd: cd, features: features)
  }

  /// A structure breaks a rule.
  @inline(never)
  func illegal(_ event: EventKind, _ violation: Violation) -> Fault {
    walker.observer?.violation = violation
    return Fault(event: event)
  }

  /// One 64-bit descriptor of a 2-level table. Beyond the output size nothing can be read.
  func descriptor(
    _ address: PhysicalAddress, _ event: EventKind
  ) throws(Fault) -> UInt64 {
    guard features.isPhysical(address.raw) else { throw .fetch(event, address) }
    do throws(BusAbort) { return try bus.load64(address) } catch { throw .fetch(event, address) }
  }

  /// 64 bytes as eight 64-bit single-copy atomic loads (§3.21.3); false is an abort. In a system
  /// whose PEs have FEAT_LSE2 they should be of 128 bits: what such a PE changes by one store of
  /// 128 bits may be seen half changed here.
  func loadStructure(_ address: PhysicalAddress, _ use: (Int, UInt64) -> Void) -> Bool {
    guard features.isPhysical(address.raw) else { return false }
    do throws(BusAbort) { try bus.load(address, count: 8, use) } catch { return false }
    return true
  }
}

extension Features {
  /// Whether an address is within the output size.
  @inline(__always)
  func isPhysical(_ address: UInt64) -> Bool { address & ~UInt64.ones(outputBits) == 0 }
}
