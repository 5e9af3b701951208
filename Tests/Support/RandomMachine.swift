// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// A machine whose whole memory is a pure function of a seed: every word looks like a translation
/// descriptor, so that a walk from anywhere leads somewhere. Chosen words lie on top of it, and a
/// little RAM holds the queues.
public final class RandomMachine: Machine {
  public static let ram: UInt64 = 0x3_0000_0000
  public static let commandQueue = ram
  public static let eventQueue = ram + 0x1_0000
  static let ramSize: UInt64 = 0x2_0000

  /// What the words are like, in percent or bits.
  public struct Style {
    public var seed: UInt64 = 0
    public var invalid = 2
    public var blocks = 15
    public var addressBits = 36
    public var noAccessFlag = 4
    public var unreadable = 5
    public var aborting = 0
    /// Keep bits [15:12] clear, as 64K granules want.
    public var clearsHigh64K = true
    public var bigEndian = false
    public var upperBits = 20
    public init() {}
  }

  public var style = Style()
  public var overlay: [UInt64: UInt64] = [:]
  public let host: UnsafeMutableRawPointer

  public init() {
    host = .allocate(byteCount: Int(Self.ramSize), alignment: 4096)
    host.initializeMemory(as: UInt8.self, repeating: 0, count: Int(Self.ramSize))
  }

  deinit { host.deallocate() }

  private static func mix(_ value: UInt64) -> UInt64 {
    var random = SeededRandom(seed: value)
    return random.next()
  }

  /// The word at an aligned address, as the SMMU must see it; nil aborts.
  public func word(_ address: UInt64) -> UInt64? {
    if address &- Self.ram < Self.ramSize {
      return host.load(fromByteOffset: Int(address - Self.ram), as: UInt64.self)
    }
    if let chosen = overlay[address] { return chosen }
    let h = Self.mix(address ^ style.seed &* 0x9e37_79b9)
    if h % 100 < UInt64(style.aborting) { return nil }
    let dice = Self.mix(h)
    func chance(_ number: UInt64, _ percent: Int) -> Bool {
      (dice >> (number * 8) & 0xff) * 100 / 256 < UInt64(percent)
    }
    var word = Self.mix(h ^ 0x5555) & ((1 << UInt64(style.addressBits)) - 1)
    if style.clearsHigh64K && !chance(0, 2) { word &= ~0xf000 }
    word = word & ~0xfff | Self.mix(h ^ 0xaaaa) & 0xfff
    word = word & ~3 | (chance(1, style.invalid) ? 0 : 1) | (chance(2, style.blocks) ? 0 : 2)
    word = word & ~(1 << 10) | (chance(3, style.noAccessFlag) ? 0 : 1 << 10)
    if !chance(4, style.unreadable) { word |= 1 << 6 }
    if chance(5, style.upperBits) { word |= Self.mix(h ^ 0x77) << 52 }
    if chance(6, 2) { word |= 1 << (36 + dice % 16) }
    return style.bigEndian ? word.byteSwapped : word
  }

  public func put(_ words: [UInt64], at address: UInt64) {
    for (i, word) in words.enumerated() { overlay[address + UInt64(i) * 8] = word }
  }

  // MARK: Machine

  public func read(_ address: UInt64, into data: UnsafeMutableRawPointer, count: Int) -> Bool {
    guard count == 8, address % 8 == 0, let word = word(address) else { return false }
    data.storeBytes(of: word, as: UInt64.self)
    return true
  }

  public func write(_ address: UInt64, from data: UnsafeRawPointer, count: Int) -> Bool { false }
  public func wrote(_ address: UInt64, count: UInt64) {}
  public func pulse(_ line: InterruptLine) {}
  public func signal(_ address: UInt64, _ data: UInt32) -> Bool { true }
  public func notify(stale what: Staleness, generation: UInt64) {}
  public func commandsLeft() {}
  public func report(_ what: Report) {}
}

/// An SMMU in a random machine, and its reference.
public final class RandomWorld {
  public let machine = RandomMachine()
  public let smmu: SMMU
  public let features: Features
  public static let streamTable: UInt64 = 0x2_0000_0000
  public static let contextTable: UInt64 = 0x2_1000_0000
  public static let streamBits: UInt64 = 4

  public init(_ features: Features = .full, tlbEntries: Int = 64) {
    self.features = features
    var options = Options()
    options.tlbEntries = tlbEntries
    options.configurationEntries = 8
    smmu = SMMU(features, options: options, machine: machine)
    try! smmu.addMemory(RandomMachine.ram, length: RandomMachine.ramSize, host: machine.host)
    self["CR2"] = 2
    self["STRTAB_BASE"] = Self.streamTable
    self["STRTAB_BASE_CFG"] = Self.streamBits
    self["CMDQ_BASE"] = RandomMachine.commandQueue | 4
    self["EVENTQ_BASE"] = RandomMachine.eventQueue | 4
    self["CR0"] = 0xd
  }

  public subscript(_ name: String) -> UInt64 {
    get {
      let row = Guest.row(name)
      return smmu.readRegister(at: UInt64(row.offset), width: row.register.width)
    }
    set {
      let row = Guest.row(name)
      smmu.writeRegister(at: UInt64(row.offset), width: row.register.width, value: newValue)
    }
  }

  public var reference: ReferenceWalk {
    ReferenceWalk(
      features, streamTable: Self.streamTable, streamBits: Int(Self.streamBits),
      read: { self.machine.word($0) })
  }

  /// CFGI_ALL and TLBI_NSNH_ALL.
  public func invalidateAll() {
    for (low, high): (UInt64, UInt64) in [(0x04, 31), (0x30, 0), (0x46, 0)] {
      let producer = self["CMDQ_PROD"]
      let slot = Int(producer & 15) * 16
      machine.host.storeBytes(of: low, toByteOffset: slot, as: UInt64.self)
      machine.host.storeBytes(of: high, toByteOffset: slot + 8, as: UInt64.self)
      self["CMDQ_PROD"] = (producer + 1) & 31
    }
  }

  /// The record that was written since the last call.
  public func takeRecord() -> [UInt64]? {
    let producer = self["EVENTQ_PROD"]
    let consumer = self["EVENTQ_CONS"]
    guard producer != consumer else { return nil }
    precondition((producer &- consumer) & 31 == 1, "more than one record")
    self["EVENTQ_CONS"] = producer
    let slot = Int(RandomMachine.eventQueue - RandomMachine.ram) + Int(consumer & 15) * 32
    return (0..<4).map { machine.host.load(fromByteOffset: slot + $0 * 8, as: UInt64.self) }
  }

  /// What a look at the access tells, in the reference's terms but for the record, which it does
  /// not leave.
  public func look(_ access: Access) -> ReferenceWalk.Answer {
    var access = access
    access.flags.insert(.inspect)
    let translation = smmu.translator.inspect(access)
    precondition(translation.generation == 0, "an answer to be kept")
    return ReferenceWalk.Answer(translation, record: takeRecord())
  }

  /// The model's answer in the reference's terms.
  public func answer(_ access: Access) -> ReferenceWalk.Answer {
    let translation = smmu.translate(access)
    return ReferenceWalk.Answer(translation, record: takeRecord())
  }
}
