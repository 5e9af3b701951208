// SPDX-License-Identifier: MIT
// A caller whose struct is as large as this library's passes fast, as DMA does.
import CSupport
import SMMUBase

/// The size that a struct of the caller's says it has: at least the fields that none can do
/// without, and zeros where this library knows no field.
@inline(__always)
public func checkedSize<T>(
  _ source: UnsafePointer<T>?, named name: StaticString, least: Int
) throws(Refusal) -> Int {
  let known = MemoryLayout<T>.size
  if let source, UnsafeRawPointer(source).load(as: UInt32.self) == UInt32(known) { return known }
  return try checkedSize(UnsafeRawPointer(source), named: name, least: least, known: known)
}

/// The same for a struct that may have any size; `known` is this library's.
@inline(never)
private func checkedSize(
  _ source: UnsafeRawPointer?, named name: StaticString, least: Int, known: Int
) throws(Refusal) -> Int {
  guard let source else { throw refusal(vsmmu_support_einval, of: name, saying: " is NULL") }
  let size = Int(source.load(as: UInt32.self))
  guard size >= least else {
    throw refusal(vsmmu_support_einval, of: name, saying: ".size is too small")
  }
  guard size > known else { return size }
  // Nobody's struct is that large: the field was not set.
  guard size <= 4096 else {
    throw refusal(vsmmu_support_e2big, of: name, saying: ".size is implausible")
  }
  for i in known..<size where source.load(fromByteOffset: i, as: UInt8.self) != 0 {
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
