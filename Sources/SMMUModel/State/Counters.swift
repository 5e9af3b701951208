// SPDX-License-Identifier: MIT
import SMMUAtomics

public enum Counter: Int, CaseIterable, Sendable {
  case commands, commandErrors, syncs, tlbMisses, configurationMisses, invalidations
  case eventsRecorded, eventsDropped, externalAborts
}

/// Counts of what is not on the hit path, where a shared counter would cost more than the hit.
public struct Counters {
  private let values: UnsafeMutablePointer<Atomic<UInt64>>

  init() {
    values = .allocate(capacity: Counter.allCases.count)
    for i in 0..<Counter.allCases.count { (values + i).initialize(to: Atomic(0)) }
  }

  func deallocate() { values.deallocate() }

  @inline(__always)
  func add(_ counter: Counter) { values[counter.rawValue].wrappingAdd(1, ordering: .relaxed) }

  /// For what only serial calls count, or whoever holds a certain lock.
  @inline(__always)
  func addAlone(_ counter: Counter) {
    let value = values[counter.rawValue].load(ordering: .relaxed)
    values[counter.rawValue].store(value &+ 1, ordering: .relaxed)
  }

  public subscript(_ counter: Counter) -> UInt64 {
    values[counter.rawValue].load(ordering: .relaxed)
  }
}
