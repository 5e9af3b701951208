// SPDX-License-Identifier: MIT
// The one register table: §6.2 and §6.3, non-secure programming interface. What a write does is a
// name here (`Reaction`); doing it is the model's job.

/// A register with state of its own. The raw value is its place in the state.
public enum Register: UInt8, CaseIterable, Sendable {
  case idr0, idr1, idr2, idr3, idr4, idr5, iidr, aidr
  case cr0, cr0ack, cr1, cr2
  case statusr, gbpa, agbpa
  case irqCtrl, irqCtrlAck
  case gerror, gerrorn, gerrorIRQConfig0, gerrorIRQConfig1, gerrorIRQConfig2
  case strtabBase, strtabBaseConfig
  case cmdqBase, cmdqProd, cmdqCons
  case eventqBase, eventqProd, eventqCons
  case eventqIRQConfig0, eventqIRQConfig1, eventqIRQConfig2
  case priqBase, priqProd, priqCons
  case priqIRQConfig0, priqIRQConfig1, priqIRQConfig2
  case idr6
  case pidr4, pidr5, pidr6, pidr7, pidr0, pidr1, pidr2, pidr3
  case cidr0, cidr1, cidr2, cidr3
}

/// When software may change a register. A write at another time is ignored (§6.2, SMMUv3.2).
public enum WriteGuard: UInt8, Sendable {
  case readOnly
  case always
  /// SMMUEN is 0 in CR0 and CR0ACK.
  case smmuDisabled
  /// Each half of CR1 has a guard of its own (§6.3.11).
  case tablesOrQueuesDisabled
  case commandQueueDisabled
  case eventQueueDisabled
  case pageRequestQueueDisabled
  /// The IRQ enable of that source is 0 in IRQ_CTRL and IRQ_CTRLACK.
  case gerrorInterruptDisabled
  case eventqInterruptDisabled
  case priqInterruptDisabled
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

public struct RegisterField: Sendable {
  public let field: Field
  public let gate: Gate
  /// An output address: bits at and above the output size are RES0.
  public let isAddress: Bool

  init(_ field: Field, _ gate: Gate = .always, isAddress: Bool = false) {
    self.field = field
    self.gate = gate
    self.isAddress = isAddress
  }
}

public struct RegisterRow: Sendable {
  public let register: Register
  public let name: StaticString
  /// From the start of the frame, with Page 1 folded onto Page 0 (§6.1).
  public let offset: UInt32
  /// The page on which the architecture places it.
  public let page: UInt32
  /// In bytes: 4 or 8.
  public let width: Int
  public let gate: Gate
  public let access: WriteGuard
  public let reset: UInt64
  public let reaction: Reaction
  public let fields: [RegisterField]

  init(
    _ register: Register, _ name: StaticString, _ offset: UInt32, width: Int = 4, page: UInt32 = 0,
    _ access: WriteGuard, gate: Gate = .always, reset: UInt64 = 0, reaction: Reaction = .none,
    _ fields: [RegisterField]
  ) {
    self.register = register
    self.name = name
    self.offset = offset
    self.page = page
    self.width = width
    self.gate = gate
    self.access = access
    self.reset = reset
    self.reaction = reaction
    self.fields = fields
  }

  /// The bits that exist on an SMMU with these features; all others are RES0.
  public func implemented(_ features: Features) -> UInt64 {
    guard gate.holds(features) else { return 0 }
    var mask: UInt64 = 0
    for row in fields where row.gate.holds(features) {
      mask |= row.isAddress ? row.field.mask & UInt64.ones(features.outputBits) : row.field.mask
    }
    return mask
  }
}

public enum RegisterMap {
  /// Size of a page, and of the frame.
  public static var pageSize: UInt64 { 0x10000 }
  public static var frameSize: UInt64 { 0x20000 }

  public static var rows: [RegisterRow] {
    identification + control + interrupts + tables + commandQueue + eventQueue + pageRequestQueue
      + coresight
  }

  private static func readOnly(
    _ register: Register, _ name: StaticString, _ offset: UInt32, _ fields: [Field],
    gate: Gate = .always
  ) -> RegisterRow {
    RegisterRow(register, name, offset, .readOnly, gate: gate, fields.map { RegisterField($0) })
  }

  private static var identification: [RegisterRow] {
    [
      readOnly(.idr0, "IDR0", 0x00, IDR0.fields),
      readOnly(.idr1, "IDR1", 0x04, IDR1.fields),
      readOnly(.idr2, "IDR2", 0x08, IDR2.fields),
      readOnly(.idr3, "IDR3", 0x0c, IDR3.fields),
      readOnly(.idr4, "IDR4", 0x10, [Field("IMPDEF", 31, 0)]),
      readOnly(.idr5, "IDR5", 0x14, IDR5.fields),
      readOnly(.iidr, "IIDR", 0x18, IIDR.fields),
      readOnly(.aidr, "AIDR", 0x1c, AIDR.fields),
      readOnly(.idr6, "IDR6", 0x190, IDR6.fields, gate: .enhancedQueues),
    ]
  }

