// SPDX-License-Identifier: MIT
import SMMUSpec

@testable import SMMUModel

extension TranslationCache {
  /// `insert` under the lock.
  func insert(
    _ address: UInt64, _ tag: TranslationTag, _ translation: CachedTranslation, time: UInt32,
    _ machine: any Machine
  ) {
    lock.lock()
    insert(address, tag, translation, time: time)
    lock.unlock()
  }
}

extension TranslationCache {
  /// By a tag whose owner is made for it.
  func lookUp(_ address: UInt64, _ tag: TranslationTag) -> CachedTranslation? {
    lookUp(address, TranslationOwner(tag))
  }
}
