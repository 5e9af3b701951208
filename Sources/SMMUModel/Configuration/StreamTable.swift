// SPDX-License-Identifier: MIT
import SMMUSpec

/// Finding and fetching a Stream Table Entry (§3.3.1, §6.3.24, §6.3.25).
extension ConfigurationReader {
  func fetchSTE(_ stream: StreamID) throws(Fault) -> StreamTableEntry {
    let base = state.streamTable & StreamTableBase.addr.mask
    let config = state.streamTableConfig
    // The base is aligned by the size as written; the range is capped to what exists.
    let written = Int(truncatingIfNeeded: config & StreamTableBaseConfig.log2size.mask)
    let bits = min(written, features.streamIDBits)
    guard UInt64(stream) <= UInt64.ones(bits) else { throw Fault(event: .badStreamID) }
    let isTwoLevel = config[StreamTableBaseConfig.fmt.high, StreamTableBaseConfig.fmt.low] == 1
    let address =
      isTwoLevel
      ? try secondLevel(stream, base: base, config: config, written: written)
      : base.aligned(down: written + 6) &+ UInt64(stream) &* StreamTableEntry.bytes
    var ste = StreamTableEntry()
    let done = loadStructure(PhysicalAddress(address)) { ste.words[$0] = $1 }
    guard done else { throw .fetch(.steFetch, PhysicalAddress(address)) }
    return ste
  }

  /// The STE's address by way of its level 1 descriptor (§5.1).
  private func secondLevel(
    _ stream: StreamID, base: UInt64, config: UInt64, written: Int
  ) throws(Fault) -> UInt64 {
    let encoded = config[StreamTableBaseConfig.split.high, StreamTableBaseConfig.split.low]
    let split = encoded == 8 ? 8 : encoded == 10 ? 10 : 6
    let table = base.aligned(down: max(5, written - split + 2) + 1)
    let index = UInt64(stream) >> UInt64(split)
    let address = PhysicalAddress(table &+ index &* 8)
    let descriptor = Level1StreamTableDescriptor(try descriptor(address, .steFetch))
    let span = Int(truncatingIfNeeded: descriptor[Level1StreamTableDescriptor.span])
    let low = UInt64(stream) & UInt64.ones(split)
    // Span n covers 2^(n-1) STEs; 0 and what reaches past SPLIT cover none.
    guard span != 0, span <= split + 1, low <= UInt64.ones(span - 1) else {
      throw illegal(
        .badStreamID,
        Violation(
          .level1StreamTableDescriptor, in: descriptor, field: Level1StreamTableDescriptor.span,
          clause: "§5.1 Span"))
    }
    let second = descriptor.raw & Level1StreamTableDescriptor.l2ptr.mask
    return second.aligned(down: 6 + span - 1) &+ low &* StreamTableEntry.bytes
  }
}
