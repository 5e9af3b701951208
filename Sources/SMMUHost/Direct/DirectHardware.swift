// SPDX-License-Identifier: MIT

/// What stands behind a guest's frame of CMDQ-V.
protocol DirectHardware: AnyObject {
  /// Page 0 of the hardware's interface, nil while there is none.
  var directPage: UnsafeMutableRawPointer? { get }
  /// Has the hardware drive a queue of the guest's, whose memory is `length` bytes at a guest
  /// physical address. Queues are made from 0 upwards. False if the kernel does not.
  func makeDirectQueue(_ index: Int, at address: UInt64, length: UInt64) -> Bool
  /// Queues are given back from the last downwards.
  func giveBackDirectQueue(_ index: Int)
}

/// What the guest is told of the hardware.
struct DirectShape: Equatable {
  var version = 0
  /// log2 of the queues of an interface, and of the StreamIDs that it knows.
  var queueBits = 0
  var streamBits = 0
}
