// SPDX-License-Identifier: MIT
import CVSMMU
import Glibc
import SMMUAtomics

/// A guest, its SMMU and what surrounds it, for one run. Stream 1 is translated.
///
///     RAM + 0x00000 stream table   0x01000 CDs      0x02000 commands   0x03000 events
///     0x04000 0x05000 0x06000 stage 1, levels 1 to 3    0x07000 0x08000 0x09000 another one
///     0x0a000 0x0b000 0x0c000 stage 2 of RAM, level 1 to 3: an identity
///     0x0d000 0x0e000 0x0f000 stage 2 of `Block.old` and `.new`, level 2 and 3s
final class World {
  static let ram: UInt64 = 0x4000_0000
  static let bytes: UInt64 = 0x20_000
  /// No RAM: reads and writes reach the callbacks. Pages of data.
  static let data: UInt64 = 0x1_0000_0000

  enum Mode { case stage1, stage2, nested }

  let memory: UnsafeMutableRawPointer
  private(set) var device: OpaquePointer!
  let mode: Mode
  /// The change that a run is about has been made known to all.
  var isComplete = false
  /// Bytes written by DMA to `data`, by page.
  var written: [UInt64: Int] = [:]
  var copies: [Copy] = []
  /// Of the newest notice.
  var newest: UInt64 = 0
  /// By line.
  var pulses: [UInt32: Int] = [:]
  var twin: TwinRun?
  /// To be restored.
  var state: [UInt8] = []
  /// That the vSMMU may take.
  var host: OpaquePointer?
  /// Before there were looks.
  var counted = vsmmu_counters()
  private var producer: UInt64 = 0

  /// A translation that is kept outside.
  struct Copy {
    let stream: UInt32
    let first: UInt64
    let last: UInt64
    let output: UInt64
  }

  init(_ mode: Mode, flags: UInt32 = 0, keeps: Bool = false, features: String = "") {
    self.mode = mode
    memory = aligned_alloc(4096, Int(Self.bytes))
    memset(memory, 0, Int(Self.bytes))
    var config = vsmmu_config()
    config.size = UInt32(MemoryLayout<vsmmu_config>.size)
    config.flags = flags
    // So many that a TLBI looks for pages, not through all rows.
    config.tlb_entries = 64
    config.configuration_entries = 4
    let text = strdup(features)
    config.features = UnsafePointer(text)
    var ops = vsmmu_ops()
    ops.size = UInt32(MemoryLayout<vsmmu_ops>.size)
    ops.mem_read = { World.of($0).read($1, $2!, $3) }
    ops.mem_write = { World.of($0).write($1, $2!, $3) }
    ops.irq = { World.of($0).pulse($1) }
    if keeps { ops.invalidate = { World.of($0).drop($1!.pointee) } }
    let opaque = Unmanaged.passUnretained(self).toOpaque()
    var why = [CChar](repeating: 0, count: 200)
    guard vsmmu_create(&config, &ops, opaque, &device, &why, why.count) == 0 else {
      fatalError(String(cString: why))
    }
    free(text)
    expect(vsmmu_ram_add(device, Self.ram, Self.bytes, memory))
    expect(vsmmu_stream_add(device, 1))
    buildTables()
    start()
  }

  deinit {
    vsmmu_destroy(device)
    vsmmu_host_close(host)
    free(memory)
  }

  static func of(_ opaque: UnsafeMutableRawPointer?) -> World {
    Unmanaged<World>.fromOpaque(opaque!).takeUnretainedValue()
  }

  func expect(_ result: Int32) {
    guard result == 0 else { fatalError("a call of the scene answered \(result)") }
  }

  // MARK: Memory

  /// A word of RAM that the SMMU may be reading.
  subscript(_ offset: UInt64) -> UInt64 {
    get { place(offset).pointee.load(ordering: .acquiring) }
    set { place(offset).pointee.store(newValue, ordering: .releasing) }
  }

