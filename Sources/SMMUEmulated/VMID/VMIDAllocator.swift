// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// Someone to whom KVM's allocator gives a number: a VM, or a stage 2 without one.
final class VMIDHolder {
  /// Round and number; 0 before the first.
  fileprivate(set) var id: UInt64 = 0
  /// While it is not 0, the number stays.
  fileprivate(set) var pins = 0
}

/// Hears of rollovers.
protocol VMIDRollover: AnyObject {
  /// Numbers of the old round will be used for others: all TLBs are emptied.
  func invalidateAll()
}

/// KVM's allocator of VMIDs on arm64, with pinning.
///
/// A number belongs to its holder for one round. When none is left a new round begins:
/// all TLBs are emptied, and only the numbers that CPUs are running with, those that were reserved
/// for CPUs before, and those that are pinned stay taken. 0 is the host's.
///
/// A holder asks at each vcpu_load; the answer is another number only if its round is over,
/// and even then the same if that is free.
final class VMIDAllocator {
  let bits: Int
  /// How many holders may be pinned: after a rollover in which each CPU reserves a number, one must
  /// be left for who comes next. Not below 0, however many CPUs there are.
  let pinLimit: Int
  private(set) var pinCount = 0
  private(set) var pinFailures: UInt64 = 0
  private(set) var rollovers: UInt64 = 0
  unowned(unsafe) var listener: (any VMIDRollover)?

  private var round: UInt64
  private var taken: NumberSet
  private var pinned: NumberSet
  /// By CPU: what it runs with, 0 since the last rollover, or `idle`.
  private var active: [UInt64]
  /// By CPU: what it ran with when a rollover came.
  private var reserved: [UInt64]
  /// Where the search begins.
  private var cursor = 1

  init(bits: Int, cpus: Int, pinLimit limit: Int) {
    self.bits = bits
    round = 1 << UInt64(bits)
    taken = NumberSet(bits: bits)
    taken.insert(0)
    pinned = NumberSet(bits: bits)
    active = Array(repeating: 0, count: cpus)
    reserved = Array(repeating: 0, count: cpus)
    let most = max(0, (1 << bits) - cpus - 2)
    pinLimit = limit == 0 ? most : min(limit, most)
  }

  /// Not 0, so that a CPU without a VM keeps no old reservation, and no number of any round.
  private var idle: UInt64 { 1 << UInt64(bits) }
  private var end: Int { 1 << bits }

  private func number(_ id: UInt64) -> Int { Int(truncatingIfNeeded: id & UInt64.ones(bits)) }

  /// What KVM programs for a holder: 0 before the first load or pin.
  func vmid(of holder: VMIDHolder) -> VMID { VMID(truncatingIfNeeded: number(holder.id)) }

  /// The number is the holder's now, and no other's: since the last rollover it was loaded or
  /// pinned.
  func isCurrent(_ holder: VMIDHolder) -> Bool {
    holder.id != 0 && (holder.id ^ round) >> UInt64(bits) == 0
  }

  /// A vCPU of the holder is loaded. EBUSY if every number is in use by a CPU or pinned.
  func load(_ holder: VMIDHolder, on cpu: Int) throws(Errno) {
    if !isCurrent(holder) { try renew(holder) }
    active[cpu] = holder.id
  }

  /// The vCPU on a CPU is put.
  func put(_ cpu: Int) { active[cpu] = idle }

  // MARK: Pinning

  /// Pins the holder's number, which it need not have yet. ENOSPC if the limit is reached, or if
  /// every number is in use.
  func pin(_ holder: VMIDHolder) throws(Errno) -> VMID {
    if holder.pins == 0 {
      try countPin()
      do throws(Errno) {
        if !isCurrent(holder) { try renew(holder) }
      } catch {
        try refusePin()
      }
      pinned.insert(number(holder.id))
    }
    holder.pins += 1
    return vmid(of: holder)
  }

  /// A pinned number below `limit` for someone who is no VM.
  func pinPrivate(below limit: Int) throws(Errno) -> VMIDHolder {
    try countPin()
    guard let number = freeNumber(below: min(limit, end)) else { try refusePin() }
    taken.insert(number)
    pinned.insert(number)
    let holder = VMIDHolder()
    holder.id = round | UInt64(number)
    holder.pins = 1
    return holder
  }

  /// EINVAL if it is not pinned. The number stays taken until the next rollover.
  func unpin(_ holder: VMIDHolder) throws(Errno) {
    guard holder.pins > 0 else { throw .einval }
    holder.pins -= 1
    guard holder.pins == 0 else { return }
    pinned.remove(number(holder.id))
    pinCount -= 1
  }

  private func countPin() throws(Errno) {
    guard pinCount < pinLimit else {
      pinFailures += 1
      throw .enospc
    }
    pinCount += 1
  }

  private func refusePin() throws(Errno) -> Never {
    pinCount -= 1
    pinFailures += 1
    throw .enospc
  }

  // MARK: Rounds

  /// Gives a number of this round, or of the next one if none is left.
  private func renew(_ holder: VMIDHolder) throws(Errno) {
    if holder.id != 0 {
      let old = holder.id
      let same = round | UInt64(number(old))
      // Taken over from the last round: for a CPU, which may be running with it, or by a pin.
      // The new id is kept in both cases, else each load would come here.
      if updateReserved(old, to: same) || holder.pins > 0 {
        holder.id = same
        return
      }
      if !taken.contains(number(old)) {
        taken.insert(number(old))
        holder.id = same
        return
      }
    }
    guard let found = nextNumber() else { throw .ebusy }
    taken.insert(found)
    cursor = found
    holder.id = round | UInt64(found)
  }

  private func nextNumber() -> Int? {
    if let found = taken.firstAbsent(from: cursor, below: end) { return found }
    rollOver()
    return taken.firstAbsent(from: 1, below: end)
  }

  private func freeNumber(below limit: Int) -> Int? {
    if let found = taken.firstAbsent(from: 1, below: limit) { return found }
    rollOver()
    return taken.firstAbsent(from: 1, below: limit)
  }

  private func updateReserved(_ old: UInt64, to new: UInt64) -> Bool {
    var isReserved = false
    for cpu in reserved.indices where reserved[cpu] == old {
      reserved[cpu] = new
      isReserved = true
    }
    return isReserved
  }

  private func rollOver() {
    round &+= 1 << UInt64(bits)
    rollovers += 1
    taken = pinned
    taken.insert(0)
    for cpu in active.indices {
      // A CPU that did not load anything since the last rollover runs with what it had then.
      let id = active[cpu] == 0 ? reserved[cpu] : active[cpu]
      active[cpu] = 0
      reserved[cpu] = id
      taken.insert(number(id))
    }
    listener?.invalidateAll()
  }

  // MARK: For checks

  func isTaken(_ vmid: VMID) -> Bool { Int(vmid) < end && taken.contains(Int(vmid)) }
  func isPinned(_ vmid: VMID) -> Bool { Int(vmid) < end && pinned.contains(Int(vmid)) }
  var pinnedNumbers: Int { pinned.count }
}
