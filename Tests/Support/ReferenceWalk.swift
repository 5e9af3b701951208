// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// An SMMU written a second time, slowly and differently, for comparison: no caches, structures as
/// raw bits by their number in the architecture, tables of §5.2, §5.4, D8.2 and D8.4 written out.
/// Linear stream tables and NS-EL1 only.
public struct ReferenceWalk {
  let features: Features
  /// An aligned little-endian 64-bit read; nil is an external abort.
  let read: (UInt64) -> UInt64?
  let streamTable: UInt64
  let streamBits: Int
  public var recordsBadStreams = true

  public init(
    _ features: Features, streamTable: UInt64, streamBits: Int,
    read: @escaping (UInt64) -> UInt64?
  ) {
    self.features = features
    self.streamTable = streamTable
    self.streamBits = streamBits
    self.read = read
  }

  public enum Mode: Sendable { case abort, bypass, stage1, stage2, nested }

  /// What a configuration cache may hold.
  public struct Context: Equatable, Sendable {
    public var mode: Mode
    public var ste: [UInt64]
    public var cd: [UInt64]?

    public var vmid: UInt64 { bits(ste, 143, 128) }
    public var asid: UInt64 { cd.map { bits($0, 63, 48) } ?? 0 }
    public var nonShared: Bool { cd.map { bit($0, 47) } ?? false }
  }

  /// What a TLB may hold.
  public struct Page: Equatable, Sendable {
    /// Input page: first byte and log2 of its size.
    public var input: UInt64
    public var size: Int
    public var output: UInt64
    /// Unprivileged then privileged: read, write, execute.
    public var permissions: [Bool]
    public var isGlobal: Bool
  }

  struct Failure: Error {
    var event: EventKind?
    var stage2 = false
    var accessClass: UInt64 = 2
    var ipa: UInt64 = 0
    var fetch: UInt64 = 0
    var writeWasFine = false
  }

  public struct Answer: Equatable, Sendable {
    public var kind: Translation.Kind
    public var address: UInt64 = 0
    public var length: UInt64 = 0
    public var permissions: UInt8 = 0
    /// The record that is written, if any.
    public var record: [UInt64]?

    init(
      kind: Translation.Kind, address: UInt64 = 0, length: UInt64 = 0, permissions: UInt8 = 0
    ) {
      self.kind = kind
      self.address = address
      self.length = length
      self.permissions = permissions
    }

    /// What the model answered, with the record that it wrote.
    public init(_ translation: Translation, record: [UInt64]?) {
      kind = translation.kind
      self.record = record
      guard kind == .ok else { return }
      address = translation.address
      length = translation.length
      permissions = translation.permissions
    }
  }

  var oas: Int { min(sizeBits(UInt64(features[.idr5, IDR5.oas])), 48) }

  // MARK: The whole

  public func answer(_ access: Access) -> Answer {
    var known: Context?
    do throws(Failure) {
      let context = try context(access, &known)
      known = context
      return try answer(access, context)
    } catch {
      return refusal(error, access, known)
    }
  }

  /// The answer with a configuration that may be an old one.
  public func answer(_ access: Access, with context: Context) -> Answer {
    do throws(Failure) {
      return try answer(access, context)
    } catch {
      return refusal(error, access, context)
    }
  }

  private func answer(_ access: Access, _ context: Context) throws(Failure) -> Answer {
    switch context.mode {
    case .abort: throw Failure(event: nil)
    case .bypass:
      if exceeds(access.address, oas) { throw Failure(event: .addressSize) }
      return Answer(
        kind: .ok, address: access.address, length: (1 << UInt64(oas)) - access.address,
        permissions: 7)
    default:
      let page = try page(access, context)
      return answer(access, context, page)!
    }
  }

  /// The page that a TLB would keep, or nil where the walk or its permissions fail.
  public func pageIfAllowed(_ access: Access, _ context: Context) -> Page? {
    try? page(access, context)
  }

  /// The answer of a page, nil if it refuses the access.
  public func answer(_ access: Access, _ context: Context, _ page: Page) -> Answer? {
    guard allows(page.permissions, access, context.ste) else { return nil }
    let offset = access.address & ((1 << UInt64(page.size)) - 1)
    // A read, a write and a fetch of this privilege, each asked for itself.
    var visible: UInt8 = 0
    for (i, kind) in ([[], .write, .instruction] as [AccessFlags]).enumerated() {
      var other = access
      other.flags = access.flags.subtracting([.write, .instruction, .atomic]).union(kind)
      if allows(page.permissions, other, context.ste) { visible |= 1 << UInt8(i) }
    }
    return Answer(
      kind: .ok, address: page.output + offset, length: (1 << UInt64(page.size)) - offset,
      permissions: visible)
  }

