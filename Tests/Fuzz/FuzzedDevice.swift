// SPDX-License-Identifier: MIT
import CVSMMU

/// A device under test and what its guest keeps of it.
struct FuzzedDevice {
  let device: OpaquePointer
  private var config = vsmmu_config()
  private let features: [CChar]
  var producer: UInt64 = 0
  private var purse = 4
  let commandBits: UInt64 = 4

  /// The guest's use of its RAM.
  static let streamTable = World.ram
  static let commands = World.ram + 0x1000
  static let events = World.ram + 0x2000
  static let contexts = World.ram + 0x3000
  static let stage1 = World.ram + 0x4000
  static let stage2 = World.ram + 0x8000
  static let data = World.ram + 0xc000

  /// Any configuration; nil if it is refused.
  init?(_ input: inout Input) {
    config.size = UInt32(MemoryLayout<vsmmu_config>.size)
    let choice = input.byte()
    config.profile = UInt32(choice & 1)
    config.flags = UInt32(choice >> 1 & 31)
    config.command_budget = UInt32(choice >> 6) * 3
    config.tlb_entries = 16
    config.configuration_entries = 8
    features = Self.features(&input)
    guard let device = Self.create(config, features) else { return nil }
    self.device = device
    prepare(input.byte())
  }

  /// One on a host, with any configuration that suits it.
  init?(on host: OpaquePointer, _ input: inout Input) {
    config.size = UInt32(MemoryLayout<vsmmu_config>.size)
    let choice = input.byte()
    config.profile = UInt32(choice & 3) % 3
    // Direct queues, mostly; strict commands, failed streams that abort, recorded illegal STEs.
    config.flags = (choice & 0xc == 0 ? 0 : 512) | UInt32(choice >> 4 & 1) << 1
    config.flags |= UInt32(choice >> 5 & 1) << 7 | UInt32(choice >> 6 & 1) << 8
    config.command_budget = UInt32(choice >> 7) * 3
    config.host = host
    features = Self.hosted[input.below(Self.hosted.count)].utf8.map { CChar($0) } + [0]
    guard let device = Self.create(config, features) else { return nil }
    self.device = device
  }

  private static let hosted = ["ATS=1", "ATS=auto", "ATS=auto,OAS=auto,RIL=auto,SSIDSIZE=auto", ""]

  /// The same device again, with cold caches and this state.
  init?(like other: FuzzedDevice, _ state: [UInt8]) {
    (config, features) = (other.config, other.features)
    guard let device = Self.create(config, features) else { return nil }
    self.device = device
    let restored = vsmmu_restore(device, state, UInt64(state.count))
    require(restored == 0, "a device refuses the state of its like")
  }

  /// A device with this world's memory and streams 0 to 7.
  private static func create(_ config: vsmmu_config, _ features: [CChar]) -> OpaquePointer? {
    var config = config, ops = config.host == nil ? World.operations : World.hostedOperations
    var device: OpaquePointer?
    var message = [CChar](repeating: 0, count: 80)
    let status = features.withUnsafeBufferPointer { text in
      config.features = text.count > 1 ? text.baseAddress : nil
      return vsmmu_create(&config, &ops, nil, &device, &message, message.count)
    }
    guard status == 0, let device else {
      require(message[0] != 0, "a refusal without words")
      return nil
    }
    let added = vsmmu_ram_add(device, World.ram, UInt64(World.ramSize), World.memory)
    require(added == 0, "RAM was refused")
    guard config.host == nil else { return device }
    for stream in 0..<8 as Range<UInt32> { vsmmu_stream_add(device, stream) }
    return device
  }

  func destroy() { vsmmu_destroy(device) }

