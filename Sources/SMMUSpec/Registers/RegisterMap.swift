// SPDX-License-Identifier: MIT
// The one register table: §6.2 and §6.3, non-secure programming interface. What a write does is a
// name here (`Reaction`); doing it is the model's job.

/// When software may change a register. A write at another time is ignored (§6.2, SMMUv3.2).
public enum WriteGuard: Equatable, Sendable {
  case readOnly
  case always
  /// SMMUEN is 0 in CR0 and CR0ACK.
  case smmuDisabled
  /// Each half of CR1 has a guard of its own (§6.3.11).
  case tablesOrQueuesDisabled
  /// The queue's enable is 0 in CR0 and CR0ACK.
  case queueDisabled(Queue)
  /// The IRQ enable of that source is 0 in IRQ_CTRL and IRQ_CTRLACK.
  case interruptDisabled(InterruptSource)
}

/// What a write sets going.
public enum Reaction: UInt8, Sendable {
  case none
  case enables
  case interruptEnables
  case globalBypass
  case acknowledgeErrors
  case commandsPublished
  case eventsConsumed
}

public struct RegisterRow: Sendable {
  public let register: Register
  /// From the start of the frame, with Page 1 folded onto Page 0 (§6.1).
  public let offset: UInt32
  /// The page on which the architecture places it.
  public let page: UInt8
  public let access: WriteGuard
  public let gate: Gate
  public let reaction: Reaction

  @inline(__always)
  init(
    _ register: Register, _ offset: UInt32, page: UInt8 = 0, _ access: WriteGuard = .readOnly,
    gate: Gate = .always, reaction: Reaction = .none
  ) {
    self.register = register
    self.offset = offset
    self.page = page
    self.access = access
    self.gate = gate
    self.reaction = reaction
  }

  /// The bits that exist on an SMMU with these features; all others are RES0.
  @export(interface)
  public func implemented(_ features: Features) -> UInt64 {
    guard gate.holds(features) else { return 0 }
    var mask: UInt64 = 0
    if case .identification(let register) = register {
      for field in register.fields { mask |= field.mask }
    }
    for row in register.gatedFields { mask |= row.implemented(features) }
    return mask
  }
}

public enum RegisterMap {
  /// Size of a page, and of the frame.
  public static var pageSize: UInt64 { 0x10000 }
  public static var frameSize: UInt64 { 0x20000 }

