// SPDX-License-Identifier: MIT
// Section 6 of the header.
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

extension Instance {
  /// Translates what the fast path did not. Only here a stream is looked for in the directory: the
  /// caches know no other. The access is counted from before that on, so that a stream that is
  /// removed meanwhile cannot be cached afterwards.
  @inline(never)
  fileprivate func translate(missed access: Access) throws(Refusal) -> Translation {
    let token = smmu.beginAccess()
    defer { smmu.endAccess(token) }
    guard access.flags.contains(.inspect) else {
      try requireStream(access)
      return smmu.translateFully(access)
    }
    switch virtual.streams.kind(of: access.stream) {
    case .emulated: return smmu.translator.inspect(access)
    case .assigned(let attached): return smmu.translator.inspect(access, attached: attached)
    case nil: throw unknownStream
    }
  }

  private func requireStream(_ access: Access) throws(Refusal) {
    switch virtual.streams.kind(of: access.stream) {
    case .emulated: return
    case .assigned:
      throw Refusal(
        .enoent, "access.stream is of an assigned device: VSMMU_ACCESS_INSPECT looks at its tables")
    case nil: throw unknownStream
    }
  }

  private var unknownStream: Refusal {
    refusal(vsmmu_support_enoent, of: "access.stream", saying: " was not added")
  }

  @inline(never)
  fileprivate func access(_ pointer: UnsafePointer<vsmmu_access>?) throws(Refusal) -> Access {
    guard !Inside(machine).isEntered else { throw Inside.refusal }
    var copy = vsmmu_access()
    try copyIn(pointer, named: "access", least: 24, into: &copy)
    guard copy.flags & ~AccessFlags.all.rawValue == 0 else {
      throw .invalid("access.flags has a bit set that this library does not know")
    }
    guard copy.reserved == 0 else { throw .invalid("access.reserved is not 0") }
    guard copy.flags & AccessFlags.attributes.rawValue == 0 || copy.attributes >> 10 == 0 else {
      throw .invalid("access.attributes is more than a MAIR byte and a shareability")
    }
    return Access(copy)
  }

  /// A result that cannot be filled is refused before the access can leave an event.
  fileprivate func requireRoom(_ result: UnsafeMutablePointer<vsmmu_result>?) throws(Refusal) {
    _ = try checkedSize(result.map { UnsafePointer($0) }, named: "result", least: 24)
  }
}

/// Whether both structs are of this very version, with nothing odd or rare in them.
@inline(__always)
private func arePlain(
  _ access: UnsafePointer<vsmmu_access>, _ result: UnsafeMutablePointer<vsmmu_result>
) -> Bool {
  access.pointee.size == UInt32(MemoryLayout<vsmmu_access>.size)
    && result.pointee.size == UInt32(MemoryLayout<vsmmu_result>.size)
    && access.pointee.flags & ~AccessFlags.common.rawValue == 0 && access.pointee.reserved == 0
}

/// The path that must be fast: plain structs, and an answer that is there.
@inline(__always)
@implementation @_cdecl("vsmmu_translate")
public func vsmmu_translate(
  _ vsmmu: OpaquePointer?, _ access: UnsafePointer<vsmmu_access>?,
  _ result: UnsafeMutablePointer<vsmmu_result>?
) -> Int32 {
  guard let vsmmu, let access, let result, arePlain(access, result) else {
    return translateUnknown(vsmmu, access: access, result: result)
  }
  let handle = UnsafePointer<InstanceHandle>(vsmmu)
  guard let recent = handle.pointee.micro.lookUp(Access(plain: access.pointee)) else {
    return translate(handle, access: access, result: result)
  }
  result.pointee = vsmmu_result(recent)
  return 0
}

