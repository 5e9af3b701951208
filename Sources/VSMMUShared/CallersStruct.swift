// SPDX-License-Identifier: MIT
// Inlinable, so that each user of a struct has code for that struct: DMA passes here.
import CSupport
import SMMUBase

/// The size that a struct of the caller's says it has: at least the fields that none can do
/// without, and zeros where this library knows no field.
@inlinable
public func checkedSize<T>(
  _ source: UnsafePointer<T>?, named name: StaticString, least: Int
) throws(Refusal) -> Int {
  guard let source else { throw refusal(vsmmu_support_einval, of: name, saying: " is NULL") }
  let bytes = UnsafeRawPointer(source)
  let size = Int(bytes.load(as: UInt32.self))
  guard size >= least else {
    throw refusal(vsmmu_support_einval, of: name, saying: ".size is too small")
  }
  guard size > MemoryLayout<T>.size else { return size }
  // Nobody's struct is that large: the field was not set.
  guard size <= 4096 else {
    throw refusal(vsmmu_support_e2big, of: name, saying: ".size is implausible")
  }
  for i in MemoryLayout<T>.size..<size where bytes.load(fromByteOffset: i, as: UInt8.self) != 0 {
    throw refusal(
      vsmmu_support_e2big, of: name, saying: " has a field set that this library does not know")
  }
  return size
}

/// Copies a struct of the caller's; a smaller one is completed with zeros.
@inlinable
public func copyIn<T>(
  _ source: UnsafePointer<T>?, named name: StaticString, least: Int, into copy: inout T
) throws(Refusal) {
  let size = try checkedSize(source, named: name, least: least)
  guard let source else { return }
  withUnsafeMutableBytes(of: &copy) {
    $0.baseAddress!.copyMemory(from: source, byteCount: min(size, MemoryLayout<T>.size))
  }
}

/// Copies a filled struct to the caller, as much of it as the caller knows.
@inlinable
public func copyOut<T>(
  _ value: T, to target: UnsafeMutablePointer<T>?, named name: StaticString, least: Int
) throws(Refusal) {
  let size = try checkedSize(target.map { UnsafePointer($0) }, named: name, least: least)
  guard let target else { return }
  var value = value
  withUnsafeBytes(of: &value) {
    (UnsafeMutableRawPointer(target) + 4).copyMemory(
      from: $0.baseAddress! + 4, byteCount: min(size, MemoryLayout<T>.size) - 4)
  }
}
