// SPDX-License-Identifier: MIT
import SMMUBase

/// Hears what the host's operator should know.
public protocol NestingListener: AnyObject {
  /// `sentence` is good for the call alone (`Sentence.onStack`).
  func hostSays(_ sentence: Sentence)
}
