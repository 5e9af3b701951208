// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

extension Features {
  /// All that is implemented, StreamIDs of 32 bits too, which must be asked for.
  public static var wide: Features {
    var features = Features.full
    features[.idr1, IDR1.sidsize] = 32
    return features
  }
}

/// A guest with one SMMU: the steps of a driver, as short calls.
public final class Guest {
  public let machine: GuestMachine
  public let smmu: SMMU

  /// Where this guest puts its things in RAM. The rest, from `free` on, is for tables.
  public static let streamTable = GuestMachine.ramBase
  public static let commandQueue = GuestMachine.ramBase + 0x10_0000
  public static let eventQueue = GuestMachine.ramBase + 0x20_0000
  public static let free = GuestMachine.ramBase + 0x40_0000
  private var next = Guest.free

  public init(
    _ features: Features = .full, _ options: Options = Options(), ramSize: UInt64 = 16 << 20,
    resumesCommands: Bool = true
  ) {
    machine = GuestMachine(ramSize: ramSize, resumesCommands: resumesCommands)
    smmu = SMMU(features, options: options, machine: machine)
    try! smmu.addMemory(GuestMachine.ramBase, length: ramSize, host: machine.host)
  }

  // MARK: Registers

  public func read32(_ offset: UInt64) -> UInt32 {
    UInt32(smmu.readRegister(at: offset, width: 4))
  }
  public func read64(_ offset: UInt64) -> UInt64 { smmu.readRegister(at: offset, width: 8) }
  public func write32(_ offset: UInt64, _ value: UInt32) {
    smmu.writeRegister(at: offset, width: 4, value: UInt64(value))
  }
  public func write64(_ offset: UInt64, _ value: UInt64) {
    smmu.writeRegister(at: offset, width: 8, value: value)
  }

  /// A register by name, for readable tests.
  public subscript(_ name: String) -> UInt64 {
    get {
      let row = Self.row(name)
      return smmu.readRegister(at: UInt64(row.offset), width: row.register.width)
    }
    set {
      let row = Self.row(name)
      smmu.writeRegister(at: UInt64(row.offset), width: row.register.width, value: newValue)
    }
  }

  public static func row(_ name: String) -> RegisterRow { rows[name]! }

  /// The map is made anew on each call: too slow for every access of every test.
  private static let rows = Dictionary(
    uniqueKeysWithValues: RegisterMap.rows.map { ($0.register.name, $0) })

  // MARK: Bring-up

  /// Queues of 2^log2 entries, a linear stream table of 2^bits entries, everything enabled.
  public func start(commandBits: UInt64 = 8, eventBits: UInt64 = 7, streamBits: UInt64 = 8) {
    self["CR1"] = 0xd75
    self["CR2"] = 2
    self["STRTAB_BASE"] = Self.streamTable
    self["STRTAB_BASE_CFG"] = streamBits
    self["CMDQ_BASE"] = Self.commandQueue | commandBits
    self["CMDQ_PROD"] = 0
    self["CMDQ_CONS"] = 0
    self["EVENTQ_BASE"] = Self.eventQueue | eventBits
    self["EVENTQ_PROD"] = 0
    self["EVENTQ_CONS"] = 0
    self["IRQ_CTRL"] = 5
    self["CR0"] = 0xd
  }

  /// Zeroed memory for tables.
  public func allocate(_ bytes: UInt64, alignment: UInt64 = 4096) -> UInt64 {
    next = (next + alignment - 1) & ~(alignment - 1)
    defer { next += bytes }
    precondition(next + bytes <= GuestMachine.ramBase + machine.ramSize, "out of test RAM")
    return next
  }

  // MARK: Commands and events

  /// Queues commands and publishes them; returns CMDQ_CONS.
  @discardableResult
  public func command(_ words: (UInt64, UInt64)...) -> UInt64 {
    let bits = min(self["CMDQ_BASE"] & 0x1f, UInt64(smmu.features.commandQueueBits))
    var producer = self["CMDQ_PROD"]
    for (low, high) in words {
      let slot = Self.commandQueue + (producer & ((1 << bits) - 1)) * 16
      machine[slot] = low
      machine[slot + 8] = high
      producer = (producer + 1) & ((2 << bits) - 1)
    }
    self["CMDQ_PROD"] = producer
    return self["CMDQ_CONS"]
  }

  public static let sync: (UInt64, UInt64) = (0x46, 0)

  /// The records that wait, oldest first; consumes them and acknowledges an overflow.
  public func takeEvents() -> [EventRecord] {
    let bits = min(self["EVENTQ_BASE"] & 0x1f, UInt64(smmu.features.eventQueueBits))
    let producer = self["EVENTQ_PROD"]
    var consumer = self["EVENTQ_CONS"]
    var records: [EventRecord] = []
    let mask: UInt64 = (2 << bits) - 1
    while (consumer ^ producer) & mask != 0 {
      var record = EventRecord()
      let slot = Self.eventQueue + (consumer & ((1 << bits) - 1)) * 32
      for i in 0..<4 { record[word: i] = machine[slot + UInt64(i) * 8] }
      records.append(record)
      consumer = (consumer + 1) & mask
    }
    self["EVENTQ_CONS"] = producer
    return records
  }

  // MARK: Structures

  public func write<L: Layout>(_ layout: L, at address: UInt64) {
    for i in 0..<L.width / 64 { machine[address + UInt64(i) * 8] = layout[word: i] }
  }

  /// Writes an STE of the linear table and makes the SMMU forget the old one.
  public func setSTE(_ stream: StreamID, _ ste: StreamTableEntry) {
    write(ste, at: Self.streamTable + UInt64(stream) * 64)
    command((0x03 | UInt64(stream) << 32, 1), Self.sync)
  }

  public func translate(
    _ stream: StreamID, _ address: UInt64, _ flags: AccessFlags = [],
    substream: SubstreamID? = nil
  ) -> Translation {
    smmu.translate(
      Access(
        stream: stream, substream: substream ?? 0,
        flags: substream == nil ? flags : flags.union(.substream), address: address))
  }
}