  // MARK: The access

  private func isWrite(_ access: Access) -> Bool {
    access.flags.contains(.write) || access.flags.contains(.atomic)
  }

  private func privileged(_ access: Access, _ ste: [UInt64]) -> Bool {
    if features.attributePermissionsOverride {
      switch bits(ste, 113, 112) {
      case 2: return false
      case 3: return true
      default: break
      }
    }
    return access.flags.contains(.privileged)
  }

  private func instruction(_ access: Access, _ ste: [UInt64]) -> Bool {
    if isWrite(access) { return false }
    if features.attributePermissionsOverride {
      switch bits(ste, 115, 114) {
      case 2: return false
      case 3: return true
      default: break
      }
    }
    return access.flags.contains(.instruction)
  }

  private func allows(_ permissions: [Bool], _ access: Access, _ ste: [UInt64]) -> Bool {
    let first = privileged(access, ste) ? 3 : 0
    if instruction(access, ste) { return permissions[first + 2] }
    if isWrite(access) {
      guard permissions[first + 1] else { return false }
      return !access.flags.contains(.atomic) || permissions[first]
    }
    return permissions[first]
  }

  // MARK: Walks

  struct Geometry {
    var granule: ReferenceGranule
    var inputBits: Int
    var start: Int
    var base: UInt64
    var outputBits: Int
    var bigEndian: Bool
  }

  struct Leaf {
    var descriptor: UInt64
    var address: UInt64
    var size: Int
    var tables: UInt64
  }

  /// D8.2, one level after the other. `fetch` reads a descriptor; `fail` makes the stage's fault.
  private func walk(
    _ g: Geometry, _ input: UInt64, _ fetch: (UInt64) throws(Failure) -> UInt64,
    _ fail: (EventKind) -> Failure
  ) throws(Failure) -> Leaf {
    var table = g.base
    var tables: UInt64 = 0
    for level in g.start...3 {
      let low = g.granule.low[level]
      let top = level == g.start ? g.inputBits : g.granule.low[level - 1]
      // The index, bit by bit; then the table's own alignment at the first level.
      var index: UInt64 = 0
      for position in stride(from: top - 1, through: low, by: -1) {
        index = index * 2 + (input >> UInt64(position)) % 2
      }
      if level == g.start {
        let bytes: UInt64 = (1 << UInt64(top - low)) * 8
        table -= table % bytes
      }
      var descriptor = try fetch(table + index * 8)
      if g.bigEndian { descriptor = descriptor.byteSwapped }
      let isPage = level == 3 && descriptor & 3 == 3
      let isBlock = level < 3 && descriptor & 3 == 1 && g.granule.blocks.contains(level)
      let isTable = level < 3 && descriptor & 3 == 3
      guard isPage || isBlock || isTable else { throw fail(.translation) }
      let unit = isTable ? g.granule.rawValue : low
      let within = descriptor & 0x0000_ffff_ffff_ffff
      let address = within - within % (1 << UInt64(unit))
      var full = address
      if g.granule == .k64 { full |= (descriptor >> 12 & 0xf) << 48 }
      if exceeds(full, g.outputBits) { throw fail(.addressSize) }
      if isTable {
        table = address
        tables |= descriptor
        continue
      }
      return Leaf(
        descriptor: descriptor, address: address + input % (1 << UInt64(low)), size: low,
        tables: tables)
    }
    throw fail(.translation)
  }

  private func stage2Geometry(_ ste: [UInt64]) -> Geometry? {
    guard let granule = ReferenceGranule(tg0: bits(ste, 175, 174)),
      let row = granule.stage2(sl0: bits(ste, 167, 166), smallTables: features.smallTables)
    else { return nil }
    return Geometry(
      granule: granule, inputBits: 64 - Int(bits(ste, 165, 160)), start: row.level,
      base: bits(ste, 243, 196) << 4, outputBits: min(sizeBits(bits(ste, 178, 176)), oas),
      bigEndian: bit(ste, 180))
  }

