// SPDX-License-Identifier: MIT
// Section 3 of vsmmuv3_emulated.h.
import CVSMMU
import SMMUBase
import SMMUEmulated
import SMMUModel
import SMMUSpec
import VSMMUShared

/// One DMA of a device.
private func dma(
  _ handle: OpaquePointer?, device: UInt32, access: UnsafePointer<vsmmu_access>?,
  data: UnsafeMutableRawPointer?, length: UInt64, result: UnsafeMutablePointer<vsmmu_result>?,
  isWrite: Bool
) -> Int32 {
  refusable(handle) { (host) throws(Refusal) -> Int32 in
    let access = try Access(checking: access, length: length, isWrite: isWrite)
    _ = try checkedSize(result.map { UnsafePointer($0) }, named: "result", least: 24)
    guard let data else { throw .invalid("data is NULL") }
    guard let translation = host.dma(of: Int(device), access: access, data: data, length: length)
    else {
      throw .invalid("there is no such device")
    }
    try copyOut(vsmmu_result(translation), to: result, named: "result", least: 24)
    return 0
  }
}

/// A call whose refusals have no one to tell the sentence to.
private func refusable(
  _ handle: OpaquePointer?, _ body: (EmulatedHost) throws(Refusal) -> Int32
) -> Int32 {
  Int32(
    truncatingIfNeeded: with(handle) { emulated in
      do throws(Refusal) {
        return Int64(try body(emulated.host))
      } catch {
        return Int64(error.code)
      }
    })
}

extension Access {
  /// A caller's access, as vsmmu_dma_read() and _write() take it.
  fileprivate init(
    checking pointer: UnsafePointer<vsmmu_access>?, length: UInt64, isWrite: Bool
  ) throws(Refusal) {
    var copy = vsmmu_access()
    try copyIn(pointer, named: "access", least: 24, into: &copy)
    guard copy.flags & ~AccessFlags.all.rawValue == 0, copy.reserved == 0 else {
      throw .invalid("access has a bit set that this library does not know")
    }
    self.init(copy)
    if isWrite { flags.insert(.write) }
    guard isWrite == flags.contains(.write), flags.isDisjoint(with: [.atomic, .inspect]),
      !(isWrite && flags.contains(.speculative))
    else {
      throw .invalid("access.flags ask for another kind of access than this call makes")
    }
    guard length <= UInt64(Int.max), length == 0 || length - 1 <= UInt64.max - address else {
      throw .invalid("access.address + length passes the end of the address space")
    }
  }
}

@implementation @_cdecl("vsmmu_emulated_dma_read")
public func vsmmu_emulated_dma_read(
  _ emulated: OpaquePointer?, _ device: UInt32, _ access: UnsafePointer<vsmmu_access>?,
  _ data: UnsafeMutableRawPointer?, _ length: UInt64, _ result: UnsafeMutablePointer<vsmmu_result>?
) -> Int32 {
  dma(
    emulated, device: device, access: access, data: data, length: length, result: result,
    isWrite: false)
}

@implementation @_cdecl("vsmmu_emulated_dma_write")
public func vsmmu_emulated_dma_write(
  _ emulated: OpaquePointer?, _ device: UInt32, _ access: UnsafePointer<vsmmu_access>?,
  _ data: UnsafeRawPointer?, _ length: UInt64, _ result: UnsafeMutablePointer<vsmmu_result>?
) -> Int32 {
  // Read only: the direction is the access's.
  let source = UnsafeMutableRawPointer(mutating: data)
  return dma(
    emulated, device: device, access: access, data: source, length: length, result: result,
    isWrite: true)
}

// MARK: BARs

