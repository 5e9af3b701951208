// SPDX-License-Identifier: MIT

/// Puts a saved state together in a buffer, or without one counts the bytes that it needs.
struct StateWriter {
  private let buffer: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  init(_ buffer: UnsafeMutableRawBufferPointer = .init(start: nil, count: 0)) {
    self.buffer = buffer
  }

  mutating func put<T: FixedWidthInteger>(_ value: T) {
    let start = count
    count += MemoryLayout<T>.size
    put(value, at: start)
  }

  /// In place of what was put there before.
  func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    guard buffer.count - offset >= MemoryLayout<T>.size else { return }
    buffer.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
  }
}
