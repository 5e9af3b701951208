// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec
import TestSupport

/// Streams that translate one page, `input`, whose target can be changed behind the SMMU's back:
/// what an access sees then tells what was cached and what was forgotten.
final class Streams {
  let guest: Guest
  let input: UInt64 = 0x12_3456_7000
  let first: UInt64 = 0x8_0000_1000
  let second: UInt64 = 0x8_0000_2000

  /// Level 3 descriptor of `input` in each stage 1 table, and the stage 2 ones of `first`.
  private var leaves: [UInt64] = []
  private var intermediateLeaves: [UInt64] = []

  init(_ guest: Guest) { self.guest = guest }

  // MARK: Tables: 4K granule, 39 bits from level 1

  private func table(_ parent: UInt64, _ address: UInt64, level: Int) -> UInt64 {
    let shift = UInt64(39 - 9 * level)
    let entry = parent + (address >> shift & 0x1ff) * 8
    if guest.machine[entry] == 0 { guest.machine[entry] = guest.allocate(4096) | 3 }
    return guest.machine[entry] & 0x0000_ffff_ffff_f000
  }

  /// Where the level 3 descriptor of an address is.
  func leaf(_ root: UInt64, _ address: UInt64) -> UInt64 {
    let level2 = table(root, address, level: 1)
    return table(level2, address, level: 2) + (address >> 12 & 0x1ff) * 8
  }

  /// AF, inner shareable, read-write at all privileges; not global unless asked for.
  static func page(_ target: UInt64, global: Bool = false) -> UInt64 {
    target | 3 | 1 << 10 | 3 << 8 | 1 << 6 | (global ? 0 : 1 << 11)
  }

  static func intermediatePage(_ target: UInt64) -> UInt64 {
    target | 3 | 1 << 10 | 3 << 8 | 3 << 6 | 0xf << 2
  }

  /// A stage 1 table that maps `input` to `first`.
  func stage1Table(global: Bool = false) -> UInt64 {
    let root = guest.allocate(4096)
    let leaf = leaf(root, input)
    guest.machine[leaf] = Self.page(first, global: global)
    leaves.append(leaf)
    return root
  }

  /// A stage 2 table that maps what stage 1 makes of `input`, and `input` itself, to `first`.
  func stage2Table() -> UInt64 {
    let root = guest.allocate(4096)
    for ipa in [first, second, input] {
      let leaf = leaf(root, ipa)
      guest.machine[leaf] = Self.intermediatePage(ipa == input ? first : ipa)
      if ipa != second { intermediateLeaves.append(leaf) }
    }
    return root
  }

  /// Makes RAM reachable one to one through a stage 2 table, in 2 MiB blocks.
  func identity(_ root: UInt64) {
    var address = GuestMachine.ramBase
    while address < GuestMachine.ramBase + guest.machine.ramSize {
      let level2 = table(root, address, level: 1)
      guest.machine[level2 + (address >> 21 & 0x1ff) * 8] = Self.intermediatePage(address) & ~2
      address += 1 << 21
    }
  }

  // MARK: Structures

  func context(_ root: UInt64, asid: ASID = 0, shared: Bool = true) -> ContextDescriptor {
    var cd = ContextDescriptor()
    cd[ContextDescriptor.t0sz] = 25
    cd[ContextDescriptor.epd1] = 1
    cd[ContextDescriptor.v] = 1
    cd[ContextDescriptor.ips] = 5
    cd[ContextDescriptor.aa64] = 1
    cd[ContextDescriptor.r] = 1
    cd[ContextDescriptor.a] = 1
    cd[ContextDescriptor.aset] = shared ? 0 : 1
    cd[ContextDescriptor.asid] = UInt64(asid)
    cd[ContextDescriptor.ttb0] = root >> 4
    cd[ContextDescriptor.mair0] = 0xff
    return cd
  }

  func entry(config: UInt64, contexts: UInt64 = 0, bits: UInt64 = 0) -> StreamTableEntry {
    var ste = StreamTableEntry()
    ste[StreamTableEntry.v] = 1
    ste[StreamTableEntry.config] = config
    ste[StreamTableEntry.s1ContextPtr] = contexts >> 6
    ste[StreamTableEntry.s1cdMax] = bits
    ste[StreamTableEntry.s1dss] = 2
    ste[StreamTableEntry.shcfg] = 1
    return ste
  }

  func addStage2(_ ste: inout StreamTableEntry, vmid: VMID, root: UInt64) {
    ste[StreamTableEntry.s2vmid] = UInt64(vmid)
    ste[StreamTableEntry.s2t0sz] = 25
    ste[StreamTableEntry.s2sl0] = 1
    ste[StreamTableEntry.s2ps] = 5
    ste[StreamTableEntry.s2aa64] = 1
    ste[StreamTableEntry.s2r] = 1
    ste[StreamTableEntry.s2ttb] = root >> 4
  }

  static func place(_ stream: StreamID) -> UInt64 { Guest.streamTable + UInt64(stream) * 64 }

  /// Writes the STE alone: for streams that were never used.
  func put(_ stream: StreamID, _ ste: StreamTableEntry) { guest.write(ste, at: Self.place(stream)) }

  @discardableResult
  func addStage1(
    stream: StreamID, asid: ASID = 0, vmid: VMID = 0, global: Bool = false, shared: Bool = true
  ) -> UInt64 {
    let contexts = guest.allocate(64, alignment: 64)
    guest.write(
      context(stage1Table(global: global), asid: asid, shared: shared), at: contexts)
    var ste = entry(config: 5, contexts: contexts)
    ste[StreamTableEntry.s2vmid] = UInt64(vmid)
    put(stream, ste)
    return contexts
  }

  func addStage2(stream: StreamID, vmid: VMID) {
    var ste = entry(config: 6)
    addStage2(&ste, vmid: vmid, root: stage2Table())
    put(stream, ste)
  }

  /// Both stages; tables are found through stage 2, one to one.
  func addNested(stream: StreamID, asid: ASID, vmid: VMID) {
    let root = stage2Table()
    identity(root)
    let contexts = guest.allocate(64, alignment: 64)
    guest.write(context(stage1Table(), asid: asid), at: contexts)
    var ste = entry(config: 7, contexts: contexts)
    addStage2(&ste, vmid: vmid, root: root)
    put(stream, ste)
  }

  // MARK: Probing

  /// What a read of `input` reaches; nil if it aborts.
  func reads(_ stream: StreamID, substream: SubstreamID? = nil) -> UInt64? {
    let result = guest.translate(stream, input, [], substream: substream)
    return result.kind == .ok ? result.address : nil
  }

  /// Points every stage 1 table at `second`, without telling the SMMU.
  func remap() {
    for leaf in leaves {
      guest.machine[leaf] = guest.machine[leaf] & ~0x0000_ffff_ffff_f000 | second
    }
  }

  /// Points every stage 2 table at `second`.
  func remapIntermediate() {
    for leaf in intermediateLeaves { guest.machine[leaf] = Self.intermediatePage(second) }
  }
}

/// The saved state, for comparison.
func savedState(of smmu: SMMU) -> [UInt8] {
  let size = smmu.save(into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
  var bytes = [UInt8](repeating: 0, count: size)
  _ = bytes.withUnsafeMutableBytes { smmu.save(into: $0) }
  return bytes
}