  /// Stage 2 up to the Access flag.
  private func stage2(
    _ ipa: UInt64, _ ste: [UInt64], _ accessClass: UInt64
  ) throws(Failure) -> Leaf {
    func fail(_ event: EventKind) -> Failure {
      Failure(event: event, stage2: true, accessClass: accessClass, ipa: ipa)
    }
    let geometry = stage2Geometry(ste)!
    if exceeds(ipa, geometry.inputBits) { throw fail(.translation) }
    let leaf = try walk(
      geometry, ipa,
      { (address) throws(Failure) -> UInt64 in
        if let word = read(address) { return word }
        throw Failure(
          event: .walkAbort, stage2: true, accessClass: accessClass, fetch: address)
      }, fail)
    if leaf.descriptor >> 10 & 1 == 0 && !bit(ste, 181) { throw fail(.access) }
    return leaf
  }

  /// The physical address of something that the SMMU reads for itself behind stage 2.
  private func throughStage2(
    _ ipa: UInt64, _ ste: [UInt64], _ accessClass: UInt64
  ) throws(Failure) -> UInt64 {
    let leaf = try stage2(ipa, ste, accessClass)
    let memAttr = leaf.descriptor >> 2 & 15
    let forced = features.forcedWriteBack && bit(ste, 89)
    // D8.6.5: outer 0 is Device, inner 0 is reserved and acts as it. D8.6.6 with FWB.
    let isDevice =
      forced ? [0, 1, 2, 3, 4].contains(memAttr & 7) : memAttr >> 2 == 0 || memAttr & 3 == 0
    if leaf.descriptor >> 6 & 1 == 0 || (bit(ste, 182) && isDevice) {
      throw Failure(event: .permission, stage2: true, accessClass: accessClass, ipa: ipa)
    }
    return leaf.address
  }

  private func stage2Permissions(_ descriptor: UInt64) -> [Bool] {
    let read = descriptor >> 6 & 1 == 1, write = descriptor >> 7 & 1 == 1
    let never = descriptor >> 53 & 3
    let execute: (Bool, Bool)
    if features.stage2ExecuteNeverExtended {
      execute = [(true, true), (true, false), (false, false), (false, true)][Int(never)]
    } else {
      execute = never >= 2 ? (false, false) : (true, true)
    }
    return [read, write, execute.0, read, write, execute.1]
  }

  private func check(
    _ permissions: [Bool], _ access: Access, _ ste: [UInt64], _ failure: Failure
  ) throws(Failure) {
    if allows(permissions, access, ste) { return }
    var failure = failure
    failure.writeWasFine =
      access.flags.contains(.atomic) && permissions[privileged(access, ste) ? 4 : 1]
    throw failure
  }

  private func page(_ access: Access, _ context: Context) throws(Failure) -> Page {
    let address = access.address
    if context.mode == .stage2 {
      if exceeds(address, oas) { throw Failure(event: .addressSize) }
      let leaf = try stage2(address, context.ste, 2)
      let permissions = stage2Permissions(leaf.descriptor)
      try check(
        permissions, access, context.ste, Failure(event: .permission, stage2: true, ipa: address))
      return page(address, leaf.address, leaf.size, permissions, false)
    }
    let (first, permissions) = try stage1(access, context)
    let isGlobal = first.descriptor >> 11 & 1 == 0
    guard context.mode == .nested else {
      return page(address, first.address, first.size, permissions, isGlobal)
    }
    let second = try stage2(first.address, context.ste, 2)
    let below = stage2Permissions(second.descriptor)
    try check(
      below, access, context.ste,
      Failure(event: .permission, stage2: true, ipa: first.address))
    return page(
      address, second.address, min(first.size, second.size),
      zip(permissions, below).map { $0 && $1 }, isGlobal)
  }

  private func page(
    _ input: UInt64, _ output: UInt64, _ size: Int, _ permissions: [Bool], _ isGlobal: Bool
  ) -> Page {
    let bytes: UInt64 = 1 << UInt64(size)
    return Page(
      input: input - input % bytes, size: size, output: output - output % bytes,
      permissions: permissions, isGlobal: isGlobal)
  }

