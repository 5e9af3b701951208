// SPDX-License-Identifier: MIT
import SMMUSpec

@testable import SMMUModel

extension TranslationCache {
  /// By a tag whose owner is made for it.
  func insert(
    _ address: UInt64, _ tag: TranslationTag, _ translation: CachedTranslation, time: UInt32
  ) {
    insert(
      address, tag: tag, seed: TranslationOwner.seed(tag.key), translation: translation, time: time)
  }

  func lookUp(_ address: UInt64, _ tag: TranslationTag) -> CachedTranslation? {
    lookUp(address, TranslationOwner(tag))
  }
}

extension CachedTranslation {
  /// Of both stages, whose leaves are equal.
  init(
    output: UInt64, size: Int, permissions: Permissions, stage1Attributes: UInt8,
    stage1Shareability: UInt8, stage2Attributes: UInt8, stage2Shareability: UInt8
  ) {
    let stage1 = CachedTranslation(
      page: output, size: size, permissions: permissions, stage1Attributes: stage1Attributes,
      stage1Shareability: UInt64(stage1Shareability))
    let stage2 = CachedTranslation(
      page: output, size: size, permissions: permissions,
      stage2Attributes: UInt64(stage2Attributes),
      stage2Shareability: UInt64(stage2Shareability))
    self = stage1.joined(stage2, at: IntermediateAddress(output))
  }
}
