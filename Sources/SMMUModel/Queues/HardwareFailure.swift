// SPDX-License-Identifier: MIT

/// Why hardware could not be made to follow.
public enum HardwareFailure: Error, Equatable, Sendable {
  /// It has told why.
  case refused
  /// An endpoint did not answer a CMD_ATC_INV (§3.9.1.4). All else is carried out.
  case endpointTimeout
}
