// SPDX-License-Identifier: MIT
import SMMUSpec

/// What carries out the commands of a queue.
protocol CommandExecutor {
  /// Asked before each 32 commands: time advances by one a command.
  func renewCaches()
  /// A command that invalidates takes effect. What it cost, in commands; nil if hardware could not
  /// be made to follow. It has told why then, and it is not the guest's fault.
  func carryOut(_ command: Command) -> Int?
  /// The same for a TLBI without a range, which is decoded only where there is something to remove:
  /// most find nothing. nil if it is to be carried out as any other.
  func invalidate(leavesOnly: Bool, _ command: () -> Command?) -> Int?
  /// CMD_SYNC: all that came before is done, and, if something was invalidated, no access uses it
  /// any more. What that cost.
  func synchronize(isUnsettled: Bool) throws(HardwareFailure) -> Int
  /// Software may see that a command is done.
  func passed()
  /// What tells of a CMD_SYNC, once it may be seen that it is done (§3.18).
  func signal(_ sync: Synchronization)
}

/// A command queue (§3.5, §4.1.2, §7.1). Calls are serialised.
struct CommandQueue<Port: CommandQueuePort> {
  let port: Port
  let decoder: CommandDecoder
  /// Something was invalidated by its commands that accesses in progress may still use.
  var isUnsettled = false

  /// How a call ended.
  enum Outcome {
    /// Nothing is waiting.
    case done
    /// More commands are waiting.
    case left
    case stopped(Stop, slot: UInt32)
  }

  /// Why it stopped at a command. CONS stays there, and the port tells of it; for the caller it is
  /// to activate the error.
  enum Stop {
    case illegal(CommandWords)
    /// The entry could not be read.
    case abort
    /// Hardware could not follow: the command is tried again when the error is acknowledged.
    case hardware(HardwareFailure)

    var error: CommandError {
      switch self {
      case .illegal: .illegal
      // As if the entry could not be read.
      case .abort, .hardware(.refused): .abort
      case .hardware(.endpointTimeout): .atcInvSync
      }
    }
  }

  init(_ port: Port, _ decoder: CommandDecoder) {
    self.port = port
    self.decoder = decoder
  }

  var ring: Ring {
    Ring(base: port.base, most: port.log2Most, entryBytes: CommandWords.bytes)
  }

  /// Consumes commands in order, at most to the producer that it finds, until they have cost
  /// `budget`: those that search the TLB or wait for accesses cost more than one. Registers and RAM
  /// change between calls alone, so what is read of them at first holds.
  @inline(__always)
  mutating func consume(
    _ budget: Int, _ executor: some CommandExecutor & QueueMemory
  ) -> Outcome {
    guard port.isEnabled, !port.isStopped else { return .done }
    let ring = ring
    var consumer = port.consumer & ring.mask
    // Indices that contradict each other consume nothing (§3.5.1).
    guard var count = ring.count(producer: port.producer, consumer: consumer), count > 0
    else { return .done }
    // The whole ring, if it is in one region of RAM.
    let slots = executor.host(ring.base, ring.capacity &* CommandWords.bytes)
    let decoder = decoder
    executor.renewCaches()
    var left = budget
    while count > 0 {
      guard left > 0 else { return .left }
      if count & 31 == 0 { executor.renewCaches() }
      guard let words = fetch(from: ring, at: consumer, slots: slots, memory: executor) else {
        return stop(.abort, in: ring, at: consumer)
      }
      var signal: Synchronization?
      if let leavesOnly = decoder.sparesTables(words),
        let cost = executor.invalidate(leavesOnly: leavesOnly, { decoder.decode(words) })
      {
        isUnsettled = true
        left &-= cost
      } else {
        guard let command = decoder.decode(words) else {
          return stop(.illegal(words), in: ring, at: consumer)
        }
        do throws(HardwareFailure) {
          left &-= try perform(command, executor)
        } catch {
          return stop(.hardware(error), in: ring, at: consumer)
        }
        if case .sync(let sync) = command { signal = sync }
      }
      // It has taken effect, then CONS moves: a driver that sees CONS pass it sees the effect.
      consumer = ring.next(consumer)
      count &-= 1
      executor.passed()
      port.pass(to: consumer)
      // Only now a CMD_SYNC can be heard of (§3.18).
      if let signal { executor.signal(signal) }
    }
    return .done
  }

  @inline(__always)
  private mutating func perform(
    _ command: Command, _ executor: some CommandExecutor
  ) throws(HardwareFailure) -> Int {
    switch command {
    // Fetching nothing is a legal prefetch (§4.2.1).
    case .prefetchConfig, .prefetchAddr: return 1
    case .sync:
      let cost = try executor.synchronize(isUnsettled: isUnsettled)
      isUnsettled = false
      return cost
    default:
      isUnsettled = true
      guard let cost = executor.carryOut(command) else { throw .refused }
      return cost
    }
  }

  /// nil is an external abort.
  @inline(__always)
  private func fetch(
    from ring: Ring, at index: UInt64, slots: UnsafeMutableRawPointer?, memory: some QueueMemory
  ) -> CommandWords? {
    guard let slots else { return Self.fetch(ring.address(index), memory) }
    let slot = slots + Int(truncatingIfNeeded: ring.slot(index) &* CommandWords.bytes)
    return CommandWords(loadWord(slot), loadWord(slot + 8))
  }

  @inline(never)
  private static func fetch(_ address: UInt64, _ memory: some QueueMemory) -> CommandWords? {
    do throws(BusAbort) {
      return CommandWords(try memory.load64(address), try memory.load64(address &+ 8))
    } catch {
      return nil
    }
  }

  @inline(__always)
  private func stop(_ why: Stop, in ring: Ring, at index: UInt64) -> Outcome {
    port.stop(at: index, why.error)
    return .stopped(why, slot: UInt32(truncatingIfNeeded: ring.slot(index)))
  }
}
