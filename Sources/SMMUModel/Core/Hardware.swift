// SPDX-License-Identifier: MIT
import SMMUSpec

/// What became of a request to hardware, and what it cost.
public struct HardwareResult: Sendable {
  public var isDone: Bool
  public var systemCalls: Int
  /// Streams that were looked at, and have a command each in what goes to hardware.
  public var streams: Int

  public init(isDone: Bool, systemCalls: Int, streams: Int = 0) {
    self.isDone = isDone
    self.systemCalls = systemCalls
    self.streams = streams
  }
}

/// Hardware that works for this SMMU's guest beside the model: what the guest asks of the SMMU must
/// happen there too. Serialised by the caller, and called with the command in effect here already.
///
/// Where something returns false or throws, hardware could not be made to follow: the command queue
/// stops at the command, and tries it again when the guest acknowledges the error.
public protocol Hardware: AnyObject {
  /// A TLBI, CFGI_CD, CFGI_CD_ALL or ATC_INV. May be carried out as late as `synchronize`, in
  /// order.
  func invalidate(_ command: Command) -> Bool
  /// STEs may have changed; all that was asked before is to be carried out first.
  func configurationChanged(first: StreamID, last: StreamID) -> HardwareResult
  /// CMD_SYNC: all that was asked is carried out. An endpoint's timeout is told here alone, and
  /// once: the CMD_ATC_INV that met it is not asked again.
  func synchronize() throws(HardwareFailure)
  /// CR0.SMMUEN or GBPA changed: what all streams become.
  func bypassChanged()
  /// Reset or restored: caches begin cold, and the rest follows the registers that there are now.
  func everythingChanged()
  /// CR0.EVENTQEN changed, or the queue's size with it.
  func eventQueueChanged()
}
