// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUModel
import SMMUSpec

/// A virtual interface of a physical SMMU with CMDQ-V, a guest's: what its kernel sets up, the page
/// on which the guest drives its queues, and what hardware does by itself. With the lock of the
/// SMMU's registers held.
final class PhysicalInterface {
  static var version: UInt8 { 1 }
  static var queueBits: Int { 1 }
  static var streamBits: Int { 4 }
  /// The first of 64 is the host's own.
  static var most: Int { 63 }
  /// Bytes of the page, aligned, and of the object.
  static var needed: Int { 3 * Int(DirectFrameMap.pageSize) }

  private struct Pair {
    let virtual: StreamID
    let physical: StreamID
  }

  let page = PhysicalPages(bytes: Int(DirectFrameMap.pageSize))
  /// The guest's, in place of what its commands say.
  private let vmid: VMID
  /// BASE of each queue, 0 while it is not set up.
  private var bases: [UInt64] = Array(repeating: 0, count: 1 << queueBits)
  /// SID_MATCH and SID_REPLACE.
  private var streams: [Pair] = []
  /// Errors that the kernel was not told yet, one bit for each queue.
  private var unreported: UInt64 = 0

  init(vmid: VMID) { self.vmid = vmid }
  deinit { page.deallocate() }

  // MARK: What the kernel sets up

  /// False if all pairs are in use.
  func add(_ virtual: StreamID, as physical: StreamID) -> Bool {
    guard streams.count < 1 << Self.streamBits else { return false }
    streams.append(Pair(virtual: virtual, physical: physical))
    return true
  }

  func remove(_ virtual: StreamID) { streams.removeAll { $0.virtual == virtual } }

  func setUp(_ index: Int, at address: UInt64, log2Size: Int) {
    bases[index] = address | UInt64(log2Size)
  }

  /// What a driver does before it takes the queue's memory away.
  func tearDown(_ index: Int) {
    for register in [DirectQueueRegister.config, .status, .prod, .cons] {
      word(register, index).value = 0
    }
    word(.gerrorn, index).value = word(.gerror, index).value
    bases[index] = 0
  }

  var hasErrors: Bool { unreported != 0 }

  /// The map of queues with errors, if there are some that the kernel was not told.
  func takeErrors() -> UInt64 {
    defer { unreported = 0 }
    return unreported
  }

  private func word(_ register: DirectQueueRegister, _ index: Int) -> PageWord {
    PageWord(page.pointer + DirectFrameMap.stride * index + register.rawValue)
  }

  // MARK: What it does by itself

  /// Consumes what the page shows; returns how many commands. `issue` has the SMMU carry out some.
  func run(_ features: Features, _ issue: ([CommandWords]) -> Bool) -> UInt64 {
    var done: UInt64 = 0
    for index in bases.indices where bases[index] != 0 {
      let isOn = word(.config, index).value & 1
      word(.status, index).value = isOn
      let error = word(.gerror, index).value ^ word(.gerrorn, index).value
      if isOn != 0 && error & 1 == 0 { done += consume(index, features: features, issue: issue) }
    }
    return done
  }

  private func consume(
    _ index: Int, features: Features, issue: ([CommandWords]) -> Bool
  ) -> UInt64 {
    let size: UInt64 = 1 << bases[index][DirectQueueBase.log2Size]
    let base = bases[index] & DirectQueueBase.address.mask
    let end = UInt64(word(.prod, index).value) & (2 * size - 1)
    var next = UInt64(word(.cons, index).value) & (2 * size - 1)
    var waiting: [CommandWords] = []
    var isComplete = true
    var done: UInt64 = 0
    while next != end && done < size {
      let slot = base + (next & (size - 1)) * CommandWords.bytes
      let words = CommandWords(PhysicalWord(slot).value, PhysicalWord(slot + 8).value)
      switch meaning(of: words, features) {
      case .invalidation(let words):
        waiting.append(words)
        if waiting.count == Self.batch { isComplete = flush(&waiting, by: issue) && isComplete }
      case .synchronization:
        isComplete = flush(&waiting, by: issue) && isComplete
        // A device did not answer a CMD_ATC_INV (§3.9.1.4).
        if !isComplete { return stop(index, for: .atcInvSync, at: next, after: done) }
      case .error:
        _ = flush(&waiting, by: issue)
        return stop(index, for: .illegal, at: next, after: done)
      }
      next = (next + 1) & (2 * size - 1)
      done += 1
    }
    _ = flush(&waiting, by: issue)
    word(.cons, index).value = UInt32(truncatingIfNeeded: next)
    return done
  }

  /// So many commands are carried out at a time.
  private static var batch: Int { 63 }

  private func flush(
    _ waiting: inout [CommandWords], by issue: ([CommandWords]) -> Bool
  ) -> Bool {
    guard !waiting.isEmpty else { return true }
    defer { waiting.removeAll(keepingCapacity: true) }
    return issue(waiting)
  }

  private func stop(
    _ index: Int, for error: CommandError, at next: UInt64, after done: UInt64
  ) -> UInt64 {
    var cons = next
    cons[DirectQueueFields.error] = UInt64(error.rawValue)
    word(.cons, index).value = UInt32(truncatingIfNeeded: cons)
    word(.gerror, index).value ^= 1
    unreported |= 1 << UInt64(index)
    return done
  }

  private enum Meaning {
    case invalidation(CommandWords)
    case synchronization, error
  }

  /// A guest's queue takes these, and a CMD_SYNC that signals nothing.
  private func meaning(of words: CommandWords, _ features: Features) -> Meaning {
    var words = words
    switch CommandDecoder(features).decode(words) {
    case .atcInv(let what):
      guard let pair = streams.first(where: { $0.virtual == what.source.stream }) else {
        return .error
      }
      words[CommandWords.streamID] = UInt64(pair.physical)
      return .invalidation(words)
    case .tlbiNHASID, .tlbiNHVA:
      words[CommandWords.vmid] = UInt64(vmid)
      return .invalidation(words)
    case .sync(let synchronization) where synchronization.signal == .none: return .synchronization
    default: return .error
    }
  }
}

/// A little-endian 32-bit register on a page that a guest accesses meanwhile.
private struct PageWord {
  private let pointer: UnsafeMutablePointer<Atomic<UInt32>>

  init(_ pointer: UnsafeMutableRawPointer) {
    self.pointer = pointer.assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  var value: UInt32 {
    get { UInt32(littleEndian: pointer.pointee.load(ordering: .acquiring)) }
    nonmutating set { pointer.pointee.store(newValue.littleEndian, ordering: .releasing) }
  }
}
