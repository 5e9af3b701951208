// SPDX-License-Identifier: MIT
import SMMUSpec

/// An SMMU that needs each batch of TLBI and CFGI commands twice, with a CMD_SYNC after each: the
/// first time leaves everything in its caches. The commands of a batch that was not here before are
/// held back, and go to the SMMU when it comes again.
struct RepeatErratum {
  /// More than the blocks of the largest IOMMU_HWPT_INVALIDATE; the oldest are dropped, and
  /// stay without effect.
  private static var capacity: Int { 8400 }

  /// Bytes of its row of batches, which may grow.
  static var needed: Int { 4 * capacity * MemoryLayout<[CommandWords]>.stride }

  private var held: [[CommandWords]] = []

  init() {}

  /// The commands that take effect now.
  mutating func pass(_ commands: [CommandWords], _ features: Features) -> [CommandWords] {
    let subject = commands.filter { Self.needsRepeat($0, features) }
    guard !subject.isEmpty else { return commands }
    for i in held.indices where held[i] == subject {
      held.remove(at: i)
      return commands
    }
    if held.count == Self.capacity { held.removeFirst() }
    held.append(subject)
    return commands.filter { !Self.needsRepeat($0, features) }
  }

  private static func needsRepeat(_ words: CommandWords, _ features: Features) -> Bool {
    guard let command = CommandDecoder(features).decode(words) else { return false }
    return command.effect(features) != .none
  }
}
