// SPDX-License-Identifier: MIT
import SMMUSpec

/// CMDQ (§6.3.26 to §6.3.28).
struct CommandQueueRegisters: CommandQueuePort {
  let registers: RegisterFile

  var base: UInt64 { registers[.cmdqBase] }
  var log2Most: Int {
    Int(truncatingIfNeeded: registers[.idr1][IDR1.cmdqs.high, IDR1.cmdqs.low])
  }
  var isEnabled: Bool { registers.flag(.cr0ack, CR0.cmdqen) }
  var isStopped: Bool { registers.isActive(GlobalError.cmdq) }
  var producer: UInt64 { registers[.cmdqProd] }
  @inline(__always)
  var consumer: UInt64 { registers[.cmdqCons] }

  @inline(__always)
  func pass(to consumer: UInt64) { registers[.cmdqCons] = consumer }

  func stop(at consumer: UInt64, _ error: CommandError) {
    registers[.cmdqCons] =
      consumer | UInt64(error.rawValue) << UInt64(truncatingIfNeeded: QueueIndex.error.low)
  }
}

/// EVENTQ (§6.3.29 to §6.3.31).
struct EventQueueRegisters: OutputQueuePort {
  let registers: RegisterFile

  var base: UInt64 { registers[.eventqBase] }
  var log2Most: Int {
    Int(truncatingIfNeeded: registers[.idr1][IDR1.eventqs.high, IDR1.eventqs.low])
  }
  var isEnabled: Bool { registers.flag(.cr0ack, CR0.eventqen) }
  var isStopped: Bool { registers.isActive(GlobalError.eventqAbort) }
  var producer: UInt64 {
    get { registers[.eventqProd] }
    nonmutating set { registers[.eventqProd] = newValue }
  }
  var consumer: UInt64 { registers[.eventqCons] }
}

extension RegisterFile {
  /// An error is active while GERROR and GERRORN differ in its bit (§7.5).
  @inline(__always)
  func isActive(_ error: Field) -> Bool { (self[.gerror] ^ self[.gerrorn])[error.low] }
}