  /// Mostly none, sometimes one of these, sometimes what the input says.
  private static func features(_ input: inout Input) -> [CChar] {
    let known = [
      "", "", "", "SIDSIZE=32", "OAS=0", "SIDSIZE=6 ST_LEVEL=0", "SSIDSIZE=0",
      "STALL_MODEL=1 TERM_MODEL=1",
      "GRAN16K=0,GRAN64K=0", "ASID16=0 VMID16=0", "RIL=0", "MSI=0 COHACC=0", "TTENDIAN=3",
      "ATTR_TYPES_OVR=0", "CD2L=0 CMDQS=2 EVENTQS=1",
    ]
    let choice = input.below(known.count + 1)
    if choice < known.count { return known[choice].utf8.map { CChar($0) } + [0] }
    return (0..<input.below(32)).map { _ in CChar(bitPattern: input.byte()) } + [0]
  }

  // MARK: A guest that is set up, so that the input need not be

  func read(_ offset: UInt64, _ width: UInt32 = 4) -> UInt64 {
    var value: UInt64 = 0
    vsmmu_mmio_read(device, offset, width, &value)
    return value
  }

  func write(_ offset: UInt64, _ value: UInt64, _ width: UInt32 = 4) {
    vsmmu_mmio_write(device, offset, width, value)
  }

  func prepare(_ choice: UInt8) {
    guard choice & 0x80 == 0 else { return }
    prepareTables()
    for stream in 0..<8 as Range<UInt64> {
      if config.host == nil {
        prepareStream(stream, stream ^ UInt64(choice & 7))
      } else {
        prepareAssigned(stream, choice & 7 == 0 ? 5 : [5, 5, 5, 4, 0, 5, 6, 7][Int(stream)])
      }
    }
    write(0x28, 0xd75)
    write(0x2c, 2)
    write(0x80, Self.streamTable, 8)
    write(0x88, 4)
    write(0x90, Self.commands | commandBits, 8)
    write(0xa0, Self.events | 3, 8)
    write(0x50, choice & 8 != 0 ? 5 : 0)
    write(0x20, 0xd)
  }

  /// Level 1, 2 and 3 of a 39-bit space of 4 KiB pages, in both stages.
  private func prepareTables() {
    for (table, leaf) in [(Self.stage1, UInt64(0xf43)), (Self.stage2, UInt64(0x7ff))] {
      World[table] = (table + 0x1000) | 3
      World[table + 0x1000] = (table + 0x2000) | 3
      for page in 0..<16 as Range<UInt64> {
        World[table + 0x2000 + page * 8] = (Self.data + page * 0x1000) | leaf
      }
    }
    // The guest's tables are where its IPAs say, by one block.
    World[Self.stage2 + 0x1000] = (Self.stage2 + 0x2000) | 3
    World[Self.stage2 + 0x1008] = 0x7fd
  }

  private func prepareStream(_ stream: UInt64, _ kind: UInt64) {
    let ste = Self.streamTable + stream * 64, cd = Self.contexts + stream * 64
    let config: UInt64 = [5, 6, 7, 4, 0, 5, 5, 7][Int(kind & 7)]
    World[ste] = 1 | config << 1 | cd | (kind == 5 ? 2 << 59 : 0)
    World[ste + 8] = 1 << 44
    World[ste + 16] = stream | 25 << 32 | 1 << 38 | 5 << 48 | 1 << 51 | 1 << 58
    World[ste + 24] = Self.stage2
    World[cd] = 25 | 1 << 30 | 1 << 31 | 5 << 32 | 1 << 41 | 1 << 45 | 1 << 46 | stream << 48
    World[cd + 8] = Self.stage1
    World[cd + 24] = 0x44ff
  }

  /// Stage 1 of which a device may keep translations, or what else Config says.
  private func prepareAssigned(_ stream: UInt64, _ config: UInt64) {
    prepareStream(stream, 0)
    World[Self.streamTable + stream * 64] ^= (5 ^ config) << 1
    World[Self.streamTable + stream * 64 + 8] |= 1 << 28
  }

  // MARK: Steps

