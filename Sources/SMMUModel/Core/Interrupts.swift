// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// GERROR (§7.5) and the interrupts of its own and of the event queue (§3.18).
extension SMMU {
  @inline(__always)
  func isActive(_ error: Field) -> Bool { registers.activeErrors & error.mask != 0 }

  /// Activates an error, unless it belongs to a state that was replaced.
  func raise(_ error: Field, in queue: UInt64? = nil) {
    eventLock.lock()
    let isGone = queue.map { $0 != control.era.queue } ?? false
    let interrupt = isGone ? nil : activate(error)
    eventLock.unlock()
    tell(interrupt)
  }

  /// The same under `eventLock`: an error that is active already stays as it is, and makes no
  /// further interrupt; nor does an abort of the GERROR interrupt's own MSI (§7.5.1).
  func activate(_ error: Field) -> DueInterrupt? {
    guard !isActive(error) else { return nil }
    registers[.gerror] ^= error.mask
    return error == GlobalError.msiGerrorAbort ? nil : due(.globalError)
  }

  /// The interrupt of a source, as it is configured now, if it is enabled. Under `eventLock`, with
  /// its cause: what is enabled or moved later must not change it.
  func due(_ source: InterruptSource) -> DueInterrupt? {
    guard registers.flag(.irqCtrl, source.enable) else { return nil }
    let address = registers[.interrupt(.address, source)] & InterruptConfig.addr.mask
    return DueInterrupt(
      line: source.line, address: features.msi ? address : 0,
      data: UInt32(truncatingIfNeeded: registers[.interrupt(.data, source)]),
      abort: source.abort, queue: control.era.queue)
  }

  /// Sends an interrupt by MSI and by wire (§3.18.2), its cause being visible and no lock held.
  func tell(_ interrupt: DueInterrupt?) {
    guard let interrupt else { return }
    if interrupt.address != 0 && !bus.signal(PhysicalAddress(interrupt.address), interrupt.data) {
      raise(interrupt.abort, in: interrupt.queue)
    }
    if options.hasWiredInterrupts { machine.pulse(interrupt.line) }
  }
}

/// An interrupt that is to be sent.
struct DueInterrupt {
  let line: InterruptLine
  /// 0 sends no MSI.
  let address: UInt64
  let data: UInt32
  /// What becomes active if the MSI aborts, in the state that it belongs to.
  let abort: Field
  let queue: UInt64
}

extension InterruptSource {
  fileprivate var line: InterruptLine {
    switch self {
    case .globalError: .globalError
    case .eventQueue: .eventQueue
    case .pageRequestQueue: .pageRequestQueue
    }
  }
}