  private func place(_ offset: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
    (memory + Int(offset)).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  private func read(
    _ address: UInt64, _ data: UnsafeMutableRawPointer, _ length: UInt64
  ) -> Int32 {
    guard address >= Self.data else { return -1 }
    Scheduler.current?.pause()
    memset(data, 0, Int(length))
    return 0
  }

  private func write(_ address: UInt64, _ data: UnsafeRawPointer, _ length: UInt64) -> Int32 {
    guard address >= Self.data else { return -1 }
    Scheduler.current?.pause()
    written[address >> 12, default: 0] += Int(length)
    return 0
  }

  private func pulse(_ line: UInt32) {
    Scheduler.current?.pause()
    pulses[line, default: 0] += 1
  }

  // MARK: Registers and commands

  func write(_ offset: UInt64, _ width: UInt32, _ value: UInt64) {
    expect(vsmmu_mmio_write(device, offset, width, value))
  }

  func read(_ offset: UInt64, _ width: UInt32 = 4) -> UInt64 {
    var value: UInt64 = 0
    expect(vsmmu_mmio_read(device, offset, width, &value))
    return value
  }

  /// Queues commands with a CMD_SYNC behind them; returns when they are consumed.
  func command(_ words: (UInt64, UInt64)...) {
    for (low, high) in words + [(0x46, 0)] {
      let slot = 0x2000 + (producer & 63) * 16
      self[slot] = low
      self[slot + 8] = high
      producer = (producer + 1) & 127
    }
    write(0x98, 4, producer)
    guard read(0x9c) & 0x7f == producer else { fatalError("a command was not consumed") }
  }

  private func start() {
    write(0x80, 8, Self.ram)
    write(0x88, 4, 3)
    write(0x90, 8, (Self.ram + 0x2000) | 6)
    write(0xa0, 8, (Self.ram + 0x3000) | 5)
    write(0x2c, 4, 2)
    write(0x44, 4, 0x8000_1000)
    write(0x20, 4, 0xd)
  }

  var eventCount: Int {
    Int((read(0x100a8) &- read(0x100ac)) & 63)
  }

  // MARK: Tables

  static let leaf: UInt64 = 0x403 | 0x40 | 0x800
  static let block: UInt64 = 0x401 | 0x40 | 0x800
  static let stage2Leaf: UInt64 = 0x4ff
  /// IPAs of blocks that stage 2 maps by pages.
  enum Block {
    static let old: UInt64 = 0x8000_0000
    static let new: UInt64 = 0x8020_0000
  }

  private func buildTables() {
    let config: UInt64 = mode == .stage1 ? 5 : mode == .stage2 ? 6 : 7
    self[0x40] = 1 | config << 1 | (mode == .stage2 ? 0 : Self.ram + 0x1000)
    if mode != .stage1 {
      self[0x50] = 1 | 25 << 32 | 1 << 38 | 5 << 48 | 1 << 51 | 1 << 58
      self[0x58] = Self.ram + 0xa000
    }
    writeContext(0x1000, asid: 7, tables: 0x4000)
    writeContext(0x1040, asid: 7, tables: 0x7000)
    for base: UInt64 in [0x4000, 0x7000] {
      self[base] = (Self.ram + base + 0x1000) | 3
      self[base + 0x1000] = (Self.ram + base + 0x2000) | 3
    }
    self[0xa008] = (Self.ram + 0xb000) | 3
    self[0xb000] = (Self.ram + 0xc000) | 3
    for page in 0..<Self.bytes >> 12 {
      self[0xc000 + page * 8] = (Self.ram + page << 12) | Self.stage2Leaf
    }
    self[0xa010] = (Self.ram + 0xd000) | 3
    self[0xd000] = (Self.ram + 0xe000) | 3
    self[0xd008] = (Self.ram + 0xf000) | 3
    for page in 0..<16 as Range<UInt64> {
      self[0xe000 + page * 8] = Self.old(page) | Self.stage2Leaf
      self[0xf000 + page * 8] = Self.new(page) | Self.stage2Leaf
      // Data as an IPA is itself.
      self[0x4000 + 8] = 0
    }
    // IPAs 4 GiB and up, where data is: one block.
    self[0xa020] = Self.data | 0x4fd
  }

  func writeContext(_ offset: UInt64, asid: UInt64, tables: UInt64) {
    self[offset + 8] = Self.ram + tables
    self[offset + 0x18] = 0xff
    self[offset] =
      25 | 1 << 30 | 1 << 31 | 5 << 32 | 1 << 41 | 1 << 45 | 1 << 46 | asid << 48
  }

  /// Where pages are mapped before and after the change.
  static func old(_ page: UInt64) -> UInt64 { data + page << 12 }
  static func new(_ page: UInt64) -> UInt64 { data + (page + 16) << 12 }

  // MARK: DMA

  enum Answer: Hashable {
    case address(UInt64)
    case abort(event: UInt32)
    case absent
  }

  func translate(_ address: UInt64, stream: UInt32 = 1) -> Answer {
    kept(address, stream).answer
  }

  func kept(
    _ address: UInt64, _ stream: UInt32 = 1, flags: UInt32 = 0
  ) -> (answer: Answer, result: vsmmu_result) {
    var access = vsmmu_access()
    access.size = UInt32(MemoryLayout<vsmmu_access>.size)
    (access.stream, access.flags) = (stream, flags)
    access.address = address
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    let code = vsmmu_translate(device, &access, &result)
    if code == -ENOENT { return (.absent, result) }
    guard code == 0 else { fatalError("vsmmu_translate answered \(code)") }
    return (
      result.kind == 0 ? .address(result.address) : .abort(event: result.event), result
    )
  }

  /// Translates and keeps the answer, as whoever keeps copies is told to.
  func keep(_ address: UInt64) {
    let (answer, result) = kept(address)
    Scheduler.current?.pause()
    guard case .address(let output) = answer, result.generation > newest else { return }
    let mask = UInt64(1) << UInt64(result.page_bits) - 1
    copies.append(
      Copy(
        stream: 1, first: address & ~mask, last: address | mask,
        output: output - (address & mask)))
  }

  private func drop(_ what: vsmmu_invalidation) {
    newest = what.generation
    copies.removeAll { copy in
      switch what.kind {
      case VSMMU_INVALIDATE_RANGE: copy.first <= what.last && copy.last >= what.address
      case VSMMU_INVALIDATE_STREAMS:
        UInt64(copy.stream) >= what.address && UInt64(copy.stream) <= what.last
      default: true
      }
    }
  }

  /// A DMA write of some bytes at the start of each of two pages.
  func dma(_ address: UInt64) -> (code: Int32, kind: UInt32) {
    var access = vsmmu_access()
    access.size = UInt32(MemoryLayout<vsmmu_access>.size)
    access.stream = 1
    access.address = address + 0xff8
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    let code = withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { bytes in
      memset(bytes.baseAddress!, 0xa5, 16)
      return vsmmu_dma_write(device, &access, bytes.baseAddress!, 16, &result)
    }
    return (code, result.kind)
  }
}
