// SPDX-License-Identifier: MIT
// What registers are called: by a name, and by an index where the architecture has several of one
// kind. A further queue is one more value of an index, and no more names.

/// A register with state of its own.
public enum Register: Hashable, Sendable {
  case identification(IdentificationRegister)
  case cr0, cr0ack, cr1, cr2
  case statusr, gbpa, agbpa
  case irqCtrl, irqCtrlAck
  case gerror, gerrorn
  case strtabBase, strtabBaseConfig
  case queue(QueueRegister, Queue)
  case interrupt(InterruptRegister, InterruptSource)
  /// PIDR0 to PIDR7, CIDR0 to CIDR3 (§6.3.170).
  case pidr(UInt8)
  case cidr(UInt8)
}

/// IDR0 to IDR6, IIDR and AIDR, which `Features` holds (§6.3.1 to §6.3.8, §6.3.45).
public enum IdentificationRegister: UInt8, CaseIterable, Sendable {
  case idr0, idr1, idr2, idr3, idr4, idr5, idr6, iidr, aidr

  public static var count: Int { 9 }
}

/// A queue that has registers (§3.5).
public enum Queue: UInt8, CaseIterable, Sendable {
  case command, event, pageRequest

  static var count: Int { 3 }
}

/// The registers of each queue: CMDQ_BASE, CMDQ_PROD, CMDQ_CONS, and so on.
public enum QueueRegister: UInt8, CaseIterable, Sendable {
  case base, prod, cons

  public static var count: Int { 3 }
}

/// What has an interrupt with registers of its own (§3.18).
public enum InterruptSource: UInt8, CaseIterable, Sendable {
  case globalError, eventQueue, pageRequestQueue

  static var count: Int { 3 }
}

/// The registers of each source: GERROR_IRQ_CFG0 to GERROR_IRQ_CFG2, and so on.
public enum InterruptRegister: UInt8, CaseIterable, Sendable {
  case address, data, attributes

  static var count: Int { 3 }
}

extension Register {
  /// How many there are.
  public static var count: Int { cidrs + 4 }

  private static var identifications: Int { 13 }
  private static var queues: Int { identifications + IdentificationRegister.count }
  private static var interrupts: Int { queues + Queue.count * QueueRegister.count }
  private static var pidrs: Int { interrupts + InterruptSource.count * InterruptRegister.count }
  private static var cidrs: Int { pidrs + 8 }

  /// Its place in the state, from 0; the registers of a queue have neighbouring ones.
  @inline(__always)
  public var place: Int {
    switch self {
    case .cr0: 0
    case .cr0ack: 1
    case .cr1: 2
    case .cr2: 3
    case .statusr: 4
    case .gbpa: 5
    case .agbpa: 6
    case .irqCtrl: 7
    case .irqCtrlAck: 8
    case .gerror: 9
    case .gerrorn: 10
    case .strtabBase: 11
    case .strtabBaseConfig: 12
    case .identification(let register): Self.identifications + Int(register.rawValue)
    case .queue(let register, let queue):
      Self.queues + Int(queue.rawValue) * QueueRegister.count + Int(register.rawValue)
    case .interrupt(let register, let source):
      Self.interrupts + Int(source.rawValue) * InterruptRegister.count + Int(register.rawValue)
    case .pidr(let index): Self.pidrs + Int(index)
    case .cidr(let index): Self.cidrs + Int(index)
    }
  }
}

extension Register {
  /// In bytes: 4 or 8.
  public var width: Int {
    switch self {
    case .strtabBase, .queue(.base, _), .interrupt(.address, _): 8
    default: 4
    }
  }

  /// Its value at reset, of the bits that exist.
  public var reset: UInt64 {
    switch self {
    // §6.3.12 recommends that PTM resets to 1 where it exists.
    case .cr2: CR2.ptm.mask
    // SHCFG resets to "use incoming", the bypass that changes nothing (§6.3.14).
    case .gbpa: 0x1000
    default: 0
    }
  }
}

/// What control registers say of a queue.
extension Queue {
  /// In CR0 and CR0ACK.
  @inline(__always)
  public var enable: Field {
    switch self {
    case .command: CR0.cmdqen
    case .event: CR0.eventqen
    case .pageRequest: CR0.priqen
    }
  }

  /// In GERROR and GERRORN: what stops it.
  @inline(__always)
  public var error: Field {
    switch self {
    case .command: GlobalError.cmdq
    case .event: GlobalError.eventqAbort
    case .pageRequest: GlobalError.priqAbort
    }
  }

  /// In IDR1: log2 of the entries that it may have at most.
  @inline(__always)
  public var most: Field {
    switch self {
    case .command: IDR1.cmdqs
    case .event: IDR1.eventqs
    case .pageRequest: IDR1.priqs
    }
  }
}

/// What control registers say of a source of interrupts.
extension InterruptSource {
  /// In IRQ_CTRL and IRQ_CTRLACK.
  @inline(__always)
  public var enable: Field {
    switch self {
    case .globalError: InterruptControl.gerror
    case .eventQueue: InterruptControl.eventq
    case .pageRequestQueue: InterruptControl.priq
    }
  }

  /// In GERROR and GERRORN: an MSI of it was aborted.
  @inline(__always)
  public var abort: Field {
    switch self {
    case .globalError: GlobalError.msiGerrorAbort
    case .eventQueue: GlobalError.msiEventqAbort
    case .pageRequestQueue: GlobalError.msiPriqAbort
    }
  }
}

extension IdentificationRegister {
  public var name: StaticString {
    switch self {
    case .idr0: "IDR0"
    case .idr1: "IDR1"
    case .idr2: "IDR2"
    case .idr3: "IDR3"
    case .idr4: "IDR4"
    case .idr5: "IDR5"
    case .idr6: "IDR6"
    case .iidr: "IIDR"
    case .aidr: "AIDR"
    }
  }
}

/// Names as the architecture has them, without its "SMMU_".
extension Register {
  public var name: String {
    switch self {
    case .identification(let register): register.name.description
    case .cr0: "CR0"
    case .cr0ack: "CR0ACK"
    case .cr1: "CR1"
    case .cr2: "CR2"
    case .statusr: "STATUSR"
    case .gbpa: "GBPA"
    case .agbpa: "AGBPA"
    case .irqCtrl: "IRQ_CTRL"
    case .irqCtrlAck: "IRQ_CTRLACK"
    case .gerror: "GERROR"
    case .gerrorn: "GERRORN"
    case .strtabBase: "STRTAB_BASE"
    case .strtabBaseConfig: "STRTAB_BASE_CFG"
    case .queue(let register, let queue): queue.name + "_" + register.name
    case .interrupt(let register, let source):
      source.name + "_IRQ_CFG" + register.rawValue.description
    case .pidr(let index): "PIDR" + index.description
    case .cidr(let index): "CIDR" + index.description
    }
  }
}

extension Queue {
  fileprivate var name: String {
    switch self {
    case .command: "CMDQ"
    case .event: "EVENTQ"
    case .pageRequest: "PRIQ"
    }
  }
}

extension QueueRegister {
  fileprivate var name: String {
    switch self {
    case .base: "BASE"
    case .prod: "PROD"
    case .cons: "CONS"
    }
  }
}

extension InterruptSource {
  fileprivate var name: String {
    switch self {
    case .globalError: "GERROR"
    case .eventQueue: "EVENTQ"
    case .pageRequestQueue: "PRIQ"
    }
  }
}
