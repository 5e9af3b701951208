// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The guest's register accesses (§6.2). Serialised by the caller.
extension SMMU {
  /// Any width and alignment; what is not an aligned 32- or 64-bit access reads as zero.
  public func readRegister(at offset: UInt64, width: Int) -> UInt64 {
    switch width {
    case 4 where offset % 4 == 0: return UInt64(read32(offset))
    // Two 32-bit registers answer to a 64-bit access as to two of 32 bits (§6.2).
    case 8 where offset % 8 == 0: return UInt64(read32(offset)) | UInt64(read32(offset + 4)) << 32
    default: return 0
    }
  }

  public func writeRegister(at offset: UInt64, width: Int, value: UInt64) {
    switch width {
    case 4 where offset % 4 == 0:
      guard let (row, high) = row(at: offset) else { return }
      let half = value & UInt64.ones(32)
      let old = registers[row.pointee.register]
      let merged = high ? old & UInt64.ones(32) | half << 32 : old & ~UInt64.ones(32) | half
      write(row.pointee, merged)
    case 8 where offset % 8 == 0:
      guard let (row, high) = row(at: offset), row.pointee.isWide, !high else {
        writeRegister(at: offset, width: 4, value: value & UInt64.ones(32))
        writeRegister(at: offset + 4, width: 4, value: value >> 32)
        return
      }
      write(row.pointee, value)
    default: return
    }
  }

  /// Page 1 is folded onto Page 0, so that the indices of the event queue answer on both
  /// (§6.2, §6.2.1), unless strictness is asked for.
  private func row(at offset: UInt64) -> (row: UnsafePointer<RegisterFile.Row>, high: Bool)? {
    guard offset < RegisterMap.frameSize,
      let found = registers.row(at: offset % RegisterMap.pageSize)
    else { return nil }
    let page = offset / RegisterMap.pageSize
    if options.strictPages && UInt64(found.row.pointee.page) != page { return nil }
    return found
  }

  private func read32(_ offset: UInt64) -> UInt32 {
    guard let (row, high) = row(at: offset) else { return 0 }
    let register = row.pointee.register
    // A driver that waits for its commands makes them go on.
    if register == .queue(.cons, .command) { consumeCommands(options.commandBudget) }
    let value = visible(register) & row.pointee.implemented
    return UInt32(truncatingIfNeeded: high ? value >> 32 : value)
  }

  /// Queue indices show no bits above the wrap bit (§6.3.27); all else reads as it is kept.
  private func visible(_ register: Register) -> UInt64 {
    let value = registers[register]
    return switch register {
    case .queue(.base, _): value
    case .queue(_, .command): value & visible(of: commands.ring)
    case .queue(_, .event): value & visible(of: events.ring)
    default: value
    }
  }

  /// The bits of an index, and what is not of the index.
  private func visible(of ring: Ring) -> UInt64 { ring.mask | ~QueueIndex.index.mask }

  /// Whether the queue, table or interrupt that guards a register is off, in the control register
  /// and in its acknowledgement.
  private func isOff(_ control: Register, acknowledge: Register, field: Field) -> Bool {
    !registers.flag(control, field) && !registers.flag(acknowledge, field)
  }

  private func isOff(_ enable: Field) -> Bool { isOff(.cr0, acknowledge: .cr0ack, field: enable) }

  /// The bits of a register that may change now.
  private func writable(_ row: RegisterFile.Row) -> UInt64 {
    let open =
      switch row.access {
      case .readOnly: false
      case .always, .tablesOrQueuesDisabled: true
      case .smmuDisabled: isOff(CR0.smmuen)
      case .queueDisabled(let queue): isOff(queue.enable)
      case .interruptDisabled(let source):
        isOff(.irqCtrl, acknowledge: .irqCtrlAck, field: source.enable)
      }
    guard open else { return 0 }
    guard row.access == .tablesOrQueuesDisabled else { return row.implemented }
    let queues = isOff(CR0.cmdqen) && isOff(CR0.eventqen) && isOff(CR0.priqen)
    let tableBits = CR1.tableIC.mask | CR1.tableOC.mask | CR1.tableSH.mask
    let queueBits = CR1.queueIC.mask | CR1.queueOC.mask | CR1.queueSH.mask
    return (isOff(CR0.smmuen) ? tableBits : 0) | (queues ? queueBits : 0)
  }

