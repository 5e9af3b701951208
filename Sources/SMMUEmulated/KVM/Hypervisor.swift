// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec

/// KVM: the VMs, what runs on which CPU, and the VMIDs. Calls come with the host's lock held.
final class Hypervisor: VMIDRollover {
  /// The kernel can pin VMIDs and gives them to its SMMUs.
  let isLinked: Bool
  let vmids: VMIDAllocator
  /// Of which a CPU's TLB maintenance reaches those that take part.
  private(set) var smmus: [PhysicalSMMU] = []
  /// Alive.
  private(set) var machines: [VirtualMachine] = []
  /// By CPU.
  private(set) var loaded: [VirtualMachine?]
  unowned(unsafe) var files: (any FileTable)?

  init(cpus: Int, vmidBits: Int, pinLimit: Int, isLinked: Bool) {
    self.isLinked = isLinked
    vmids = VMIDAllocator(bits: vmidBits, cpus: cpus, pinLimit: pinLimit)
    loaded = Array(repeating: nil, count: cpus)
    vmids.listener = self
  }

  deinit { vmids.listener = nil }

  func add(_ smmu: PhysicalSMMU) { smmus.append(smmu) }

  // MARK: Requests of no released kernel, 0 where they do not exist

  var pinRequest: UInt32 { isLinked ? 0x8004_aef0 : 0 }
  var unpinRequest: UInt32 { isLinked ? 0xaef1 : 0 }

  // MARK: CPUs

  /// vcpu_load: EINVAL for a CPU that there is not, EBUSY if a vCPU is on it already, or if no VMID
  /// is left.
  func load(_ vm: VirtualMachine, on cpu: Int) throws(Errno) {
    guard loaded.indices.contains(cpu) else { throw .einval }
    guard loaded[cpu] == nil else { throw .ebusy }
    try vmids.load(vm.identity, on: cpu)
    loaded[cpu] = vm
  }

  /// vcpu_put: EINVAL if there is none.
  func put(_ cpu: Int) throws(Errno) {
    guard loaded.indices.contains(cpu), loaded[cpu] != nil else { throw .einval }
    loaded[cpu] = nil
    vmids.put(cpu)
  }

  // MARK: VMs

  func begin(_ vm: VirtualMachine) { machines.append(vm) }

  func end(_ vm: VirtualMachine) {
    for cpu in loaded.indices where loaded[cpu] === vm {
      loaded[cpu] = nil
      vmids.put(cpu)
    }
    machines.removeAll { $0 === vm }
  }

  /// The VM with which a VFIO device was registered, for BIND.
  func machine(of device: File) -> VirtualMachine? {
    for vm in machines where vm.hasDevice(device) { return vm }
    return nil
  }

  // MARK: Broadcast TLB maintenance

  /// TLBI ALLE1IS, with which a round of VMIDs ends.
  func invalidateAll() { broadcast(.everything) }

  /// The guest on a CPU executes a TLBI; the VMID in `scope` is its VM's, as the CPU puts it there.
  /// EINVAL if no vCPU is on that CPU.
  func invalidate(on cpu: Int, _ scope: (VMID) -> TLBInvalidation) throws(Errno) {
    guard loaded.indices.contains(cpu), let vm = loaded[cpu] else { throw .einval }
    broadcast(scope(vm.vmid))
  }

  private func broadcast(_ scope: TLBInvalidation) { for smmu in smmus { smmu.broadcast(scope) } }
}
