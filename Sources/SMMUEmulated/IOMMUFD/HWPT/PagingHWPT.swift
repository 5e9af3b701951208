// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// HWPT_PAGING: a page table that follows an address space.
///
/// Linux gives plain domains stage 1 tables. Here all are stage 2 tables, whose effect on a device
/// is the same; to be as frugal with VMIDs as Linux, a plain domain takes one only while it is
/// attached.
final class PagingHWPT: KernelObject {
  let ioas: KernelIOAS
  let smmu: PhysicalSMMU
  let flags: HWPTFlags
  /// Made by the kernel for a device that was attached to an IOAS: goes with its last attachment.
  let isAutomatic: Bool
  /// Whose VMID a nest parent takes, on kernels that link them.
  let vm: VirtualMachine?
  private let table: Stage2Table
  private(set) var vmid: VMID?
  private let fault: KernelFaultQueue?

  static func make(
    _ ioas: KernelIOAS, smmu: PhysicalSMMU, flags: HWPTFlags, for vm: VirtualMachine?,
    fault: KernelFaultQueue? = nil, isAutomatic: Bool = false
  ) throws(Errno) -> PagingHWPT {
    let isParent = flags.contains(.nestParent)
    guard let reserve = Reserve(bytes: Stage2Table.rootBytes) else { throw .enomem }
    defer { reserve.giveBack() }
    let vmid = isParent ? try smmu.takeVMID(for: vm) : nil
    let hwpt = reserve.covering {
      PagingHWPT(
        ioas, smmu: smmu, flags: flags, vm: vm, vmid: vmid, fault: fault, isAutomatic: isAutomatic)
    }
    do throws(Errno) {
      try ioas.add(hwpt, reach: UInt64.ones(isParent ? smmu.outputBits : 48))
    } catch {
      hwpt.tearDown()
      throw error
    }
    return hwpt
  }

  private init(
    _ ioas: KernelIOAS, smmu: PhysicalSMMU, flags: HWPTFlags, vm: VirtualMachine?,
    vmid: VMID?, fault: KernelFaultQueue?, isAutomatic: Bool
  ) {
    self.ioas = ioas
    self.smmu = smmu
    self.flags = flags
    self.vm = vm
    self.vmid = vmid
    self.fault = fault
    self.isAutomatic = isAutomatic
    table = Stage2Table(
      outputBits: smmu.outputBits, forcesWriteBack: Self.forcesWriteBack(smmu, flags))
  }

  /// Where it can, a nest parent overrides what a guest says of cacheability.
  private static func forcesWriteBack(_ smmu: PhysicalSMMU, _ flags: HWPTFlags) -> Bool {
    smmu.features.forcedWriteBack && flags.contains(.nestParent)
  }

  override func forEachHeld(_ body: (KernelObject) -> Void) {
    body(ioas)
    if let fault { body(fault) }
  }

  override func tearDown() {
    ioas.remove(self)
    giveBackVMID()
  }

  // MARK: What it maps

  func needed(for area: IOVAArea) -> Int {
    if area.isHole { return 0 }
    return table.needed(for: area.first, to: area.address, length: area.length)
  }

  func map(_ area: IOVAArea) {
    if area.isHole { return }
    table.map(
      area.first, to: area.address, length: area.length, readable: area.isReadable,
      writable: area.isWritable, isDevice: area.isDevice)
  }

  /// Whether the table leads anywhere at the beginning of an area.
  func maps(_ area: IOVAArea) -> Bool { table.maps(area.first) }

  func unmap(_ area: IOVAArea) {
    if area.isHole { return }
    table.unmap(area.first, length: area.length)
    invalidate(area)
  }

  /// Above this many pages, one command for all of the VMID is cheaper.
  private static var mostCommands: UInt64 { 64 }

  /// Stage 2 first, then what stage 1 has combined with it, then what devices keep of both.
  private func invalidate(_ area: IOVAArea) {
    guard let vmid else { return }
    var commands: [CommandWords] = []
    let pages = area.length >> 12
    if pages <= Self.mostCommands {
      for page in 0..<pages {
        let ipa = TLBIAddress(area.first + page << 12)
        commands.append(Command.tlbiS2IPA(vmid, ipa).words)
      }
    } else {
      commands.append(Command.tlbiS12VMAll(vmid).words)
    }
    if flags.contains(.nestParent) { commands.append(Command.tlbiNHAll(vmid).words) }
    smmu.issueForKernel(commands)
    smmu.clearEndpoints(of: vmid)
  }

  // MARK: Its VMID

  /// Before the first attachment.
  func prepareAttachment() throws(Errno) {
    if vmid == nil { vmid = try smmu.takeVMID(for: nil) }
  }

  /// After an attachment ended.
  func endAttachment() {
    if users == 0 && !flags.contains(.nestParent) { giveBackVMID() }
  }

  private func giveBackVMID() {
    guard let vmid else { return }
    smmu.giveBack(vmid, of: flags.contains(.nestParent) ? vm : nil)
    self.vmid = nil
  }

  /// The STE of a stream with this stage 2 and no stage 1. Accesses are to be faults where stage 1
  /// walks meet memory that is not normal (S2PTW), and faults are recorded (S2R).
  var entry: StreamTableEntry {
    var entry = StreamTableEntry()
    entry[StreamTableEntry.v] = 1
    entry[StreamTableEntry.config] = 6
    if Self.forcesWriteBack(smmu, flags) { entry[StreamTableEntry.s2fwb] = 1 }
    if smmu.features.attributeTypesOverride { entry[StreamTableEntry.shcfg] = 1 }
    (entry[word: 2], entry[word: 3]) = table.words
    entry[StreamTableEntry.s2vmid] = UInt64(vmid ?? 0)
    entry[StreamTableEntry.s2aa64] = 1
    entry[StreamTableEntry.s2ptw] = 1
    entry[StreamTableEntry.s2r] = 1
    return entry
  }
}

/// IOMMU_HWPT_ALLOC_*.
struct HWPTFlags: OptionSet {
  let rawValue: UInt32

  static var nestParent: HWPTFlags { HWPTFlags(rawValue: 1) }
  static var dirtyTracking: HWPTFlags { HWPTFlags(rawValue: 2) }
  static var faultQueue: HWPTFlags { HWPTFlags(rawValue: 4) }
  static var pasid: HWPTFlags { HWPTFlags(rawValue: 8) }
  static var all: HWPTFlags { HWPTFlags(rawValue: 15) }
}
