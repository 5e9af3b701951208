// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// The VMIDs of one physical SMMU's stages 2.
///
/// Released kernels number them for themselves. Where the SMMU takes part in broadcast maintenance
/// its numbers and KVM's are the same space: a VM's is the one that KVM programs, pinned, and any
/// other is pinned for its stage 2 alone. On a kernel that links both, an SMMU that does not take
/// part draws from the same space too, but never a VM's number.
final class StreamVMIDs {
  /// A number that STEs may name.
  struct Holding {
    let vmid: VMID
    let vm: VirtualMachine?
    /// Of KVM's allocator.
    let holder: VMIDHolder?
    var count: Int
  }

  let bits: Int
  let takesPart: Bool
  private(set) var holdings: [Holding] = []
  private let kvm: VMIDAllocator?
  private var own: NumberSet

  /// An SMMU takes part only if its VMIDs are as wide as KVM's: else two VMs could be one to it.
  init(bits: Int, canBroadcast: Bool, kvm: VMIDAllocator?) {
    self.bits = bits
    self.kvm = kvm
    takesPart = canBroadcast && kvm != nil && bits >= (kvm?.bits ?? 0)
    own = NumberSet(bits: bits)
    own.insert(0)
  }

  func take(for vm: VirtualMachine?) throws(Errno) -> VMID {
    guard let kvm else {
      guard let number = own.firstAbsent(from: 1, below: 1 << bits) else { throw .enospc }
      own.insert(number)
      return note(VMID(number), vm: vm, holder: nil)
    }
    if let vm, takesPart { return note(try kvm.pin(vm.identity), vm: vm, holder: vm.identity) }
    let holder = try kvm.pinPrivate(below: 1 << bits)
    return note(kvm.vmid(of: holder), vm: vm, holder: holder)
  }

  private func note(_ vmid: VMID, vm: VirtualMachine?, holder: VMIDHolder?) -> VMID {
    for i in holdings.indices where holdings[i].vmid == vmid && holdings[i].holder === holder {
      holdings[i].count += 1
      return vmid
    }
    holdings.append(Holding(vmid: vmid, vm: vm, holder: holder, count: 1))
    return vmid
  }

  func isHeld(_ vmid: VMID) -> Bool { holdings.contains { $0.vmid == vmid } }

  /// The caller has made the SMMU forget it. What was never taken is left alone.
  func giveBack(_ vmid: VMID) {
    for i in holdings.indices where holdings[i].vmid == vmid {
      let holding = holdings[i]
      holdings[i].count -= 1
      if holdings[i].count == 0 { holdings.remove(at: i) }
      guard let holder = holding.holder else {
        own.remove(Int(vmid))
        return
      }
      do throws(Errno) { try kvm?.unpin(holder) } catch {}
      return
    }
  }
}