  private static var control: [RegisterRow] {
    let enables = [
      RegisterField(CR0.smmuen), RegisterField(CR0.priqen, .pri), RegisterField(CR0.eventqen),
      RegisterField(CR0.cmdqen), RegisterField(CR0.atschk, .ats),
      RegisterField(CR0.vmw, .vmidWildcards),
    ]
    return [
      RegisterRow(.cr0, "CR0", 0x20, .always, reaction: .enables, enables),
      RegisterRow(.cr0ack, "CR0ACK", 0x24, .readOnly, enables),
      RegisterRow(
        .cr1, "CR1", 0x28, .tablesOrQueuesDisabled,
        [CR1.queueIC, CR1.queueOC, CR1.queueSH, CR1.tableIC, CR1.tableOC, CR1.tableSH]
          .map { RegisterField($0) }),
      RegisterRow(
        // §6.3.12 recommends that PTM resets to 1 where it exists.
        .cr2, "CR2", 0x2c, .smmuDisabled, reset: CR2.ptm.mask,
        [
          RegisterField(CR2.e2h, .hyp), RegisterField(CR2.recinvsid),
          RegisterField(CR2.ptm, .broadcast), RegisterField(CR2.recCfgATS, .atsRecordErrors),
        ]),
      RegisterRow(
        .statusr, "STATUSR", 0x40, .readOnly, gate: .dormantHint,
        [RegisterField(Field("DORMANT", 0))]),
      RegisterRow(
        // SHCFG resets to "use incoming", the bypass that changes nothing (§6.3.14).
        .gbpa, "GBPA", 0x44, .always, reset: 0x1000, reaction: .globalBypass,
        [
          GBPA.memAttr, GBPA.mtcfg, GBPA.alloccfg, GBPA.shcfg, GBPA.privcfg, GBPA.instcfg,
          GBPA.abort, GBPA.update,
        ].map { RegisterField($0) }),
      RegisterRow(.agbpa, "AGBPA", 0x48, .always, []),
    ]
  }

  /// The three registers that configure the MSI of one source.
  private static func messageSignalled(
    _ registers: (Register, Register, Register),
    _ names: (StaticString, StaticString, StaticString),
    _ offset: UInt32, _ access: WriteGuard, _ gate: Gate, _ extra: [RegisterField] = []
  ) -> [RegisterRow] {
    [
      RegisterRow(
        registers.0, names.0, offset, width: 8, access, gate: gate,
        [RegisterField(InterruptConfig.addr, isAddress: true)]),
      RegisterRow(
        registers.1, names.1, offset + 8, access, gate: gate,
        [RegisterField(InterruptConfig.data)]),
      RegisterRow(
        registers.2, names.2, offset + 12, access, gate: gate,
        [RegisterField(InterruptConfig.memAttr), RegisterField(InterruptConfig.sh)] + extra),
    ]
  }

  private static var interrupts: [RegisterRow] {
    let enables = [
      RegisterField(InterruptControl.gerror), RegisterField(InterruptControl.priq, .pri),
      RegisterField(InterruptControl.eventq),
    ]
    let errors = [
      RegisterField(GlobalError.cmdq), RegisterField(GlobalError.eventqAbort),
      RegisterField(GlobalError.priqAbort, .pri), RegisterField(GlobalError.msiCmdqAbort, .msi),
      RegisterField(GlobalError.msiEventqAbort, .msi),
      RegisterField(GlobalError.msiPriqAbort, .msiAndPRI),
      RegisterField(GlobalError.msiGerrorAbort, .msi), RegisterField(GlobalError.serviceFailure),
    ]
    return [
      RegisterRow(.irqCtrl, "IRQ_CTRL", 0x50, .always, reaction: .interruptEnables, enables),
      RegisterRow(.irqCtrlAck, "IRQ_CTRLACK", 0x54, .readOnly, enables),
      RegisterRow(.gerror, "GERROR", 0x60, .readOnly, errors),
      RegisterRow(.gerrorn, "GERRORN", 0x64, .always, reaction: .acknowledgeErrors, errors),
    ]
      + messageSignalled(
        (.gerrorIRQConfig0, .gerrorIRQConfig1, .gerrorIRQConfig2),
        ("GERROR_IRQ_CFG0", "GERROR_IRQ_CFG1", "GERROR_IRQ_CFG2"), 0x68,
        .gerrorInterruptDisabled, .msi)
  }

  private static var tables: [RegisterRow] {
    [
      RegisterRow(
        .strtabBase, "STRTAB_BASE", 0x80, width: 8, .smmuDisabled,
        [RegisterField(StreamTableBase.addr, isAddress: true), RegisterField(StreamTableBase.ra)]),
      RegisterRow(
        .strtabBaseConfig, "STRTAB_BASE_CFG", 0x88, .smmuDisabled,
        [
          RegisterField(StreamTableBaseConfig.log2size),
          RegisterField(StreamTableBaseConfig.split, .twoLevelStreamTable),
          RegisterField(StreamTableBaseConfig.fmt, .twoLevelStreamTable),
        ]),
    ]
  }