  mutating func step(_ input: inout Input) {
    switch input.below(16) {
    case 0: writeRegister(&input)
    case 1: _ = read(UInt64(input.word(2)) * 4 % 0x20000, input.byte() & 1 == 0 ? 4 : 8)
    case 2: write(input.word(3), input.word(), UInt32(input.byte()))
    case 3, 4: writeMemory(&input)
    case 5, 6, 7: command(&input)
    case 8, 9, 10: translate(&input)
    case 11: transfer(&input)
    case 12: vsmmu_run(device, UInt32(input.byte()))
    case 13 where spend(): saveAndRestore(&input)
    case 14: administer(&input)
    case 15 where spend(): compareWithCold(&input)
    default: translate(&input)
    }
  }

  /// States and further devices take most of the time: a few for each input.
  private mutating func spend() -> Bool {
    purse -= 1
    return purse >= 0
  }

  func writeRegister(_ input: inout Input) {
    let offset = input.pick([
      0x20, 0x20, 0x24, 0x28, 0x2c, 0x44, 0x50, 0x60, 0x64, 0x68, 0x70, 0x74, 0x80, 0x84, 0x88,
      0x90, 0x98, 0x9c, 0xa0, 0xa8, 0xac, 0xb0, 0xb8, 0xbc, 0x100a8, 0x100ac, 0xc0, 0x100c8,
    ])
    write(UInt64(offset), value(&input), input.byte() & 3 == 0 ? 8 : 4)
  }

  /// A number that something may be sensitive to.
  func value(_ input: inout Input) -> UInt64 {
    switch input.below(6) {
    case 0: UInt64(input.byte())
    case 1: World.ram + (input.word(2) << 4) % UInt64(World.ramSize)
    case 2: 1 << UInt64(input.byte() & 63)
    case 3: ~(1 << UInt64(input.byte() & 63))
    case 4: World.outside + input.word(2)
    default: input.word()
    }
  }

  func writeMemory(_ input: inout Input) {
    let index = UInt64(input.byte())
    let address =
      switch input.below(8) {
      case 0: Self.streamTable + index * 8
      case 1: Self.contexts + index * 8
      case 2: Self.stage1 + index % 16 * 8
      case 3: Self.stage1 + 0x1000 + index % 16 * 8
      case 4: Self.stage1 + 0x2000 + index % 32 * 8
      case 5: Self.stage2 + index % 3 * 0x1000 + index / 3 % 16 * 8
      case 6: Self.commands + index * 8
      default: World.outside + index * 64
      }
    switch input.below(4) {
    case 0: World[address] ^= 1 << UInt64(input.byte() & 63)
    case 1: World[address] = Self.data + UInt64(input.byte()) << 12 | input.word(2) & 0xfff
    default: World[address] = value(&input)
    }
  }

  /// Puts a command into the queue and shows it.
  mutating func issue(_ low: UInt64, _ high: UInt64) {
    // The device may have room for less than is asked for.
    let bits = min(commandBits, read(0x4) >> 21 & 31)
    let slot = Self.commands + (producer & ((1 << bits) - 1)) * 16
    World[slot] = low
    World[slot + 8] = high
    producer = (producer + 1) & ((2 << bits) - 1)
    write(0x98, producer)
  }

  mutating func command(_ input: inout Input) {
    let opcode: UInt64 = input.pick([
      0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11, 0x12, 0x12, 0x13, 0x13, 0x20, 0x22,
      0x28, 0x2a, 0x2a, 0x30, 0x40, 0x41, 0x44, 0x46, 0x46, 0x70, 0xff,
    ])
    let tags = UInt64(input.byte() & 7) << 32 | UInt64(input.byte() & 7) << 48
    let shape = input.byte()
    var low = opcode | tags, high = UInt64(input.byte() & 31) << 12
    if shape & 1 != 0 { low |= (input.word(4) & 0xffff_ff00) }
    if shape & 2 != 0 { high |= input.word() }
    if shape & 4 != 0 { high |= 1 << 10 }
    issue(low, high)
    // An error would end all that follows.
    if shape & 0x30 == 0 { acknowledge() }
  }

