// SPDX-License-Identifier: MIT
// Section 9 of the header: nodes of the ACPI I/O Remapping Table (Arm DEN0049).
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

/// Writes little-endian fields as far as there is room, and counts them all.
private struct ByteWriter {
  let buffer: UnsafeMutableRawPointer?
  let capacity: UInt64
  private(set) var count: UInt64 = 0

  init(_ buffer: UnsafeMutableRawPointer?, _ capacity: UInt64) {
    self.buffer = buffer
    self.capacity = buffer == nil ? 0 : capacity
  }

  @inline(never)
  mutating func put(_ value: UInt64, _ bytes: Int) {
    for i in 0..<bytes {
      if count < capacity {
        buffer?.storeBytes(
          of: UInt8(truncatingIfNeeded: value >> UInt64(8 * i)), toByteOffset: Int(count),
          as: UInt8.self)
      }
      count += 1
    }
  }

  mutating func put8(_ value: UInt8) { put(UInt64(value), 1) }
  mutating func put16(_ value: UInt16) { put(UInt64(value), 2) }
  mutating func put32(_ value: UInt32) { put(UInt64(value), 4) }
  mutating func put64(_ value: UInt64) { put(value, 8) }
}

private enum NodeSize {
  static var smmu: UInt32 { 68 }
  static var rootComplex: UInt32 { 36 }
  static var reservedMemory: UInt32 { 28 + memoryRange }
  static var memoryRange: UInt32 { 20 }
  static var mapping: UInt32 { 20 }
}

extension ByteWriter {
  /// The header that all nodes share.
  fileprivate mutating func node(
    type: UInt8, revision: UInt8, size: UInt32, identifier: UInt32, mappings: UInt32
  ) {
    put8(type)
    put16(UInt16(size + mappings * NodeSize.mapping))
    put8(revision)
    put32(identifier)
    put32(mappings)
    put32(mappings == 0 ? 0 : size)
  }

  /// `count` identifiers; the table stores one less.
  fileprivate mutating func mapping(
    _ input: UInt32, count: UInt32, output: UInt32, reference: UInt32
  ) {
    put32(input)
    put32(count - 1)
    put32(output)
    put32(reference)
    put32(0)
  }

  /// SMMUv3, node type 4. From revision 5 on a flag says whether there is a DeviceID mapping for
  /// the SMMU's own MSIs; there is none. In older ones it would be the first mapping wherever a
  /// GSIV is 0, and the devices would lose theirs. DeviceIDs are StreamIDs.
  fileprivate mutating func smmu(
    _ iort: vsmmu_iort, mappings: [vsmmu_id_mapping], coherent: Bool
  ) {
    let hasITS = iort.its_offset != 0
    node(
      type: 4, revision: 5, size: NodeSize.smmu, identifier: iort.identifier,
      mappings: hasITS ? UInt32(mappings.count) : 0)
    put64(iort.base)
    put32(coherent ? 1 : 0)
    put32(0)
    put64(0)
    // Model: a generic SMMUv3.
    put32(0)
    put32(iort.gsiv.0)
    put32(iort.gsiv.1)
    put32(iort.gsiv.3)
    put32(iort.gsiv.2)
    put32(0)
    put32(0)
    guard hasITS else { return }
    for m in mappings {
      mapping(m.output_base, count: m.count, output: m.output_base, reference: iort.its_offset)
    }
  }

  /// PCI root complex, node type 2, revision 3, coherent, mapped to the SMMU. With a host its DMA
  /// is so whatever the device asks for (CANWBS): an emulated device's is the process's own, and no
  /// assigned one is let in without a vIOMMU, which a kernel makes where its own firmware says this
  /// or its SMMU sees to it (S2FWB).
  fileprivate mutating func rootComplex(
    _ iort: vsmmu_iort, mappings: [vsmmu_id_mapping], hasHost: Bool, hasATS: Bool
  ) {
    node(
      type: 2, revision: 3, size: NodeSize.rootComplex, identifier: iort.identifier &+ 1,
      mappings: UInt32(mappings.count))
    // Memory access: cache coherent, no hints; CPM, DACS and CANWBS.
    put32(1)
    put8(0)
    put16(0)
    put8(hasHost ? 7 : 3)
    put32(hasATS ? 1 : 0)
    put32(iort.segment)
    // Memory address size limit.
    put8(64)
    put8(0)
    put16(0)
    for m in mappings {
      mapping(m.input_base, count: m.count, output: m.output_base, reference: iort.offset)
    }
  }

  /// Reserved memory range, node type 6, revision 3: the host's window for MSIs, which its
  /// doorbells are in and a guest must map onto itself. It is not to be moved, it is open to the
  /// unprivileged, and it is Device-nGnRE, as a doorbell is. For all StreamIDs, as any may become
  /// an assigned device.
  fileprivate mutating func reserved(
    _ window: (first: UInt64, last: UInt64), iort: vsmmu_iort, mappings: [vsmmu_id_mapping]
  ) {
    node(
      type: 6, revision: 3, size: NodeSize.reservedMemory, identifier: iort.identifier &+ 2,
      mappings: UInt32(mappings.count))
    // Flags: bit 0 may be moved, bit 1 is privileged, bits [9:2] attributes.
    put32(1 << 2)
    put32(1)
    put32(NodeSize.reservedMemory - NodeSize.memoryRange)
    put64(window.first)
    put64(window.last - window.first + 1)
    put32(0)
    for m in mappings {
      mapping(m.output_base, count: m.count, output: m.output_base, reference: iort.offset)
    }
  }
}

private func checkedMappings(_ iort: vsmmu_iort) throws(Refusal) -> [vsmmu_id_mapping] {
  // A node's length is 16 bits.
  guard iort.mapping_count >= 1 && iort.mapping_count <= 1024 else {
    throw .invalid("iort.mapping_count is not 1 to 1024")
  }
  guard let first = iort.mappings else { throw .invalid("iort.mappings is NULL") }
  var mappings: [vsmmu_id_mapping] = []
  for i in 0..<Int(iort.mapping_count) {
    let m = first[i]
    let last = UInt32.max - m.count + (m.count == 0 ? 0 : 1)
    guard m.count != 0, m.input_base <= last, m.output_base <= last else {
      throw .invalid("iort.mappings has an empty range or one that passes 2^32")
    }
    guard m.reserved == 0 else { throw .invalid("iort.mappings has a reserved field set") }
    mappings.append(m)
  }
  return mappings
}

@implementation @_cdecl("vsmmu_iort_nodes")
public func vsmmu_iort_nodes(
  _ vsmmu: OpaquePointer?, _ iort: UnsafePointer<vsmmu_iort>?, _ data: UnsafeMutableRawPointer?,
  _ capacity: UInt64
) -> Int64 {
  serially(vsmmu) { (instance) throws(Refusal) -> Int64 in
    var copy = vsmmu_iort()
    try copyIn(iort, named: "iort", least: 52, into: &copy)
    guard data != nil || capacity == 0 else { throw .invalid("data is NULL") }
    return try instance.covering { () throws(Refusal) in
      let mappings = try checkedMappings(copy)
      let features = instance.smmu.features
      let window = instance.virtual.nesting?.messageWindow
      var writer = ByteWriter(data, capacity)
      writer.smmu(copy, mappings: mappings, coherent: features[.idr0, IDR0.cohacc] != 0)
      writer.rootComplex(copy, mappings: mappings, hasHost: window != nil, hasATS: features.ats)
      if let window { writer.reserved(window, iort: copy, mappings: mappings) }
      return Int64(writer.count)
    }
  }
}
