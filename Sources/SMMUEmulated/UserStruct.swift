// SPDX-License-Identifier: MIT
import SMMUBase

/// A struct in user space that begins with its size, copied in and out as the kernel does it. User
/// space is this process: a pointer is known to be bad only if it is NULL.
struct UserStruct<T> {
  private let pointer: UnsafeMutableRawPointer
  private let size: Int
  var value: T

  /// EINVAL for one that is shorter than `least`, E2BIG for one with something behind what the
  /// kernel knows. `value` is a zeroed struct to begin with.
  init(
    _ argument: UnsafeMutableRawPointer?, zeros: T, least: Int = MemoryLayout<T>.size
  ) throws(Errno) {
    guard let argument else { throw .efault }
    pointer = argument
    size = Int(argument.loadUnaligned(as: UInt32.self))
    value = zeros
    guard size >= least else { throw .einval }
    try UserMemory.copyIn(argument, size: size, to: &value)
  }

  /// The answer, as much of it as the caller has room for; its size field stays.
  func copyOut() {
    var copy = value
    withUnsafeBytes(of: &copy) {
      (pointer + 4).copyMemory(
        from: $0.baseAddress! + 4, byteCount: min(size, MemoryLayout<T>.size) - 4)
    }
  }
}

enum UserMemory {
  /// The kernel looks through any length until it meets a byte that is not zero or a page that is
  /// not there. This process would die of the latter, so no tail is longer than this.
  private static var longestTail: Int { 4096 }

  /// A struct of `size` bytes: a shorter one is completed with zeros, the tail of a longer one must
  /// be zero.
  static func copyIn<T>(
    _ source: UnsafeRawPointer, size: Int, to value: inout T
  ) throws(Errno) {
    let known = MemoryLayout<T>.size
    guard size <= known + longestTail else { throw .e2big }
    if size > known {
      for i in known..<size where source.load(fromByteOffset: i, as: UInt8.self) != 0 {
        throw .e2big
      }
    }
    withUnsafeMutableBytes(of: &value) {
      $0.baseAddress!.copyMemory(from: source, byteCount: min(size, known))
    }
  }

  /// A pointer that came as a number.
  static func pointer(_ address: UInt64) throws(Errno) -> UnsafeMutableRawPointer {
    guard let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address)) else { throw .efault }
    return pointer
  }

  static func load<T: BitwiseCopyable>(
    _ pointer: UnsafeRawPointer, at index: Int, as type: T.Type
  ) -> T {
    pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.stride, as: type)
  }

  static func store<T: BitwiseCopyable>(
    _ value: T, to pointer: UnsafeMutableRawPointer, at index: Int
  ) {
    pointer.storeBytes(of: value, toByteOffset: index * MemoryLayout<T>.stride, as: T.self)
  }
}
