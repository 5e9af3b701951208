// SPDX-License-Identifier: MIT

/// Bytes that calls may allocate, with the sentence of a refusal.
public enum Need {
  /// One that makes a few objects.
  public static var call: Int { 64 << 10 }
}
