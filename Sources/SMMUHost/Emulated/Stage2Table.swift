// SPDX-License-Identifier: MIT
import SMMUSpec

/// A stage 2 translation table in the emulated host's memory, where a physical address is a pointer
/// of this process.
final class Stage2Table {
  /// What an STE says of it: S2T0SZ, S2SL0, S2IR0 ..., S2PS, S2TTB (words 2 and 3, no S2VMID).
  var words: (UInt64, UInt64) { fatalError("not yet") }

  init(outputBits: Int) { fatalError("not yet") }

  /// All multiples of 4096; the range is not mapped.
  func map(_ ipa: UInt64, to physical: UInt64, length: UInt64, readable: Bool, writable: Bool) {
    fatalError("not yet")
  }

  /// The caller invalidates TLBs.
  func unmap(_ ipa: UInt64, length: UInt64) { fatalError("not yet") }
}