  private func write(_ row: RegisterFile.Row, _ value: UInt64) {
    let open = writable(row)
    guard open != 0 else { return }
    let old = registers[row.register]
    let new = old & ~open | value & open
    switch row.reaction {
    case .none: registers[row.register] = new
    case .enables: writeEnables(new)
    case .interruptEnables: writeInterruptEnables(new)
    case .globalBypass: writeGlobalBypass(new)
    case .acknowledgeErrors: acknowledgeErrors(new)
    case .eventsConsumed:
      // Under the lock a record is either written before this, and the driver finds it, or after
      // it, and finds the queue empty: else a driver could wait for an interrupt that never comes.
      eventLock.lock()
      registers[.queue(.cons, .event)] = new
      eventLock.unlock()
    case .commandsPublished:
      registers[.queue(.prod, .command)] = new
      consumeCommands(options.commandBudget)
    }
  }

  /// CR0 (§6.3.9). Every Update completes within the write, so CR0ACK never differs from CR0.
  private func writeEnables(_ new: UInt64) {
    let changed = registers[.cr0ack] ^ new
    let turned = changed[CR0.smmuen.low]
    eventLock.lock()
    registers[.cr0] = new
    registers[.cr0ack] = new
    if turned { control.publish(registers, changesQueue: false) }
    eventLock.unlock()
    // What was translated becomes what is bypassed, or the reverse.
    if turned { forgetRecent() }
    // The Update of SMMUEN ends when no transaction goes by the old value any more (§6.3.9.6), that
    // of EVENTQEN to 0 when no record is on its way (§6.3.9.4).
    if turned || changed & ~new & CR0.eventqen.mask != 0 { accesses.drain(machine) }
    if changed[CR0.eventqen.low] { hardware?.eventQueueChanged() }
    if turned { hardware?.bypassChanged() }
    consumeCommands(options.commandBudget)
  }

  /// IRQ_CTRL (§6.3.16). A source that is off sends nothing any more, also not late.
  private func writeInterruptEnables(_ new: UInt64) {
    let old = registers[.irqCtrlAck]
    eventLock.lock()
    registers[.irqCtrl] = new
    registers[.irqCtrlAck] = new
    eventLock.unlock()
    if old & ~new != 0 { accesses.drain(machine) }
  }

  /// GBPA (§6.3.14.1): a write takes effect only with Update, which is done when the write is.
  private func writeGlobalBypass(_ new: UInt64) {
    guard new[GBPA.update.low] else { return }
    registers[.gbpa] = new & ~GBPA.update.mask
    guard !registers.flag(.cr0ack, CR0.smmuen) else { return }
    control.publish(registers, changesQueue: false)
    forgetRecent()
    accesses.drain(machine)
    hardware?.bypassChanged()
  }

  /// What is translated, bypassed or aborted has changed, but no cache of configuration or tables.
  private func forgetRecent() {
    translator.renewCaches()
    translator.micro.table.advance()
    translator.notify(.translations(.everything))
  }

  /// GERRORN (§6.3.20). Deactivating CMDQ_ERR restarts the command queue by itself (§7.1).
  private func acknowledgeErrors(_ new: UInt64) {
    let wasStopped = isActive(GlobalError.cmdq)
    eventLock.lock()
    registers[.gerrorn] = new
    eventLock.unlock()
    guard wasStopped && !isActive(GlobalError.cmdq) else { return }
    // ERR is UNKNOWN now; zero keeps drivers right that look at nothing else (§6.3.28).
    registers[.queue(.cons, .command)] &= ~QueueIndex.error.mask
    consumeCommands(options.commandBudget)
  }
}
