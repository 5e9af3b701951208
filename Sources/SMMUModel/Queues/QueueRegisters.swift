// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The registers of CMDQ, EVENTQ or another queue of its kind (§6.3.26 to §6.3.31).
struct QueueRegisters: CommandQueuePort, OutputQueuePort {
  private let registers: RegisterFile
  private let queue: Queue
  /// BASE, PROD and CONS.
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  init(_ queue: Queue, of registers: RegisterFile) {
    self.registers = registers
    self.queue = queue
    words = registers.words(from: .queue(.base, queue))
  }

  @inline(__always)
  private subscript(_ register: QueueRegister) -> UInt64 {
    get { words[Int(register.rawValue)].load(ordering: .acquiring) }
    nonmutating set { words[Int(register.rawValue)].store(newValue, ordering: .releasing) }
  }

  var base: UInt64 { self[.base] }
  var log2Most: Int {
    let field = queue.most
    return Int(
      truncatingIfNeeded: registers[.identification(.idr1)][field.high, field.low])
  }
  var isEnabled: Bool { registers.flag(.cr0ack, queue.enable) }
  var isStopped: Bool { registers.isActive(queue.error) }
  var producer: UInt64 {
    get { self[.prod] }
    nonmutating set { self[.prod] = newValue }
  }
  @inline(__always)
  var consumer: UInt64 { self[.cons] }

  @inline(__always)
  func pass(to consumer: UInt64) { self[.cons] = consumer }

  func stop(at consumer: UInt64, _ error: CommandError) {
    self[.cons] =
      consumer | UInt64(error.rawValue) << UInt64(truncatingIfNeeded: QueueIndex.error.low)
  }
}

extension RegisterFile {
  /// An error is active while GERROR and GERRORN differ in its bit (§7.5).
  @inline(__always)
  func isActive(_ error: Field) -> Bool { (self[.gerror] ^ self[.gerrorn])[error.low] }
}
