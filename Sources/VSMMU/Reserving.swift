// SPDX-License-Identifier: MIT
import CSupport
import SMMUHost
import SMMUModel

extension Refusal {
  static var noMemory: Refusal {
    Refusal(vsmmu_support_enomem, Sentence("there is no memory for what this call needs"))
  }

  /// A refusal whose sentence is put together; without memory for that, a refusal for that.
  static func saying(_ code: Int32, _ write: (inout Sentence) -> Void) -> Refusal {
    var isWritten = false
    let sentence = Sentence(or: "") {
      write(&$0)
      isWritten = true
    }
    return isWritten ? Refusal(code, sentence) : noMemory
  }
}

/// Bytes that calls may allocate, with the sentence of a refusal.
enum Need {
  /// One that makes a few objects.
  static var call: Int { 64 << 10 }
  /// An instance beside its caches, which are `tlbEntries` of 32 bytes and `configurationEntries`
  /// of 128.
  static var instance: Int { 1 << 20 }
  /// An assigned device in the arrays that name it, which may be copied and grow.
  static var assigned: Int { 2 << 10 }
  /// A StreamID in the directory, whose array doubles.
  static var stream: Int { 12 }
  /// An SMMU or a device of an emulated host's, but for what `PhysicalSMMU` reserves by itself.
  static var part: Int { 1 << 10 }
}

extension Instance {
  /// Runs a part of a serial call that allocates.
  func covering<R>(
    streams: Int = 0, _ body: () throws(Refusal) -> R
  ) throws(Refusal) -> R {
    let bytes = Need.call + virtual.streams.assignedCount * Need.assigned + streams * Need.stream
    return try reserving(bytes, orThrow: Refusal.noMemory, body)
  }
}
