// SPDX-License-Identifier: MIT
import SMMUSpec

/// Stage 2 of one stream, from a valid STE (§5.2).
struct Stage2 {
  let table: TranslationTable
  let tag: TranslationTag
  /// Of the walk cache, when the stream's configuration was looked up.
  let epoch: UInt32
  let accessFlagIsOff: Bool
  let refusesDeviceWalks: Bool
  let hasXNX: Bool
  let isForced: Bool

  struct Output {
    let address: UInt64
    let size: Int
    let descriptor: TranslationDescriptor
  }

  @inline(__always)
  init(
    _ ste: StreamTableEntry, _ geometry: TableGeometry, _ features: Features, epoch: UInt32
  ) {
    self.epoch = epoch
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

  /// Translates an IPA up to the Access flag; permissions are the caller's to judge (§7.3.22).
  @inline(__always)
  func translate(
    _ ipa: UInt64, _ smmu: SMMU, _ accessClass: AccessClass
  ) throws(Fault) -> Output {
    let purpose = WalkPurpose(stage2: true, accessClass: accessClass, ipa: ipa)
    if ipa & ~UInt64.ones(table.geometry.inputBits) != 0 { throw purpose.fault(.translation) }
    let leaf = try smmu.walk(
      table, ipa, tag, PhysicalSource(purpose: purpose), purpose, epoch)
    if !leaf.descriptor.accessFlag && !accessFlagIsOff { throw purpose.fault(.access) }
    return Output(address: leaf.address, size: leaf.size, descriptor: leaf.descriptor)
  }

  /// The physical address of a structure or stage 1 descriptor, which is read as data by the SMMU
  /// itself (§13.1.2): S2AP alone counts, and S2PTW may refuse Device memory (§5.2 S2PTW).
  @inline(__always)
  func structure(
    _ ipa: UInt64, _ smmu: SMMU, _ accessClass: AccessClass
  ) throws(Fault) -> Output {
    let output = try translate(ipa, smmu, accessClass)
    let memAttr = UInt8(truncatingIfNeeded: output.descriptor.stage2MemAttr)
    if !output.descriptor.stage2Read
      || refusesDeviceWalks && MemoryAttributes.isDevice(stage2: memAttr, forced: isForced)
    {
      throw WalkPurpose(stage2: true, accessClass: accessClass, ipa: ipa).fault(.permission)
    }
    return output
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

/// Descriptors by physical address.
struct PhysicalSource: DescriptorSource {
  let purpose: WalkPurpose

  @inline(__always)
  func place(of table: UInt64, _ geometry: TableGeometry) -> UInt64? { table }

  @inline(__always)
  func descriptor(at address: UInt64, _ smmu: SMMU) throws(Fault) -> UInt64 {
    do throws(BusAbort) { return try smmu.load64(address) } catch { throw purpose.abort(address) }
  }
}

/// Descriptors of a stage 1 table that lies behind stage 2 (§3.3.2).
struct IntermediateSource: DescriptorSource {
  let stage2: Stage2
  /// Of the last load: where it went, and log2 of what stage 2 maps around it.
  private var physical: UInt64 = 0
  private var size = 0

  @inline(__always)
  init(_ stage2: Stage2) { self.stage2 = stage2 }

  @inline(__always)
  mutating func descriptor(at address: UInt64, _ smmu: SMMU) throws(Fault) -> UInt64 {
    let output = try stage2.structure(address, smmu, .translationTable)
    (physical, size) = (output.address, output.size)
    do throws(BusAbort) {
      return try smmu.load64(physical)
    } catch {
      throw WalkPurpose.stage1.abort(physical)
    }
  }

  /// The last table in physical memory, if stage 2 maps it in one piece.
  @inline(__always)
  func place(of table: UInt64, _ geometry: TableGeometry) -> UInt64? {
    size >= geometry.shift ? physical.aligned(down: geometry.shift) : nil
  }
}
