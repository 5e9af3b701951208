// SPDX-License-Identifier: MIT
// Section 5 of the header.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import VSMMUShared

/// Registers memory, of a part of a file or not.
private func add(
  to instance: Instance, address: UInt64, length: UInt64, host: UnsafeMutableRawPointer?,
  of part: VirtualSMMU.FilePart? = nil
) throws(Refusal) {
  guard let host else { throw .invalid("host is NULL") }
  try instance.covering { () throws(Refusal) in
    try instance.virtual.addMemory(address, length: length, host: host, of: part)
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
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try add(to: instance, address: address, length: length, host: host)
  }
}

@implementation @_cdecl("vsmmu_ram_add_file")
public func vsmmu_ram_add_file(
  _ vsmmu: OpaquePointer?, _ address: UInt64, _ length: UInt64, _ host: UnsafeMutableRawPointer?,
  _ fd: Int32, _ offset: UInt64
) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try check(file: fd, offset: offset, length: length)
    try add(
      to: instance, address: address, length: length, host: host,
      of: VirtualSMMU.FilePart(fd, offset: offset))
  }
}

@implementation @_cdecl("vsmmu_ram_remove")
public func vsmmu_ram_remove(_ vsmmu: OpaquePointer?, _ address: UInt64) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try instance.covering { () throws(Refusal) in try instance.virtual.removeMemory(address) }
  }
}

@implementation @_cdecl("vsmmu_stream_add")
public func vsmmu_stream_add(_ vsmmu: OpaquePointer?, _ stream: UInt32) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try instance.covering(streams: instance.virtual.streams.emulatedCount) { () throws(Refusal) in
      try instance.virtual.addStream(stream)
    }
  }
}

@implementation @_cdecl("vsmmu_stream_remove")
public func vsmmu_stream_remove(_ vsmmu: OpaquePointer?, _ stream: UInt32) -> Int32 {
  serially(vsmmu) { (instance) throws(Refusal) -> Void in
    try instance.virtual.removeStream(stream)
  }
}