  private func stage1(
    _ access: Access, _ context: Context
  ) throws(Failure) -> (Leaf, [Bool]) {
    let cd = context.cd!, address = access.address
    func fail(_ event: EventKind) -> Failure { Failure(event: event) }
    let upper = address >> 55 & 1 == 1
    let txsz = Int(upper ? bits(cd, 21, 16) : bits(cd, 5, 0))
    if bit(cd, upper ? 30 : 14) { throw fail(.translation) }
    // VA[top:64-TxSZ] must all equal VA[55].
    let top = bit(cd, upper ? 39 : 38) ? 55 : 63
    if 64 - txsz <= top {
      for position in 64 - txsz...top where (address >> UInt64(position) & 1 == 1) != upper {
        throw fail(.translation)
      }
    }
    let granule =
      upper
      ? ReferenceGranule(tg1: bits(cd, 23, 22))! : ReferenceGranule(tg0: bits(cd, 7, 6))!
    let geometry = Geometry(
      granule: granule, inputBits: 64 - txsz, start: granule.start(txsz: txsz),
      base: (upper ? bits(cd, 179, 132) : bits(cd, 115, 68)) << 4,
      outputBits: min(sizeBits(bits(cd, 34, 32)), oas), bigEndian: bit(cd, 15))
    let leaf = try walk(
      geometry, address,
      { (ipa) throws(Failure) -> UInt64 in
        let physical =
          context.mode == .nested ? try throughStage2(ipa, context.ste, 1) : ipa
        if let word = read(physical) { return word }
        throw Failure(event: .walkAbort, accessClass: 1, fetch: physical)
      }, fail)
    if leaf.descriptor >> 10 & 1 == 0 && !bit(cd, 35) { throw fail(.access) }
    let hierarchy = features.hierarchicalAttributeDisable && bit(cd, upper ? 129 : 65)
    let permissions = stage1Permissions(leaf.descriptor, hierarchy ? 0 : leaf.tables, cd)
    try check(permissions, access, context.ste, fail(.permission))
    return (leaf, permissions)
  }

  /// The table of D8.4.1.2, then APTable, PXN, UXN, WXN and PAN as J1.1 applies them.
  private func stage1Permissions(_ leaf: UInt64, _ tables: UInt64, _ cd: [UInt64]) -> [Bool] {
    var (pr, pw, ur, uw): (Bool, Bool, Bool, Bool)
    switch leaf >> 6 & 3 {
    case 0: (pr, pw, ur, uw) = (true, true, false, false)
    case 1: (pr, pw, ur, uw) = (true, true, true, true)
    case 2: (pr, pw, ur, uw) = (true, false, false, false)
    default: (pr, pw, ur, uw) = (true, false, true, false)
    }
    if tables >> 61 & 1 == 1 { (ur, uw) = (false, false) }
    if tables >> 62 & 1 == 1 { (pw, uw) = (false, false) }
    var px = leaf >> 53 & 1 == 0 && tables >> 59 & 1 == 0
    var ux = leaf >> 54 & 1 == 0 && tables >> 60 & 1 == 0
    if uw { px = false }
    if bit(cd, 40) && ur { (pr, pw) = (false, false) }
    if bit(cd, 36) {
      if pw { px = false }
      if uw { ux = false }
    }
    return [ur, uw, ux, pr, pw, px]
  }
}

// MARK: Configuration

extension ReferenceWalk {
  func structure(_ address: UInt64) -> [UInt64]? {
    if exceeds(address, oas) { return nil }
    var words: [UInt64] = []
    for i in 0..<8 {
      guard let word = read(address + UInt64(i) * 8) else { return nil }
      words.append(word)
    }
    return words
  }

  /// The configuration, or nil where it faults.
  public func contextIfValid(_ access: Access) -> Context? {
    var known: Context?
    return try? context(access, &known)
  }