  public static var rows: [RegisterRow] {
    @export(interface) get {
      [
        RegisterRow(.identification(.idr0), 0x00),
        RegisterRow(.identification(.idr1), 0x04),
        RegisterRow(.identification(.idr2), 0x08),
        RegisterRow(.identification(.idr3), 0x0c),
        RegisterRow(.identification(.idr4), 0x10),
        RegisterRow(.identification(.idr5), 0x14),
        RegisterRow(.identification(.iidr), 0x18),
        RegisterRow(.identification(.aidr), 0x1c),
        RegisterRow(.identification(.idr6), 0x190, gate: .enhancedQueues),

        RegisterRow(.cr0, 0x20, .always, reaction: .enables),
        RegisterRow(.cr0ack, 0x24),
        RegisterRow(.cr1, 0x28, .tablesOrQueuesDisabled),
        RegisterRow(.cr2, 0x2c, .smmuDisabled),
        RegisterRow(.statusr, 0x40, gate: .dormantHint),
        RegisterRow(.gbpa, 0x44, .always, reaction: .globalBypass),
        RegisterRow(.agbpa, 0x48, .always),
        RegisterRow(.irqCtrl, 0x50, .always, reaction: .interruptEnables),
        RegisterRow(.irqCtrlAck, 0x54),
        RegisterRow(.gerror, 0x60),
        RegisterRow(.gerrorn, 0x64, .always, reaction: .acknowledgeErrors),
        interrupt(.address, .globalError, 0x68, .msi),
        interrupt(.data, .globalError, 0x70, .msi),
        interrupt(.attributes, .globalError, 0x74, .msi),
        RegisterRow(.strtabBase, 0x80, .smmuDisabled),
        RegisterRow(.strtabBaseConfig, 0x88, .smmuDisabled),

        base(.command, 0x90),
        RegisterRow(.queue(.prod, .command), 0x98, .always, reaction: .commandsPublished),
        RegisterRow(.queue(.cons, .command), 0x9c, .queueDisabled(.command)),

        base(.event, 0xa0),
        RegisterRow(.queue(.prod, .event), 0xa8, page: 1, .queueDisabled(.event)),
        RegisterRow(.queue(.cons, .event), 0xac, page: 1, .always, reaction: .eventsConsumed),
        interrupt(.address, .eventQueue, 0xb0, .msi),
        interrupt(.data, .eventQueue, 0xb8, .msi),
        interrupt(.attributes, .eventQueue, 0xbc, .msi),

        base(.pageRequest, 0xc0, gate: .pri),
        RegisterRow(
          .queue(.prod, .pageRequest), 0xc8, page: 1, .queueDisabled(.pageRequest), gate: .pri),
        RegisterRow(.queue(.cons, .pageRequest), 0xcc, page: 1, .always, gate: .pri),
        interrupt(.address, .pageRequestQueue, 0xd0, .msiAndPRI),
        interrupt(.data, .pageRequestQueue, 0xd8, .msiAndPRI),
        interrupt(.attributes, .pageRequestQueue, 0xdc, .msiAndPRI),

        RegisterRow(.pidr(4), 0xfd0), RegisterRow(.pidr(5), 0xfd4),
        RegisterRow(.pidr(6), 0xfd8), RegisterRow(.pidr(7), 0xfdc),
        RegisterRow(.pidr(0), 0xfe0), RegisterRow(.pidr(1), 0xfe4),
        RegisterRow(.pidr(2), 0xfe8), RegisterRow(.pidr(3), 0xfec),
        RegisterRow(.cidr(0), 0xff0), RegisterRow(.cidr(1), 0xff4),
        RegisterRow(.cidr(2), 0xff8), RegisterRow(.cidr(3), 0xffc),
      ]
    }
  }

  /// Where a driver finds a register, from the start of the frame (§6.1).
  public static func offset(of register: Register) -> UInt64 {
    for row in rows where row.register == register {
      return UInt64(row.page) * pageSize + UInt64(row.offset)
    }
    return frameSize
  }

  @inline(__always)
  private static func base(_ queue: Queue, _ offset: UInt32, gate: Gate = .always) -> RegisterRow {
    RegisterRow(.queue(.base, queue), offset, .queueDisabled(queue), gate: gate)
  }

  @inline(__always)
  private static func interrupt(
    _ register: InterruptRegister, _ source: InterruptSource, _ offset: UInt32, _ gate: Gate
  ) -> RegisterRow {
    RegisterRow(.interrupt(register, source), offset, .interruptDisabled(source), gate: gate)
  }

  /// The constant that an identification register shows, nil for any other register.
  public static func constant(_ register: Register, _ f: Features) -> UInt32? {
    switch register {
    case .identification(let register): f[register]
    case .pidr(let index): peripheral(index, f)
    case .cidr(let index): 0xb105_f00d >> UInt32(8 &* index) & 0xff
    default: nil
    }
  }

  /// PART and DES repeat IIDR's ProductID and JEP106 code; PIDR2 bit 3 says that JEP106 is used
  /// (§6.3.170).
  private static func peripheral(_ index: UInt8, _ f: Features) -> UInt32 {
    let part = f[.iidr, IIDR.productID], designer = f[.iidr, IIDR.implementer]
    return switch index {
    case 0: part & 0xff
    case 1: (designer & 0xf) << 4 | part >> 8
    case 2: f[.iidr, IIDR.variant] << 4 | 8 | designer >> 4 & 7
    case 3: f[.iidr, IIDR.revision] << 4
    case 4: designer >> 8
    default: 0
    }
  }
}
