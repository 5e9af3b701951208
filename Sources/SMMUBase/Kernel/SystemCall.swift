// SPDX-License-Identifier: MIT

/// The calls of `Kernel`.
public enum SystemCall: UInt8, CaseIterable, Sendable {
  case open, close, control, read, write, poll, duplicate, same, map, unmap
}