  func acknowledge() { write(0x64, read(0x60)) }

  // MARK: DMA

  func access(_ input: inout Input) -> vsmmu_access {
    var access = vsmmu_access()
    access.size = UInt32(MemoryLayout<vsmmu_access>.size)
    access.flags = UInt32(input.byte() & 127)
    let stream = input.byte()
    access.stream = UInt32(stream & 7)
    access.substream = UInt32(stream >> 3 & 7)
    if stream >> 6 == 3 { access.attributes = UInt32(input.word(2)) & 0x3ff }
    access.address = input.word(2)
    if stream >> 6 == 2 { access.address = value(&input) }
    return access
  }

  func translate(_ access: vsmmu_access) -> vsmmu_result {
    var access = access
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    let status = vsmmu_translate(device, &access, &result)
    require(status == 0 || access.stream > 7 || isStreamGone, "a translation was refused")
    require(result.kind <= 2, "an unknown kind of result")
    require(result.kind != 0 || status != 0 || result.length > 0, "a result without bytes")
    return result
  }

  /// `administer` takes stream 7 away.
  private(set) var isStreamGone = false

  private func translate(_ input: inout Input) {
    let access = access(&input)
    let first = translate(access)
    // A fault may write a record over its own tables.
    if first.kind == VSMMU_RESULT_OK { requireSame(first, access) }
  }

  private func transfer(_ input: inout Input) {
    var access = access(&input)
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    var buffer = [UInt8](repeating: 0x5a, count: Int(input.word(2)) % 0x3000)
    let count = UInt64(buffer.count)
    let status =
      access.flags & 1 != 0
      ? vsmmu_dma_write(device, &access, &buffer, count, &result)
      : vsmmu_dma_read(device, &access, &buffer, count, &result)
    require(status != 0 || result.length <= count, "more was copied than asked for")
    require(status != 0 || result.kind != 0 || result.length == count, "a copy ended early")
  }

  // MARK: The VMM's own calls

  private mutating func administer(_ input: inout Input) {
    var text = [CChar](repeating: 0, count: 64)
    switch input.below(7) {
    case 0: vsmmu_reset(device)
    case 1:
      vsmmu_stream_remove(device, 7)
      isStreamGone = true
    case 2:
      vsmmu_stream_add(device, 7)
      vsmmu_stream_add(device, UInt32(truncatingIfNeeded: value(&input)))
      isStreamGone = false
    case 3: vsmmu_error_message(device, &text, input.below(64))
    case 4: addRAM(&input)
    case 5: readCounters()
    default: writeNodes(&input)
    }
  }

  /// The same host memory a second time, for as long as the call.
  private func addRAM(_ input: inout Input) {
    let address = value(&input), length = value(&input) % UInt64(World.ramSize + 1)
    if vsmmu_ram_add(device, address, length, World.memory) == 0 {
      require(vsmmu_ram_remove(device, address) == 0, "RAM that was added could not be removed")
    }
  }

  private func readCounters() {
    var counters = vsmmu_counters()
    counters.size = UInt32(MemoryLayout<vsmmu_counters>.size)
    vsmmu_get_counters(device, &counters)
    require(counters.commands >= counters.syncs, "more SYNCs than commands")
  }

  private func writeNodes(_ input: inout Input) {
    var mapping = vsmmu_id_mapping()
    mapping.input_base = UInt32(truncatingIfNeeded: value(&input))
    mapping.count = UInt32(truncatingIfNeeded: value(&input))
    var iort = vsmmu_iort()
    iort.size = UInt32(MemoryLayout<vsmmu_iort>.size)
    iort.its_offset = UInt32(input.byte() & 1)
    iort.mapping_count = 1
    var bytes = [UInt8](repeating: 0, count: Int(input.byte()))
    withUnsafePointer(to: &mapping) { pointer in
      iort.mappings = pointer
      _ = vsmmu_iort_nodes(device, &iort, &bytes, UInt64(bytes.count))
    }
  }
}