/// What the micro TLB does not know. For speed, as the rest of this module is not.
@_optimize(speed)
@inline(never)
private func translate(
  _ handle: UnsafePointer<InstanceHandle>, access: UnsafePointer<vsmmu_access>,
  result: UnsafeMutablePointer<vsmmu_result>
) -> Int32 {
  let known = handle.pointee.translateKnown(Access(plain: access.pointee))
  guard !known.isUnknown else {
    return translateUnknown(OpaquePointer(handle), access: access, result: result)
  }
  result.pointee = vsmmu_result(known)
  return 0
}

/// Odd structs, and streams that are not known yet.
@inline(never)
private func translateUnknown(
  _ vsmmu: OpaquePointer?, access: UnsafePointer<vsmmu_access>?,
  result: UnsafeMutablePointer<vsmmu_result>?
) -> Int32 {
  guard let vsmmu else { return vsmmu_support_einval }
  return with(vsmmu) { instance in
    do throws(Refusal) {
      let access = try instance.access(access)
      try instance.requireRoom(result)
      let answer = try instance.translate(missed: access)
      try copyOut(vsmmu_result(answer), to: result, named: "result", least: 24)
      return 0
    } catch {
      return instance.refuse(error)
    }
  }
}

@implementation @_cdecl("vsmmu_access_begin")
public func vsmmu_access_begin(_ vsmmu: OpaquePointer?) -> UInt64 {
  guard let vsmmu else { return 0 }
  return with(vsmmu) { $0.smmu.beginAccess() }
}

@implementation @_cdecl("vsmmu_access_end")
public func vsmmu_access_end(_ vsmmu: OpaquePointer?, _ token: UInt64) {
  guard let vsmmu else { return }
  with(vsmmu) { $0.smmu.endAccess(token) }
}

extension Instance {
  /// One vsmmu_dma_* call.
  fileprivate func transfer(
    _ access: UnsafePointer<vsmmu_access>?, data: UnsafeMutableRawPointer?, length: UInt64,
    result: UnsafeMutablePointer<vsmmu_result>?, isWrite: Bool
  ) -> Int32 {
    do throws(Refusal) {
      var access = try self.access(access)
      try requireRoom(result)
      guard let data else { throw .invalid("data is NULL") }
      if isWrite { access.flags.insert(.write) }
      guard isWrite == access.flags.contains(.write),
        access.flags.isDisjoint(with: [.atomic, .inspect]),
        !(isWrite && access.flags.contains(.speculative))
      else {
        throw .invalid("access.flags ask for another kind of access than this call makes")
      }
      guard length <= UInt64(Int.max), length == 0 || length - 1 <= UInt64.max - access.address
      else {
        throw .invalid("access.address + length passes the end of the address space")
      }
      let token = smmu.beginAccess()
      defer { smmu.endAccess(token) }
      if !smmu.knows(access) { try requireStream(access) }
      let done = smmu.translator.transfer(access, data: data, length: length)
      try copyOut(vsmmu_result(done), to: result, named: "result", least: 24)
      return 0
    } catch {
      return refuse(error)
    }
  }
}

@implementation @_cdecl("vsmmu_dma_read")
public func vsmmu_dma_read(
  _ vsmmu: OpaquePointer?, _ access: UnsafePointer<vsmmu_access>?, _ data: UnsafeMutableRawPointer?,
  _ length: UInt64, _ result: UnsafeMutablePointer<vsmmu_result>?
) -> Int32 {
  guard let vsmmu else { return vsmmu_support_einval }
  return with(vsmmu) {
    $0.transfer(access, data: data, length: length, result: result, isWrite: false)
  }
}

@implementation @_cdecl("vsmmu_dma_write")
public func vsmmu_dma_write(
  _ vsmmu: OpaquePointer?, _ access: UnsafePointer<vsmmu_access>?, _ data: UnsafeRawPointer?,
  _ length: UInt64, _ result: UnsafeMutablePointer<vsmmu_result>?
) -> Int32 {
  guard let vsmmu else { return vsmmu_support_einval }
  // Read only: the direction is the access's.
  let source = UnsafeMutableRawPointer(mutating: data)
  return with(vsmmu) {
    $0.transfer(access, data: source, length: length, result: result, isWrite: true)
  }
}
