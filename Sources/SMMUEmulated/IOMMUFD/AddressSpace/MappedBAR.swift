// SPDX-License-Identifier: MIT
import SMMUBase

/// A range of a BAR that was mapped into address spaces.
final class MappedBAR {
  let address: UInt64
  private let buffer: DMABuf
  private let revocations: UInt64
  private let descriptors: DescriptorTable

  private init(_ buffer: DMABuf, address: UInt64, among descriptors: DescriptorTable) {
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
    _ buffer: DMABuf, offset: UInt64, length: UInt64, among descriptors: DescriptorTable
  ) throws(Errno) -> MappedBAR {
    guard offset + (length - 1) < buffer.length else { throw .einval }
    guard !buffer.isRevoked else { throw .enodev }
    // A page table has one physical range behind a mapping, for now.
    guard buffer.ranges.count == 1 else { throw .eopnotsupp }
    let memory = try buffer.bar.memory()
    return MappedBAR(
      buffer, address: memory.address + buffer.ranges[0].offset + offset, among: descriptors)
  }

  /// That its dma-buf can be mapped again does not bring it back.
  var isRevoked: Bool { revocations != buffer.bar.revocations }
  func isOf(_ bar: EmulatedBAR) -> Bool { buffer.bar === bar }
}
