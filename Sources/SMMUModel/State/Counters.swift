// SPDX-License-Identifier: MIT
import SMMUAtomics

public enum Counter: Int, CaseIterable, Sendable {
  case commands, commandErrors, syncs, tlbMisses, configurationMisses, invalidations
  case eventsRecorded, eventsDropped, externalAborts
}

/// Counts of what is not on the hit path, where a shared counter would cost more than the hit.
public struct Counters {
  /// Lines of the counter that threads share most: one for each of eight threads.
  private static var lines: Int { 8 }
  private static var line: Int { 8 }

  /// Misses of the TLB, in lines; then the others.
  private let misses: UnsafeMutablePointer<Atomic<UInt64>>
  private let values: UnsafeMutablePointer<Atomic<UInt64>>

  init() {
    let count = Self.lines * Self.line + Counter.allCases.count
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
    misses = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for i in 0..<count { (misses + i).initialize(to: Atomic(0)) }
    values = misses + Self.lines * Self.line
  }

  func deallocate() { misses.deallocate() }

  @inline(__always)
  func add(_ counter: Counter) {
    guard counter == .tlbMisses else {
      values[counter.rawValue].wrappingAdd(1, ordering: .relaxed)
      return
    }
    let line = Int(truncatingIfNeeded: Thread.number) & (Self.lines &- 1)
    misses[line &* Self.line].wrappingAdd(1, ordering: .relaxed)
  }

  /// For what only serial calls count.
  @inline(__always)
  func addAlone(_ counter: Counter) {
    let value = values[counter.rawValue].load(ordering: .relaxed)
    values[counter.rawValue].store(value &+ 1, ordering: .relaxed)
  }

  public subscript(_ counter: Counter) -> UInt64 {
    guard counter == .tlbMisses else { return values[counter.rawValue].load(ordering: .relaxed) }
    var sum: UInt64 = 0
    for i in 0..<Self.lines { sum &+= misses[i * Self.line].load(ordering: .relaxed) }
    return sum
  }
}
