// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUHost
import VSMMUShared

extension Need {
  /// An instance beside its caches, which are `tlbEntries` of 32 bytes and `configurationEntries`
  /// of 128.
  static var instance: Int { 1 << 20 }
  /// An assigned device in the arrays that name it, which may be copied and grow.
  static var assigned: Int { 2 << 10 }
  /// A region of RAM in the list of them, likewise.
  static var region: Int { 256 }
  /// A StreamID in the directory, whose array doubles.
  static var stream: Int { 12 }
}

extension Instance {
  /// Runs a part of a serial call that allocates.
  func covering<R>(
    streams: Int = 0, _ body: () throws(Refusal) -> R
  ) throws(Refusal) -> R {
    let bytes =
      Need.call + virtual.streams.assignedCount * Need.assigned + streams * Need.stream
      + virtual.regionCount * Need.region
    return try reserving(bytes, orThrow: Refusal.noMemory, body)
  }
}
