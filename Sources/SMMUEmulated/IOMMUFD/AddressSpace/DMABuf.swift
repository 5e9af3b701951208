// SPDX-License-Identifier: MIT
import SMMUBase

/// A dma-buf of ranges of a BAR, as VFIO_DEVICE_FEATURE_DMA_BUF makes them.
final class DMABuf: File {
  struct Range {
    let offset: UInt64
    let length: UInt64
  }

  let bar: PhysicalBAR
  let ranges: [Range]
  let length: UInt64
  private let session: UInt64

  init(_ bar: PhysicalBAR, _ ranges: [Range], length: UInt64) {
    self.bar = bar
    self.ranges = ranges
    self.length = length
    session = bar.sessions
  }

  override var dmaBuf: DMABuf? { self }

  /// While that is so nobody can map it; for good when the device was closed.
  var isRevoked: Bool { !bar.isDecoded || session != bar.sessions }
}

/// A range of a BAR that was mapped into address spaces.
final class MappedBAR {
  let address: UInt64
  private let buffer: DMABuf
  private let revocations: UInt64
  private let descriptors: DescriptorTable

  private init(_ buffer: DMABuf, address: UInt64, _ descriptors: DescriptorTable) {
    self.buffer = buffer
    self.address = address
    self.descriptors = descriptors
    revocations = buffer.bar.revocations
    // The caller may close its descriptor.
    descriptors.hold(buffer)
  }

  deinit { descriptors.drop(buffer) }

  /// `offset` + `length` does not wrap.
  static func map(
    _ buffer: DMABuf, offset: UInt64, length: UInt64, _ descriptors: DescriptorTable
  ) throws(Errno) -> MappedBAR {
    guard offset + (length - 1) < buffer.length else { throw .einval }
    guard !buffer.isRevoked else { throw .enodev }
    // A page table has one physical range behind a mapping, for now.
    guard buffer.ranges.count == 1 else { throw .eopnotsupp }
    let memory = try buffer.bar.memory()
    return MappedBAR(
      buffer, address: memory.address + buffer.ranges[0].offset + offset, descriptors)
  }

  /// It was called back. That this dma-buf can be mapped again does not bring it back.
  var isRevoked: Bool { revocations != buffer.bar.revocations }
  func isOf(_ bar: PhysicalBAR) -> Bool { buffer.bar === bar }
}
