// SPDX-License-Identifier: MIT
import Foundation
import SMMUAtomics
import SMMUModel
import SMMUSpec

/// A machine for tests: memory of its own, everything that the SMMU does outside recorded.
///
/// `ram` is registered with the SMMU (the fast path); addresses at `outside` reach the callbacks;
/// all others, and those in `aborting`, are external aborts.
public final class GuestMachine: Machine {
  /// What the SMMU does outside, in the moment it does it.
  public enum Call: Equatable {
    case pulse(InterruptLine)
    case signal(UInt64, UInt32)
    case wrote(UInt64)
    case write(UInt64)
    case notice(Staleness)
    case report(Report)
  }

  public static let ramBase: UInt64 = 0x4000_0000
  public let ramSize: UInt64
  /// Answered by `read` and `write`, not registered.
  public var outside: Range<UInt64> = 0x1_0000_0000..<0x1_0010_0000
  public var outsideBytes: [UInt8]
  /// Pages within `outside` that abort.
  public var aborting: Set<UInt64> = []
  public let host: UnsafeMutableRawPointer

  public private(set) var pulses: [InterruptLine] = []
  public private(set) var messages: [(address: UInt64, data: UInt32)] = []
  public private(set) var stale: [Staleness] = []
  public private(set) var reports: [Report] = []
  public private(set) var written: [(address: UInt64, count: UInt64)] = []
  public private(set) var commandsLeftCount = 0
  public let resumesCommands: Bool
  /// Called when the SMMU waits for another thread.
  public var onRelax: () -> Void = {}
  /// Called on each access outside RAM, before it is answered.
  public var onRead: (UInt64) -> Void = { _ in }
  /// Called with each other effect, before it is recorded.
  public var onCall: (Call) -> Void = { _ in }
  /// Addresses at or above this accept MSIs; below, an MSI aborts unless it is RAM or `outside`.
  public var messagesAccepted = true

  public init(ramSize: UInt64 = 16 << 20, resumesCommands: Bool = true) {
    self.ramSize = ramSize
    self.resumesCommands = resumesCommands
    // Zeroed when it is touched: most tests use little of it.
    host = mmap(nil, Int(ramSize), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
    outsideBytes = Array(repeating: 0, count: 0x10_0000)
  }

  deinit { munmap(host, Int(ramSize)) }

  // MARK: Machine

  private func isOutside(_ address: UInt64, _ count: Int) -> Bool {
    outside.contains(address) && outside.contains(address + UInt64(count) - 1)
      && !aborting.contains(address & ~0xfff)
  }

  public func read(_ address: UInt64, into data: UnsafeMutableRawPointer, count: Int) -> Bool {
    onRead(address)
    guard isOutside(address, count) else { return false }
    let start = Int(address - outside.lowerBound)
    outsideBytes.withUnsafeBytes {
      data.copyMemory(from: $0.baseAddress! + start, byteCount: count)
    }
    return true
  }

  public func write(_ address: UInt64, from data: UnsafeRawPointer, count: Int) -> Bool {
    onCall(.write(address))
    guard isOutside(address, count) else { return false }
    let start = Int(address - outside.lowerBound)
    outsideBytes.withUnsafeMutableBytes {
      ($0.baseAddress! + start).copyMemory(from: data, byteCount: count)
    }
    return true
  }

  public func wrote(_ address: UInt64, count: UInt64) {
    onCall(.wrote(address))
    written.append((address, count))
  }
  public func pulse(_ line: InterruptLine) {
    onCall(.pulse(line))
    pulses.append(line)
  }
  public func signal(_ address: UInt64, _ data: UInt32) -> Bool {
    onCall(.signal(address, data))
    if messagesAccepted { messages.append((address, data)) }
    return messagesAccepted
  }
  public func notify(stale what: Staleness, generation: UInt64) {
    onCall(.notice(what))
    stale.append(what)
  }
  public func commandsLeft() { commandsLeftCount += 1 }
  public func report(_ what: Report) {
    onCall(.report(what))
    reports.append(what)
  }
  public var spins: Int { 0 }
  public func sleep(_ bell: Bell, milliseconds: UInt32, unless isDone: () -> Bool) { onRelax() }

  /// What was pulsed since the last call.
  public func takePulses() -> [InterruptLine] {
    defer { pulses = [] }
    return pulses
  }
  public func takeMessages() -> [(address: UInt64, data: UInt32)] {
    defer { messages = [] }
    return messages
  }
  public func takeStale() -> [Staleness] {
    defer { stale = [] }
    return stale
  }

  public func takeReports() -> [Report] {
    defer { reports = [] }
    return reports
  }
  public func takeWritten() -> [(address: UInt64, count: UInt64)] {
    defer { written = [] }
    return written
  }

  // MARK: Memory

  /// RAM or `outside` as 64-bit little-endian words.
  public subscript(_ address: UInt64) -> UInt64 {
    get {
      if outside.contains(address) {
        return outsideBytes.withUnsafeBytes {
          $0.loadUnaligned(fromByteOffset: Int(address - outside.lowerBound), as: UInt64.self)
        }
      }
      return host.loadUnaligned(fromByteOffset: Int(address - Self.ramBase), as: UInt64.self)
    }
    set {
      if outside.contains(address) {
        outsideBytes.withUnsafeMutableBytes {
          $0.storeBytes(
            of: newValue, toByteOffset: Int(address - outside.lowerBound), as: UInt64.self)
        }
        return
      }
      host.storeBytes(of: newValue, toByteOffset: Int(address - Self.ramBase), as: UInt64.self)
    }
  }
}