  func context(_ access: Access, _ known: inout Context?) throws(Failure) -> Context {
    if exceeds(UInt64(access.stream), min(streamBits, features.streamIDBits)) {
      throw Failure(event: .badStreamID)
    }
    let at = streamTable + UInt64(access.stream) * 64
    guard let ste = structure(at) else { throw Failure(event: .steFetch, fetch: at) }
    guard isLegal(ste: ste) else { throw Failure(event: .badSTE) }
    let substream = access.flags.contains(.substream) ? access.substream : nil
    switch bits(ste, 3, 1) {
    case 0...3: return Context(mode: .abort, ste: ste)
    case 4, 6:
      if substream != nil { throw Failure(event: .badSubstreamID) }
      return Context(mode: bits(ste, 3, 1) == 4 ? .bypass : .stage2, ste: ste)
    default: break
    }
    let isNested = bits(ste, 3, 1) == 7
    let max = features.substreamIDBits == 0 ? 0 : Int(bits(ste, 63, 59))
    var index: UInt32 = 0
    if max == 0 {
      if substream != nil { throw Failure(event: .badSubstreamID) }
    } else if let substream {
      if exceeds(UInt64(substream), max) { throw Failure(event: .badSubstreamID) }
      if bits(ste, 65, 64) == 2 && substream == 0 { throw Failure(event: .streamDisabled) }
      index = substream
    } else {
      switch bits(ste, 65, 64) {
      case 1: return Context(mode: isNested ? .stage2 : .bypass, ste: ste)
      case 2: index = 0
      default: throw Failure(event: .streamDisabled)
      }
    }
    known = Context(mode: isNested ? .nested : .stage1, ste: ste)
    let cd = try descriptor(ste, UInt64(index), max, isNested)
    guard isLegal(cd: cd) else { throw Failure(event: .badCD) }
    return Context(mode: isNested ? .nested : .stage1, ste: ste, cd: cd)
  }

  private func descriptor(
    _ ste: [UInt64], _ index: UInt64, _ max: Int, _ isNested: Bool
  ) throws(Failure) -> [UInt64] {
    func physical(_ address: UInt64) throws(Failure) -> UInt64 {
      isNested ? try throughStage2(address, ste, 0) : address
    }
    var table = bits(ste, 55, 6) << 6
    let format = bits(ste, 5, 4)
    let address: UInt64
    if max == 0 || format == 0 || format == 3 {
      if max > 0 { table -= table % (64 << UInt64(max)) }
      address = table + index * 64
    } else {
      let leafBits = format == 1 ? 6 : 10
      if max > leafBits + 3 { table -= table % (8 << UInt64(max - leafBits)) }
      let at = try physical(table + (index >> UInt64(leafBits)) * 8)
      guard !exceeds(at, oas), let word = read(at) else {
        throw Failure(event: .cdFetch, fetch: at)
      }
      var pointer = bits([word], 55, 12) << 12
      guard word & 1 == 1, !exceeds(pointer, oas) else { throw Failure(event: .badSubstreamID) }
      if format == 2 { pointer -= pointer % 0x1_0000 }
      address = pointer + index % (1 << UInt64(leafBits)) * 64
    }
    let at = try physical(address)
    guard let cd = structure(at) else { throw Failure(event: .cdFetch, fetch: at) }
    return cd
  }

  /// Where CD 0 of a linear table is in physical memory, nil if stage 2 does not lead there.
  public func contextAddress(_ ste: [UInt64]) -> UInt64? {
    let table = bits(ste, 55, 6) << 6
    return bits(ste, 3, 1) == 7 ? try? throughStage2(table, ste, 0) : table
  }

  /// The same for an STE that may be illegal.
  public func contextAddressIfLegal(_ ste: [UInt64]) -> UInt64? {
    isLegal(ste: ste) && bit(ste, 1) ? contextAddress(ste) : nil
  }

  private func endianness(_ isBig: Bool) -> Bool {
    switch features.endianness {
    case 2: !isBig
    case 3: isBig
    default: true
    }
  }

  private func offers(_ granule: ReferenceGranule) -> Bool {
    switch granule {
    case .k4: features[.idr5, IDR5.gran4K] == 1
    case .k16: features[.idr5, IDR5.gran16K] == 1
    case .k64: features[.idr5, IDR5.gran64K] == 1
    }
  }

  private func largest(_ granule: ReferenceGranule) -> Int {
    features.smallTables ? (granule == .k64 ? 47 : 48) : 39
  }

  /// §5.2.2.
  public func isLegal(ste: [UInt64]) -> Bool {
    if !bit(ste, 0) { return false }
    if !bit(ste, 3) { return true }
    if bit(ste, 1) {
      if !features.stage1 { return false }
      if bit(ste, 91) && features.stallModel != 0 { return false }
      if exceeds(bits(ste, 55, 6) << 6, oas) { return false }
      let max = Int(bits(ste, 63, 59)), format = bits(ste, 5, 4)
      if features.substreamIDBits > 0 {
        if max > features.substreamIDBits { return false }
        if max > 0 && !features.twoLevelCDs && (format == 1 || format == 2) { return false }
      }
    }
    if features.stage2 && (bit(ste, 1) || bit(ste, 2)) && !features.vmid16
      && bits(ste, 143, 136) != 0
    {
      return false
    }
    return !bit(ste, 2) || isLegalStage2(ste)
  }

