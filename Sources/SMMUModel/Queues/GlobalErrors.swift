// SPDX-License-Identifier: MIT
import SMMUSpec

/// GERROR (§7.5) and the interrupts that tell of it.
extension SMMU {
  /// An error is active while GERROR and GERRORN differ in its bit.
  @inline(__always)
  func isActive(_ error: Field) -> Bool {
    (registers[.gerror] ^ registers[.gerrorn])[error.low]
  }

  /// Activates an error; one that is active already stays as it is.
  func raise(_ error: Field) {
    eventLock.lock(machine)
    let raised = !isActive(error)
    if raised { registers[.gerror] = registers[.gerror] ^ error.mask }
    eventLock.unlock()
    // An abort of the GERROR interrupt's own MSI makes no further interrupt (§7.5.1).
    if raised && error != GlobalError.msiGerrorAbort { interrupt(.globalError) }
  }

  /// Tells software through the MSI and the wire of a source, if that is enabled (§3.18.2).
  func interrupt(_ line: InterruptLine) {
    let source: InterruptSource = line == .globalError ? .globalError : .eventQueue
    guard registers.flag(.irqCtrl, source.enable) else { return }
    let address = registers[source.address] & InterruptConfig.addr.mask
    if features.msi && address != 0 {
      let data = UInt32(truncatingIfNeeded: registers[source.data])
      if !signal(address, data) { raise(source.abort) }
    }
    if options.hasWiredInterrupts { machine.pulse(line) }
  }
}

/// A source of interrupts with registers of its own.
private struct InterruptSource {
  let enable: Field
  let address: Register
  let data: Register
  let abort: Field

  static var globalError: InterruptSource {
    InterruptSource(
      enable: InterruptControl.gerror, address: .gerrorIRQConfig0, data: .gerrorIRQConfig1,
      abort: GlobalError.msiGerrorAbort)
  }

  static var eventQueue: InterruptSource {
    InterruptSource(
      enable: InterruptControl.eventq, address: .eventqIRQConfig0, data: .eventqIRQConfig1,
      abort: GlobalError.msiEventqAbort)
  }
}
