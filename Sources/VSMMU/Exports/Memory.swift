// SPDX-License-Identifier: MIT
// Section 5 of the header.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import VSMMUShared

extension MemoryError {
  fileprivate var refusal: Refusal {
    switch self {
    case .unaligned:
      .invalid("address, length and host must be multiples of 4096, and length not 0")
    case .wraps: .invalid("address + length passes the end of the address space")
    case .overlaps:
      Refusal(vsmmu_support_eexist, Sentence("address overlaps a region that was added before"))
    case .full: Refusal(vsmmu_support_enomem, Sentence("64 RAM regions are registered already"))
    case .absent: Refusal(vsmmu_support_enoent, Sentence("address is no region's first address"))
    }
  }
}

/// Registers memory here and, where there is a host, in its address space: both or none.
private func add(
  _ device: Device, _ address: UInt64, _ length: UInt64, _ host: UnsafeMutableRawPointer?,
  _ map: (HostSMMU, UnsafeMutableRawPointer) throws(HostError) -> Void
) throws(Refusal) {
  guard let host else { throw .invalid("host is NULL") }
  try device.covering { () throws(Refusal) in
    do throws(MemoryError) {
      try device.smmu.addMemory(address, length: length, host: host)
    } catch {
      throw error.refusal
    }
    guard let side = device.hostSide else { return }
    do throws(HostError) { try map(side, host) } catch {
      try? device.smmu.removeMemory(address)
      throw error.refusal
    }
  }
}

/// A part of a file, as mmap takes it.
private func check(file: Int32, offset: UInt64, length: UInt64) throws(Refusal) {
  guard file >= 0 else { throw .invalid("fd is negative") }
  guard offset % 4096 == 0 else {
    throw .invalid("offset is not a multiple of 4096")
  }
  let (end, wraps) = offset.addingReportingOverflow(length)
  guard !wraps, end <= UInt64(Int64.max) else {
    throw .invalid("offset + length passes the end of what a file can have")
  }
}

@implementation @_cdecl("vsmmu_ram_add")
public func vsmmu_ram_add(
  _ vsmmu: OpaquePointer?, _ address: UInt64, _ length: UInt64, _ host: UnsafeMutableRawPointer?
) -> Int32 {
  serially(vsmmu) { (device) throws(Refusal) -> Void in
    try add(device, address, length, host) { (side, memory) throws(HostError) in
      try side.map(address, length: length, host: memory)
    }
  }
}

@implementation @_cdecl("vsmmu_ram_add_file")
public func vsmmu_ram_add_file(
  _ vsmmu: OpaquePointer?, _ address: UInt64, _ length: UInt64, _ host: UnsafeMutableRawPointer?,
  _ fd: Int32, _ offset: UInt64
) -> Int32 {
  serially(vsmmu) { (device) throws(Refusal) -> Void in
    try check(file: fd, offset: offset, length: length)
    try add(device, address, length, host) { (side, memory) throws(HostError) in
      try side.map(address, length: length, file: fd, offset: offset)
    }
  }
}

@implementation @_cdecl("vsmmu_ram_remove")
public func vsmmu_ram_remove(_ vsmmu: OpaquePointer?, _ address: UInt64) -> Int32 {
  serially(vsmmu) { (device) throws(Refusal) -> Void in
    try device.covering { () throws(Refusal) in
      if let side = device.hostSide, let length = device.smmu.memoryLength(at: address) {
        try hosted { () throws(HostError) in try side.unmap(address, length: length) }
      }
      do throws(MemoryError) {
        try device.smmu.removeMemory(address)
      } catch {
        throw error.refusal
      }
    }
  }
}

@implementation @_cdecl("vsmmu_stream_add")
public func vsmmu_stream_add(_ vsmmu: OpaquePointer?, _ stream: UInt32) -> Int32 {
  serially(vsmmu) { (device) throws(Refusal) -> Void in
    try device.covering(streams: device.streams.count) { () throws(Refusal) in
      try device.addStream(stream)
    }
  }
}

@implementation @_cdecl("vsmmu_stream_remove")
public func vsmmu_stream_remove(_ vsmmu: OpaquePointer?, _ stream: UInt32) -> Int32 {
  serially(vsmmu) { (device) throws(Refusal) -> Void in
    try device.streams.remove(stream)
    device.smmu.remove(stream: stream)
  }
}
