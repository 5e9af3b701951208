// SPDX-License-Identifier: MIT
import SMMUSpec

/// What carries out the commands of a queue.
protocol CommandExecutor {
  /// Asked before each 32 commands: time advances by one a command.
  func renewCaches()
  /// Takes effect. What it cost, in commands.
  func carryOut(
    _ command: Command, _ state: inout CommandQueueState
  ) throws(HardwareRefusal) -> Int
  /// CMD_SYNC: all that came before is done, and no access uses what it removed.
  func synchronize(_ state: inout CommandQueueState) throws(HardwareRefusal) -> Int
  /// Software may see that a command is done.
  func passed()
  /// What tells of a CMD_SYNC, once it may be seen that it is done (§3.18).
  func signal(_ sync: Synchronization)
}

/// Hardware could not be made to follow a command. It has told why, and it is not the guest's
/// fault.
struct HardwareRefusal: Error {}

/// What a queue's commands leave behind.
struct CommandQueueState {
  /// Something was invalidated that accesses in progress may still use.
  var isUnsettled = false
}

/// A command queue (§3.5, §4.1.2, §7.1). Calls are serialised.
struct CommandQueue<Port: CommandQueuePort> {
  let port: Port
  let decoder: CommandDecoder
  var state = CommandQueueState()

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
    /// As if the entry could not be read: it is tried again when the error is acknowledged.
    case hardware

    var error: CommandError {
      switch self {
      case .illegal: .illegal
      case .abort, .hardware: .abort
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

  /// The commands that wait. Registers and RAM change between calls alone, so this holds for one.
  private struct Waiting {
    let ring: Ring
    /// The whole ring, if it is in one region of RAM.
    let slots: UnsafeMutableRawPointer?
    /// Index of the next.
    var consumer: UInt64
    var count: UInt64
  }

  /// None while the queue is off, empty, stopped by an error, or holds indices that contradict each
  /// other.
  private func waiting(_ memory: some QueueMemory) -> Waiting? {
    guard port.isEnabled, !port.isStopped else { return nil }
    let ring = ring
    let consumer = port.consumer & ring.mask
    guard let count = ring.count(producer: port.producer, consumer: consumer), count > 0
    else { return nil }
    return Waiting(
      ring: ring, slots: memory.host(ring.base, ring.capacity &* ring.entryBytes),
      consumer: consumer, count: count)
  }

  /// Consumes commands in order, at most to the producer that it finds, until they have cost
  /// `budget`: those that search the TLB or wait for accesses cost more than one.
  @inline(__always)
  mutating func consume(
    _ budget: Int, _ executor: some CommandExecutor & QueueMemory
  ) -> Outcome {
    guard var waiting = waiting(executor) else { return .done }
    executor.renewCaches()
    var left = budget
    while waiting.count > 0 {
      guard left > 0 else { return .left }
      if waiting.count & 31 == 0 { executor.renewCaches() }
      let words: CommandWords
      do throws(BusAbort) {
        words = try fetch(waiting, executor)
      } catch {
        return stop(.abort, waiting)
      }
      let command: Command
      do throws(CommandError) {
        command = try decoder.decode(words)
      } catch {
        return stop(.illegal(words), waiting)
      }
      do throws(HardwareRefusal) {
        left &-= try perform(command, &waiting, executor)
      } catch {
        return stop(.hardware, waiting)
      }
    }
    return .done
  }

  @inline(__always)
  private func fetch(
    _ waiting: Waiting, _ memory: some QueueMemory
  ) throws(BusAbort) -> CommandWords {
    if let slots = waiting.slots {
      let offset = waiting.ring.slot(waiting.consumer) &* CommandWords.bytes
      let slot = slots + Int(truncatingIfNeeded: offset)
      return CommandWords(loadWord(slot), loadWord(slot + 8))
    }
    let address = waiting.ring.address(waiting.consumer)
    return CommandWords(try memory.load64(address), try memory.load64(address &+ 8))
  }

  /// Takes effect, then moves CONS: a driver that sees CONS pass the command sees the effect. Only
  /// after that a CMD_SYNC can be heard of (§3.18).
  @inline(__always)
  private mutating func perform(
    _ command: Command, _ waiting: inout Waiting, _ executor: some CommandExecutor
  ) throws(HardwareRefusal) -> Int {
    guard case .sync(let sync) = command else {
      let cost = try executor.carryOut(command, &state)
      pass(&waiting, executor)
      return cost
    }
    let cost = try executor.synchronize(&state)
    pass(&waiting, executor)
    executor.signal(sync)
    return cost
  }

  @inline(__always)
  private func pass(_ waiting: inout Waiting, _ executor: some CommandExecutor) {
    executor.passed()
    waiting.consumer = waiting.ring.next(waiting.consumer)
    waiting.count &-= 1
    port.pass(to: waiting.consumer)
  }

  @inline(never)
  private func stop(_ why: Stop, _ waiting: Waiting) -> Outcome {
    port.stop(at: waiting.consumer, why.error)
    return .stopped(
      why, slot: UInt32(truncatingIfNeeded: waiting.ring.slot(waiting.consumer)))
  }
}
