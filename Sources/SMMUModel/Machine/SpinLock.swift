// SPDX-License-Identifier: MIT
import SMMUAtomics

/// A lock for sections of a few dozen instructions; the model has no other, and no operating system
/// to sleep in.
struct SpinLock {
  private let held: UnsafeMutablePointer<Atomic<Bool>>

  init() {
    held = .allocate(capacity: 1)
    held.initialize(to: Atomic(false))
  }

  func deallocate() {
    held.deinitialize(count: 1)
    held.deallocate()
  }

  @inline(__always)
  func lock(_ machine: any Machine) {
    if !held.pointee.exchange(true, ordering: .acquiring) { return }
    wait(machine)
  }

  @inline(never)
  private func wait(_ machine: any Machine) {
    var turns = 0
    repeat {
      while held.pointee.load(ordering: .relaxed) {
        turns += 1
        if turns & 0x3f == 0 { machine.relax() }
      }
    } while held.pointee.exchange(true, ordering: .acquiring)
  }

  @inline(__always)
  func unlock() { held.pointee.store(false, ordering: .releasing) }
}
