// SPDX-License-Identifier: MIT
import CSupport
import SMMUAtomics
import SMMUModel

/// What surrounds a physical SMMU: this process. All its memory is registered as one region whose
/// physical addresses are pointers, so what is left here aborts.
final class PhysicalMachine: Machine {
  /// Pointers of user space: neither the first page nor what no process has.
  static var memoryStart: UInt64 { 4096 }
  static var memoryEnd: UInt64 { 1 << 48 - 4096 }

  func read(_ address: UInt64, into data: UnsafeMutableRawPointer, count: Int) -> Bool { false }
  func write(_ address: UInt64, from data: UnsafeRawPointer, count: Int) -> Bool { false }
  func wrote(_ address: UInt64, count: UInt64) {}
  /// The driver looks at its queues when it is asked for what they hold.
  func pulse(_ line: InterruptLine) {}
  func signal(_ address: UInt64, _ data: UInt32) -> Bool { false }
  func notify(stale what: Staleness, generation: UInt64) {}
  var resumesCommands: Bool { false }
  func commandsLeft() {}
  func report(_ what: Report) {}
}