@implementation @_cdecl("vsmmu_emulated_bar")
public func vsmmu_emulated_bar(
  _ emulated: OpaquePointer?, _ device: UInt32, _ region: UInt32,
  _ memory: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ length: UnsafeMutablePointer<UInt64>?
) -> Int32 {
  answering(emulated) { (host) throws(Errno) -> Int32 in
    guard let memory, let length else { throw .einval }
    let found = try host.barMemory(ofDevice: Int(device), region: Int(region))
    memory.pointee = found.baseAddress
    length.pointee = UInt64(found.count)
    return 0
  }
}

@implementation @_cdecl("vsmmu_emulated_set_decode")
public func vsmmu_emulated_set_decode(
  _ emulated: OpaquePointer?, _ device: UInt32, _ on: UInt32
) -> Int32 {
  answering(emulated) { (host) throws(Errno) -> Int32 in
    guard on <= 1 else { throw .einval }
    try host.setDecode(on == 1, ofDevice: Int(device))
    return 0
  }
}

// MARK: Direct command queues

@implementation @_cdecl("vsmmu_emulated_run_queues")
public func vsmmu_emulated_run_queues(_ emulated: OpaquePointer?) -> Int32 {
  refusable(emulated) { (host) throws(Refusal) -> Int32 in
    host.runQueues()
    return 0
  }
}

// MARK: CPUs and VMIDs

/// A call of the hardware: its errno as a negative number.
private func answering(
  _ handle: OpaquePointer?, _ body: (EmulatedHost) throws(Errno) -> Int32
) -> Int32 {
  Int32(
    truncatingIfNeeded: with(handle) { emulated in
      do throws(Errno) { return Int64(try body(emulated.host)) } catch { return -Int64(error.code) }
    })
}

@implementation @_cdecl("vsmmu_emulated_vcpu_load")
public func vsmmu_emulated_vcpu_load(
  _ emulated: OpaquePointer?, _ vm: Int32, _ cpu: UInt32
) -> Int32 {
  answering(emulated) { (host) throws(Errno) -> Int32 in
    try host.loadCPU(Int(cpu), vm: vm)
    return 0
  }
}

@implementation @_cdecl("vsmmu_emulated_vcpu_put")
public func vsmmu_emulated_vcpu_put(_ emulated: OpaquePointer?, _ cpu: UInt32) -> Int32 {
  answering(emulated) { (host) throws(Errno) -> Int32 in
    try host.putCPU(Int(cpu))
    return 0
  }
}

@implementation @_cdecl("vsmmu_emulated_tlbi")
public func vsmmu_emulated_tlbi(
  _ emulated: OpaquePointer?, _ cpu: UInt32, _ op: UnsafePointer<vsmmu_dvm_op>?
) -> Int32 {
  refusable(emulated) { (host) throws(Refusal) -> Int32 in
    var copy = vsmmu_dvm_op()
    try copyIn(op, named: "op", least: 40, into: &copy)
    // Checked here, whatever the VMID: that is the VM's.
    copy.vmid = 0
    copy.flags &= ~VSMMU_DVM_VMID8
    _ = try TLBInvalidation(copy, hasVMIDs: true)
    do throws(Errno) {
      try host.invalidate(on: Int(cpu)) { vmid in
        var copy = copy
        copy.vmid = UInt32(vmid)
        do throws(Refusal) {
          return try TLBInvalidation(copy, hasVMIDs: true)
        } catch {
          return TLBInvalidation.nothing
        }
      }
      return 0
    } catch {
      return -error.code
    }
  }
}

@implementation @_cdecl("vsmmu_emulated_vm_vmid")
public func vsmmu_emulated_vm_vmid(_ emulated: OpaquePointer?, _ vm: Int32) -> Int32 {
  answering(emulated) { (host) throws(Errno) -> Int32 in Int32(try host.vmid(ofVM: vm)) }
}

@implementation @_cdecl("vsmmu_emulated_stream_vmid")
public func vsmmu_emulated_stream_vmid(_ emulated: OpaquePointer?, _ device: UInt32) -> Int32 {
  answering(emulated) { (host) throws(Errno) -> Int32 in Int32(try host.vmid(ofDevice: Int(device)))
  }
}