  private func isLegalStage2(_ ste: [UInt64]) -> Bool {
    guard features.stage2, bit(ste, 179), !bit(ste, 183), !bit(ste, 184), !bit(ste, 185),
      endianness(bit(ste, 180)),
      let granule = ReferenceGranule(tg0: bits(ste, 175, 174)), offers(granule),
      let row = granule.stage2(sl0: bits(ste, 167, 166), smallTables: features.smallTables)
    else { return false }
    let t0sz = Int(bits(ste, 165, 160))
    guard row.t0sz.contains(t0sz), oas >= row.oas, t0sz >= 64 - oas, t0sz <= largest(granule)
    else { return false }
    let size = min(sizeBits(bits(ste, 178, 176)), oas)
    return !exceeds(bits(ste, 243, 196) << 4, size)
  }

  /// §5.4.2.
  public func isLegal(cd: [UInt64]) -> Bool {
    guard bit(cd, 31), bit(cd, 41), !bit(cd, 42), !bit(cd, 43), !bit(cd, 44) else { return false }
    if features.terminateIsAbort && !bit(cd, 46) { return false }
    if !features.asid16 && bits(cd, 63, 56) != 0 { return false }
    let lower = !bit(cd, 14), upper = !bit(cd, 30)
    if (lower || upper) && !endianness(bit(cd, 15)) { return false }
    let size = min(sizeBits(bits(cd, 34, 32)), oas)
    func half(_ granule: ReferenceGranule?, _ txsz: Int, _ table: UInt64) -> Bool {
      guard let granule, offers(granule) else { return false }
      return txsz >= 16 && txsz <= largest(granule) && !exceeds(table << 4, size)
    }
    if lower
      && !half(ReferenceGranule(tg0: bits(cd, 7, 6)), Int(bits(cd, 5, 0)), bits(cd, 115, 68))
    {
      return false
    }
    return !upper
      || half(ReferenceGranule(tg1: bits(cd, 23, 22)), Int(bits(cd, 21, 16)), bits(cd, 179, 132))
  }
}

// MARK: Refusals

extension ReferenceWalk {
  /// §3.12, §5.5, §7.2, and the record by table 10.5 and §7.3.
  func refusal(_ failure: Failure, _ access: Access, _ context: Context?) -> Answer {
    var answer = Answer(kind: .abort)
    guard let event = failure.event, !access.flags.contains(.speculative) else { return answer }
    let isTranslationFault = [.translation, .addressSize, .access, .permission].contains(event)
    var isRecorded = event != .badStreamID || recordsBadStreams
    if isTranslationFault, let context {
      if failure.stage2 {
        isRecorded = bit(context.ste, 186)
      } else if let cd = context.cd {
        isRecorded = bit(cd, 45)
        if !bit(cd, 46) { answer.kind = .razwi }
      }
    }
    guard isRecorded else { return answer }
    var w = [UInt64](repeating: 0, count: 4)
    w[0] = UInt64(event.rawValue) | UInt64(access.stream) << 32
    if access.flags.contains(.substream) && event != .streamDisabled {
      w[0] |= (UInt64(access.substream) & 0xf_ffff) << 12
      if event != .badSubstreamID { w[0] |= 1 << 11 }
    }
    let limit: UInt64 = (1 << UInt64(oas)) - 1
    if isTranslationFault || event == .walkAbort {
      let ste = context?.ste ?? Array(repeating: 0, count: 8)
      let isRead = !isWrite(access) || failure.writeWasFine
      if privileged(access, ste) { w[1] |= 1 << 33 }
      if isRead && instruction(access, ste) { w[1] |= 1 << 34 }
      if isRead { w[1] |= 1 << 35 }
      if failure.stage2 { w[1] |= 1 << 39 }
      w[1] |= failure.accessClass << 40
      if event == .permission && failure.accessClass == 1 { w[1] |= 1 << 44 }
      w[2] = access.address
    }
    if [.steFetch, .cdFetch, .walkAbort].contains(event) {
      w[3] = failure.fetch & limit & ~7
    } else if failure.stage2 {
      w[3] = failure.ipa & limit & ~0xfff
    }
    answer.record = w
    return answer
  }
}
