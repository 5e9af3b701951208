// SPDX-License-Identifier: MIT
import SMMUBase

/// A device's memory BAR, which is region 0. What was lent of it can be revoked.
final class EmulatedBAR {
  /// A power of two, a page or more.
  let bytes: UInt64
  /// Made when somebody first wants it.
  private var pages: PhysicalPages?
  /// Memory decode is on, and the device in D0.
  var isDecoded = true
  /// How often all of it was revoked. What was mapped before the last time is a hole.
  private(set) var revocations: UInt64 = 0
  /// How often the device was closed. A dma-buf of an earlier time is never good again.
  private(set) var sessions: UInt64 = 0

  init(bytes: UInt64) { self.bytes = bytes }

  deinit { pages?.deallocate() }

  /// Its memory, which stays where it is.
  func memory() throws(Errno) -> PhysicalPages {
    if let pages { return pages }
    let made = try reserving(2 * Int(bytes) + 64, orThrow: Errno.enomem) {
      () throws(Errno) in PhysicalPages(bytes: Int(bytes))
    }
    pages = made
    return made
  }

  /// Nothing maps it any more.
  func revoked() { revocations &+= 1 }

  /// The next one to open the device finds it as it was at first.
  func closed() {
    sessions &+= 1
    isDecoded = true
  }
}