  private static var queueBase: [RegisterField] {
    [
      RegisterField(QueueBase.log2size), RegisterField(QueueBase.addr, isAddress: true),
      RegisterField(QueueBase.hint),
    ]
  }

  private static var commandQueue: [RegisterRow] {
    [
      RegisterRow(.cmdqBase, "CMDQ_BASE", 0x90, width: 8, .commandQueueDisabled, queueBase),
      RegisterRow(
        .cmdqProd, "CMDQ_PROD", 0x98, .always, reaction: .commandsPublished,
        [RegisterField(QueueIndex.index)]),
      RegisterRow(
        .cmdqCons, "CMDQ_CONS", 0x9c, .commandQueueDisabled,
        [RegisterField(QueueIndex.index), RegisterField(QueueIndex.error)]),
    ]
  }

  private static var eventQueue: [RegisterRow] {
    let index = [RegisterField(QueueIndex.index), RegisterField(QueueIndex.overflow)]
    return [
      RegisterRow(.eventqBase, "EVENTQ_BASE", 0xa0, width: 8, .eventQueueDisabled, queueBase),
      RegisterRow(.eventqProd, "EVENTQ_PROD", 0xa8, page: 1, .eventQueueDisabled, index),
      RegisterRow(
        .eventqCons, "EVENTQ_CONS", 0xac, page: 1, .always, reaction: .eventsConsumed, index),
    ]
      + messageSignalled(
        (.eventqIRQConfig0, .eventqIRQConfig1, .eventqIRQConfig2),
        ("EVENTQ_IRQ_CFG0", "EVENTQ_IRQ_CFG1", "EVENTQ_IRQ_CFG2"), 0xb0,
        .eventqInterruptDisabled, .msi)
  }

  private static var pageRequestQueue: [RegisterRow] {
    let index = [RegisterField(QueueIndex.index), RegisterField(QueueIndex.overflow)]
    return [
      RegisterRow(
        .priqBase, "PRIQ_BASE", 0xc0, width: 8, .pageRequestQueueDisabled, gate: .pri, queueBase),
      RegisterRow(
        .priqProd, "PRIQ_PROD", 0xc8, page: 1, .pageRequestQueueDisabled, gate: .pri, index),
      RegisterRow(.priqCons, "PRIQ_CONS", 0xcc, page: 1, .always, gate: .pri, index),
    ]
      + messageSignalled(
        (.priqIRQConfig0, .priqIRQConfig1, .priqIRQConfig2),
        ("PRIQ_IRQ_CFG0", "PRIQ_IRQ_CFG1", "PRIQ_IRQ_CFG2"), 0xd0,
        .priqInterruptDisabled, .msiAndPRI, [RegisterField(InterruptConfig.lo)])
  }

  /// The CoreSight identification scheme (§6.3.170).
  private static var coresight: [RegisterRow] {
    let byte = [Field("VALUE", 7, 0)]
    return [
      readOnly(.pidr4, "PIDR4", 0xfd0, byte), readOnly(.pidr5, "PIDR5", 0xfd4, byte),
      readOnly(.pidr6, "PIDR6", 0xfd8, byte), readOnly(.pidr7, "PIDR7", 0xfdc, byte),
      readOnly(.pidr0, "PIDR0", 0xfe0, byte), readOnly(.pidr1, "PIDR1", 0xfe4, byte),
      readOnly(.pidr2, "PIDR2", 0xfe8, byte), readOnly(.pidr3, "PIDR3", 0xfec, byte),
      readOnly(.cidr0, "CIDR0", 0xff0, byte), readOnly(.cidr1, "CIDR1", 0xff4, byte),
      readOnly(.cidr2, "CIDR2", 0xff8, byte), readOnly(.cidr3, "CIDR3", 0xffc, byte),
    ]
  }

  /// The constant that an identification register shows, nil for any other register.
  public static func constant(_ register: Register, _ f: Features) -> UInt32? {
    let part = f[.iidr, IIDR.productID], designer = f[.iidr, IIDR.implementer]
    return switch register {
    case .idr0: f.idr0
    case .idr1: f.idr1
    case .idr2: f.idr2
    case .idr3: f.idr3
    case .idr4: f.idr4
    case .idr5: f.idr5
    case .idr6: f.idr6
    case .iidr: f.iidr
    case .aidr: f.aidr
    // PART and DES repeat IIDR's ProductID and JEP106 code; PIDR2 bit 3 says that JEP106 is used.
    case .pidr0: part & 0xff
    case .pidr1: (designer & 0xf) << 4 | part >> 8
    case .pidr2: f[.iidr, IIDR.variant] << 4 | 8 | designer >> 4 & 7
    case .pidr3: f[.iidr, IIDR.revision] << 4
    case .pidr4: designer >> 8
    case .pidr5, .pidr6, .pidr7: 0
    case .cidr0: 0x0d
    case .cidr1: 0xf0
    case .cidr2: 0x05
    case .cidr3: 0xb1
    default: nil
    }
  }
}
