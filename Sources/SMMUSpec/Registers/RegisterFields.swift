// SPDX-License-Identifier: MIT

/// Which bits of a field exist.
public enum FieldExtent: Sendable {
  /// All or none.
  case gated(Gate)
  /// Those of an output address: bits at and above the output size are RES0.
  case outputAddress
}

/// A field of a register.
public struct RegisterField: Sendable {
  public let field: Field
  public let extent: FieldExtent

  @inline(__always)
  init(_ field: Field, _ gate: Gate = .always) {
    self.field = field
    extent = .gated(gate)
  }

  @inline(__always)
  init(address field: Field) {
    self.field = field
    extent = .outputAddress
  }

  /// The bits that exist on an SMMU with these features.
  func implemented(_ features: Features) -> UInt64 {
    switch extent {
    case .gated(let gate): gate.holds(features) ? field.mask : 0
    case .outputAddress: field.mask & UInt64.ones(features.outputBits)
    }
  }
}

extension IdentificationRegister {
  /// The features that it tells of.
  public var fields: [Field] {
    @export(interface) get {
      switch self {
      case .idr0: IDR0.fields
      case .idr1: IDR1.fields
      case .idr2: IDR2.fields
      case .idr3: IDR3.fields
      case .idr4: []
      case .idr5: IDR5.fields
      case .idr6: IDR6.fields
      case .iidr: IIDR.fields
      case .aidr: AIDR.fields
      }
    }
  }
}

extension Register {
  /// Every field of it.
  public var fields: [RegisterField] {
    @export(interface) get {
      guard case .identification(let register) = self else { return gatedFields }
      return register.fields.map { RegisterField($0) } + gatedFields
    }
  }

  /// Those that are no feature of `Features`.
  @inline(never)
  var gatedFields: [RegisterField] {
    switch self {
    case .identification(.idr4): [RegisterField(Field("IMPDEF", 31, 0))]
    case .identification, .agbpa: []
    case .cr0, .cr0ack: Self.enables
    case .cr1:
      [
        RegisterField(CR1.queueIC), RegisterField(CR1.queueOC), RegisterField(CR1.queueSH),
        RegisterField(CR1.tableIC), RegisterField(CR1.tableOC), RegisterField(CR1.tableSH),
      ]
    case .cr2:
      [
        RegisterField(CR2.e2h, .hyp), RegisterField(CR2.recinvsid),
        RegisterField(CR2.ptm, .broadcast), RegisterField(CR2.recCfgATS, .atsRecordErrors),
      ]
    case .statusr: [RegisterField(Field("DORMANT", 0))]
    case .gbpa:
      [
        RegisterField(GBPA.memAttr), RegisterField(GBPA.mtcfg), RegisterField(GBPA.alloccfg),
        RegisterField(GBPA.shcfg), RegisterField(GBPA.privcfg), RegisterField(GBPA.instcfg),
        RegisterField(GBPA.abort), RegisterField(GBPA.update),
      ]
    case .irqCtrl, .irqCtrlAck:
      [
        RegisterField(InterruptControl.gerror), RegisterField(InterruptControl.priq, .pri),
        RegisterField(InterruptControl.eventq),
      ]
    case .gerror, .gerrorn: Self.errors
    case .strtabBase:
      [RegisterField(address: StreamTableBase.addr), RegisterField(StreamTableBase.ra)]
    case .strtabBaseConfig:
      [
        RegisterField(StreamTableBaseConfig.log2size),
        RegisterField(StreamTableBaseConfig.split, .twoLevelStreamTable),
        RegisterField(StreamTableBaseConfig.fmt, .twoLevelStreamTable),
      ]
    case .queue(let register, let queue): Self.fields(of: register, queue)
    case .interrupt(let register, let source): Self.fields(of: register, source)
    case .pidr, .cidr: [RegisterField(Field("VALUE", 7, 0))]
    }
  }

  private static var enables: [RegisterField] {
    [
      RegisterField(CR0.smmuen), RegisterField(CR0.priqen, .pri), RegisterField(CR0.eventqen),
      RegisterField(CR0.cmdqen), RegisterField(CR0.atschk, .ats),
      RegisterField(CR0.vmw, .vmidWildcards),
    ]
  }

  private static var errors: [RegisterField] {
    [
      RegisterField(GlobalError.cmdq), RegisterField(GlobalError.eventqAbort),
      RegisterField(GlobalError.priqAbort, .pri), RegisterField(GlobalError.msiCmdqAbort, .msi),
      RegisterField(GlobalError.msiEventqAbort, .msi),
      RegisterField(GlobalError.msiPriqAbort, .msiAndPRI),
      RegisterField(GlobalError.msiGerrorAbort, .msi), RegisterField(GlobalError.serviceFailure),
    ]
  }

  private static func fields(of register: QueueRegister, _ queue: Queue) -> [RegisterField] {
    switch (register, queue) {
    case (.base, _):
      [
        RegisterField(QueueBase.log2size), RegisterField(address: QueueBase.addr),
        RegisterField(QueueBase.hint),
      ]
    case (.prod, .command): [RegisterField(QueueIndex.index)]
    case (.cons, .command): [RegisterField(QueueIndex.index), RegisterField(QueueIndex.error)]
    case (_, .event), (_, .pageRequest):
      [RegisterField(QueueIndex.index), RegisterField(QueueIndex.overflow)]
    }
  }

  private static func fields(
    of register: InterruptRegister, _ source: InterruptSource
  ) -> [RegisterField] {
    switch (register, source) {
    case (.address, _): [RegisterField(address: InterruptConfig.addr)]
    case (.data, _): [RegisterField(InterruptConfig.data)]
    case (.attributes, .pageRequestQueue):
      [
        RegisterField(InterruptConfig.memAttr), RegisterField(InterruptConfig.sh),
        RegisterField(InterruptConfig.lo),
      ]
    case (.attributes, _):
      [RegisterField(InterruptConfig.memAttr), RegisterField(InterruptConfig.sh)]
    }
  }
}
