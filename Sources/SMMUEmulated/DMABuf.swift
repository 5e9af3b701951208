// SPDX-License-Identifier: MIT
import SMMUBase

/// A dma-buf of ranges of a BAR, as VFIO_DEVICE_FEATURE_DMA_BUF makes them.
final class DMABuf: File {
  struct Range {
    let offset: UInt64
    let length: UInt64
  }

  let bar: EmulatedBAR
  let ranges: [Range]
  let length: UInt64
  private let session: UInt64

  init(_ bar: EmulatedBAR, ranges: [Range], length: UInt64) {
    self.bar = bar
    self.ranges = ranges
    self.length = length
    session = bar.sessions
  }

  override var dmaBuf: DMABuf? { self }

  /// While that is so nobody can map it; for good when the device was closed.
  var isRevoked: Bool { !bar.isDecoded || session != bar.sessions }
}
