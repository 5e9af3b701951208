// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The registers of CMDQ, EVENTQ or another queue of its kind (§6.3.26 to §6.3.31).
struct QueueRegisters: CommandQueuePort, OutputQueuePort {
  private let registers: RegisterFile
  /// BASE, PROD and CONS.
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  /// Its bits of CR0ACK and GERROR, its field of IDR1.
  private let enable: UInt64
  private let error: UInt64
  private let most: UInt64

  init(_ queue: Queue, of registers: RegisterFile) {
    self.registers = registers
    words = registers.words(from: .queue(.base, queue))
    enable = queue.enable.mask
    error = queue.error.mask
    most = queue.most.mask
  }

  @inline(__always)
  private subscript(_ register: QueueRegister) -> UInt64 {
    get { words[Int(register.rawValue)].load(ordering: .acquiring) }
    nonmutating set { words[Int(register.rawValue)].store(newValue, ordering: .releasing) }
  }

  var base: UInt64 { self[.base] }
  var log2Most: Int {
    let field = registers[.identification(.idr1)] & most
    return Int(truncatingIfNeeded: field &>> UInt64(truncatingIfNeeded: most.trailingZeroBitCount))
  }
  var isEnabled: Bool { registers[.cr0ack] & enable != 0 }
  var isStopped: Bool { registers.activeErrors & error != 0 }
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
  var activeErrors: UInt64 { self[.gerror] ^ self[.gerrorn] }
}
