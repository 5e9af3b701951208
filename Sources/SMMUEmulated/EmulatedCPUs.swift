// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// What the CPUs do, and the VMIDs that they and the devices use.
extension EmulatedHost {
  public func loadCPU(_ cpu: Int, vm fd: Int32) throws(Errno) {
    try lockedReserving { () throws(Errno) -> Void in
      try kernel.hypervisor.load(try machine(fd), on: cpu)
    }
  }

  public func putCPU(_ cpu: Int) throws(Errno) {
    try locked { () throws(Errno) -> Void in try kernel.hypervisor.put(cpu) }
  }

  /// What KVM programs for a VM, 0 before the first.
  public func vmid(ofVM fd: Int32) throws(Errno) -> VMID {
    try locked { () throws(Errno) -> VMID in try machine(fd).vmid }
  }

  /// The S2VMID of a device's STE, 0 if it has no stage 2.
  public func vmid(ofDevice index: Int) throws(Errno) -> VMID {
    guard kernel.devices.indices.contains(index) else { throw .einval }
    return locked {
      let device = kernel.devices[index]
      let entry = device.smmu.entry(of: device.stream)
      // Config[1] is stage 2's.
      guard entry[StreamTableEntry.config] & 6 == 6 else { return 0 }
      return VMID(truncatingIfNeeded: entry[StreamTableEntry.s2vmid])
    }
  }

  private func machine(_ fd: Int32) throws(Errno) -> VirtualMachine {
    let file = try kernel.descriptors.file(fd)
    guard let vm = kernel.hypervisor.machines.first(where: { $0 === file }) else { throw .ebadf }
    return vm
  }
}

// MARK: TLB maintenance

extension EmulatedHost {
  /// The guest on a CPU executes a broadcast TLBI. `scope` is told the VMID, which is the VM's. The
  /// lock is held all the while: a TLBI waits for accesses in flight, which do not take it.
  public func invalidate(on cpu: Int, _ scope: (VMID) -> TLBInvalidation) throws(Errno) {
    try locked { () throws(Errno) -> Void in
      try kernel.hypervisor.invalidate(on: cpu, scope)
    }
  }
}
