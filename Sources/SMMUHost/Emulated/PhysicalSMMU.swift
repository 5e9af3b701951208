// SPDX-License-Identifier: MIT
import CKernel
import SMMUModel
import SMMUSpec

/// A physical SMMU with the kernel's driver for it: stream table, queues and VMIDs. Calls come with
/// the host's lock held, but for DMA.
final class PhysicalSMMU {
  /// What IOMMU_GET_HW_INFO tells: the raw registers.
  var information: iommufd_hw_info_arm_smmuv3 { fatalError("not yet") }
  /// S1P and S2P, no erratum against it; a vIOMMU also needs S2FWB or CANWBS.
  var canNest: Bool { fatalError("not yet") }
  var canHaveVIOMMU: Bool { fatalError("not yet") }
  var outputBits: Int { fatalError("not yet") }
  var features: Features { fatalError("not yet") }

  /// Takes a VMID for a stage 2: the pinned one of `vm` on a kernel that links them, else one of
  /// its own. ENOSPC if there is none.
  func takeVMID(for vm: VirtualMachine?) throws(Errno) -> VMID { fatalError("not yet") }
  /// Gives it back after CFGI of all STEs, TLBI_S12_VMALL and SYNC were issued by this call.
  func giveBack(_ vmid: VMID, of vm: VirtualMachine?) { fatalError("not yet") }

  /// Writes a stream's STE, invalidates its configuration and waits.
  func install(_ ste: StreamTableEntry, for stream: StreamID) { fatalError("not yet") }
  func entry(of stream: StreamID) -> StreamTableEntry { fatalError("not yet") }

  /// Issues commands and a CMD_SYNC, as one batch. ETIMEDOUT if the queue stopped at one of them.
  func issue(_ commands: [CommandWords]) throws(Errno) { fatalError("not yet") }

  /// Events that were recorded since the last call, oldest first. Without the host's lock.
  func takeEvents(_ each: (EventRecord) -> Void) { fatalError("not yet") }
}
