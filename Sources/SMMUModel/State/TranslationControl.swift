// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// What a translation goes by besides configuration: the registers that enable it, that say where
/// the stream table is, and what becomes of a transaction while it is off.
struct ControlState {
  var isEnabled: Bool
  var gbpa: UInt64
  var streamTable: UInt64
  var streamTableConfig: UInt64
  /// CR2.RECINVSID.
  var recordsBadStreams: Bool
  /// Which state it is: it changes with each publication, and `queueEra` where the event queue
  /// became another one too.
  var era: ControlEra
}

/// {era [63:32], queue era [31:2], enabled [1], buffer [0]}.
struct ControlEra: Equatable {
  var raw: UInt64

  @inline(__always) var isEnabled: Bool { raw[1] }
  /// Of the state that the event queue's registers belong to.
  @inline(__always) var queue: UInt64 { raw[31, 2] }
}

/// The control state as one thing: a translation sees the one before a change of registers or the
/// one after it, whatever number of registers has changed.
///
/// There are two buffers. A change fills the one that is not in use, then publishes it by one
/// store. Who reads is counted as an access, and after each publication accesses are drained, so
/// nobody reads a buffer that is filled. Changes are serialised by the caller.
struct TranslationControl {
  private static var line: Int { 8 }
  /// The era, then a line for each buffer.
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  init() {
    words = .allocate(capacity: 3 * Self.line)
    for i in 0..<3 * Self.line { (words + i).initialize(to: Atomic(0)) }
  }

  func deallocate() { words.deallocate() }

  @inline(__always)
  var era: ControlEra { ControlEra(raw: words[0].load(ordering: .acquiring)) }

  /// Inside an access.
  @inline(__always)
  var state: ControlState { state(era) }

  /// The same for an era that was read in this access.
  func state(_ era: ControlEra) -> ControlState {
    let buffer = words + Self.line &* (1 &+ Int(truncatingIfNeeded: era.raw & 1))
    return ControlState(
      isEnabled: era.isEnabled, gbpa: buffer[0].load(ordering: .relaxed),
      streamTable: buffer[1].load(ordering: .relaxed),
      streamTableConfig: buffer[2].load(ordering: .relaxed),
      recordsBadStreams: buffer[3].load(ordering: .relaxed) != 0, era: era)
  }

  /// What registers say from now on. Accesses are to be drained before the next publication.
  func publish(_ registers: RegisterFile, changesQueue: Bool) {
    let old = era
    let buffer = words + Self.line * (2 - Int(old.raw & 1))
    buffer[0].store(registers[.gbpa], ordering: .relaxed)
    buffer[1].store(registers[.strtabBase], ordering: .relaxed)
    buffer[2].store(registers[.strtabBaseConfig], ordering: .relaxed)
    buffer[3].store(registers.flag(.cr2, CR2.recinvsid) ? 1 : 0, ordering: .relaxed)
    var new = (old.raw ^ 1) &+ 1 << 32
    new[1] = registers.flag(.cr0ack, CR0.smmuen)
    if changesQueue { new[31, 2] = old.queue &+ 1 }
    words[0].store(new, ordering: .releasing)
  }
}
