// SPDX-License-Identifier: MIT
import SMMUBase

/// Hears what the host's operator should know.
public protocol NestingListener: AnyObject {
  /// `sentence` is good for the call alone (`Sentence.onStack`).
  func hostSays(_ sentence: Sentence)
  /// A command queue of the guest's own has an error: the interrupt of CMDQ-V.
  func directQueueFailed()
}
