// SPDX-License-Identifier: MIT
import SMMUSpec

/// Stage 2 of one stream, from a valid STE (§5.2).
struct Stage2 {
  let table: TranslationTable
  let tag: TranslationTag
  let accessFlagIsOff: Bool
  let refusesDeviceWalks: Bool
  let hasXNX: Bool
  let isForced: Bool

  @inline(__always)
  init(_ ste: StreamTableEntry, _ geometry: TableGeometry, _ features: Features) {
    tag = TranslationTag(intermediate: VMID(truncatingIfNeeded: ste[StreamTableEntry.s2vmid]))
    table = TranslationTable(geometry, base: ste.stage2Table & UInt64.ones(52))
    accessFlagIsOff = ste.flag(StreamTableEntry.s2affd)
    // S2PTW acts on nested streams alone (§5.2).
    refusesDeviceWalks =
      ste.flag(StreamTableEntry.s2ptw) && ste[StreamTableEntry.config] == 0b111
    hasXNX = features.stage2ExecuteNeverExtended
    isForced = features.forcedWriteBack && ste.flag(StreamTableEntry.s2fwb)
  }

  /// S2SL0 counts from the bottom, and differently for 4K: there 3 is level 3 (§5.2 S2SL0).
  @inline(__always)
  static func startLevel(_ ste: StreamTableEntry, _ granule: Granule) -> Int {
    let sl0 = Int(truncatingIfNeeded: ste[StreamTableEntry.s2sl0])
    if granule == .size4K { return sl0 == 3 ? 3 : 2 - sl0 }
    return 3 - sl0
  }

  /// None.
  @inline(__always)
  init() {
    tag = TranslationTag(raw: 0)
    table = TranslationTable()
    accessFlagIsOff = false
    refusesDeviceWalks = false
    hasXNX = false
    isForced = false
  }
}

extension SMMU {
  /// Translates an IPA up to the Access flag; permissions are the caller's to judge (§7.3.22).
  @inline(__always)
  func translate(
    intermediate ipa: UInt64, _ accessClass: AccessClass, _ walker: inout Walker
  ) throws(Fault) -> Leaf {
    let stage2 = walker.stage2
    let purpose = WalkPurpose(stage2: true, accessClass: accessClass, ipa: ipa)
    if ipa & ~UInt64.low(stage2.table.geometry.inputBits) != 0 { throw purpose.fault(.translation) }
    let leaf = try walk(stage2.table, ipa, stage2.tag, purpose, &walker)
    if !leaf.descriptor.accessFlag && !stage2.accessFlagIsOff { throw purpose.fault(.access) }
    return leaf
  }

  /// The physical address of a structure or stage 1 descriptor, which is read as data by the SMMU
  /// itself (§13.1.2): S2AP alone counts, and S2PTW may refuse Device memory (§5.2 S2PTW).
  func structure(
    _ ipa: UInt64, _ accessClass: AccessClass, _ walker: inout Walker
  ) throws(Fault) -> (address: UInt64, size: Int) {
    let leaf = try translate(intermediate: ipa, accessClass, &walker)
    let memAttr = UInt8(truncatingIfNeeded: leaf.descriptor.stage2MemAttr)
    if !leaf.descriptor.stage2Read
      || walker.stage2.refusesDeviceWalks
        && MemoryAttributes.isDevice(stage2: memAttr, forced: walker.stage2.isForced)
    {
      throw WalkPurpose(stage2: true, accessClass: accessClass, ipa: ipa).fault(.permission)
    }
    return (leaf.address, leaf.size)
  }
}

extension TableGeometry {
  /// Of the stage 2 of a valid STE.
  init(stage2 ste: StreamTableEntry, _ features: Features) {
    // A valid STE has a granule; the default is never used.
    let granule = Granule(tg0: ste[StreamTableEntry.s2tg]) ?? .size4K
    self.init(
      granule: granule, inputBits: 64 - Int(truncatingIfNeeded: ste[StreamTableEntry.s2t0sz]),
      startLevel: Stage2.startLevel(ste, granule),
      outputSize: min(ste[StreamTableEntry.s2ps], features.outputSize),
      bigEndian: ste.flag(StreamTableEntry.s2endi))
  }
}
