// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// The driver's end of a command queue. Calls are serialised by its owner.
final class CommandIssuer {
  private static var bits: Int { 8 }

  private let smmu: SMMU
  private let pages: PhysicalPages
  private let ring: Ring

  init(_ smmu: SMMU) {
    self.smmu = smmu
    let bits = min(Self.bits, smmu.features.commandQueueBits)
    pages = PhysicalPages(bytes: Int(CommandWords.bytes) << bits)
    ring = Ring(
      base: pages.address | UInt64(bits), most: bits, entryBytes: CommandWords.bytes)
  }

  deinit { pages.deallocate() }

  /// CMDQ_BASE, with RA.
  var base: UInt64 { pages.address | UInt64(ring.log2Size) | QueueBase.hint.mask }

  static var sync: CommandWords { Command.sync(Synchronization()).words }

  /// Has the SMMU consume commands and a CMD_SYNC; false if it stopped at one of them, which was
  /// replaced.
  func issue(_ commands: [CommandWords]) -> Bool {
    var isFine = true
    var waiting: UInt64 = 0
    for command in commands {
      put(command, waiting)
      waiting += 1
      if waiting == ring.capacity - 1 {
        isFine = publish(waiting) && isFine
        waiting = 0
      }
    }
    put(Self.sync, waiting)
    return publish(waiting + 1) && isFine
  }

  private func put(_ command: CommandWords, _ ahead: UInt64) {
    let slot = ring.address(smmu[.queue(.prod, .command)] &+ ahead)
    PhysicalWord(slot).value = command.low
    PhysicalWord(slot + 8).value = command.high
  }

  /// The SMMU consumes within the write of PROD. A command that it does not know stops it: a
  /// CMD_SYNC takes its place, as in any driver, and the queue goes on.
  private func publish(_ count: UInt64) -> Bool {
    smmu[.queue(.prod, .command)] = (smmu[.queue(.prod, .command)] &+ count) & ring.mask
    var isFine = true
    while smmu.hasCommandError {
      isFine = false
      let slot = ring.address(smmu[.queue(.cons, .command)] & ring.mask)
      PhysicalWord(slot).value = Self.sync.low
      PhysicalWord(slot + 8).value = Self.sync.high
      smmu[.gerrorn] = smmu[.gerror]
    }
    return isFine
  }
}

extension SMMU {
  /// A register by name, as a driver accesses it.
  subscript(_ register: Register) -> UInt64 {
    get { readRegister(at: RegisterMap.offset(of: register), width: register.width) }
    set {
      writeRegister(at: RegisterMap.offset(of: register), width: register.width, value: newValue)
    }
  }

  var hasCommandError: Bool {
    (self[.gerror] ^ self[.gerrorn])[GlobalError.cmdq.low]
  }
}
