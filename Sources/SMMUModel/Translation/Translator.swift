// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// Where the events of transactions go.
protocol EventSink: AnyObject {
  /// Records an event of the state whose queue that is (`ControlEra.queue`).
  func post(_ record: EventRecord, in queue: UInt64)
}

/// From accesses to answers: what translations go by, and the caches of it. Translations and
/// accesses run on any number of threads; changes are serialised by the SMMU that this is part of.
public final class Translator {
  /// Changes only before a guest has seen them (`SMMU.renegotiate`).
  var features: Features
  let keepsCopies: Bool
  let machine: any Machine
  let counters: Counters
  let bus: Bus
  let registers: RegisterFile
  let control: TranslationControl
  let configurations: ConfigurationCache
  let tlb: TranslationCache
  let walker: TableWalker
  /// Looks, and leaves nothing behind.
  let inspector: TableWalker
  public let micro: MicroTLB
  let accesses: AccessGuard
  /// The SMMU, which outlives this.
  unowned(unsafe) var events: (any EventSink)?

  init(_ features: Features, options: Options, machine: any Machine) {
    self.features = features
    self.machine = machine
    keepsCopies = machine.keepsCopies
    counters = Counters()
    bus = Bus(machine, counters)
    registers = RegisterFile(features, resetAborts: options.resetAborts)
    control = TranslationControl()
    control.publish(registers, changesQueue: false)
    configurations = ConfigurationCache(entries: options.configurationEntries)
    tlb = TranslationCache(entries: options.tlbEntries)
    let cache = WalkCache()
    walker = TableWalker(bus, cache: cache, cachesTables: options.cachesTables)
    inspector = TableWalker(Bus(uncounted: bus), cache: cache, cachesTables: false)
    micro = MicroTLB()
    accesses = AccessGuard(patience: options.accessPatience, checks: options.checksAccesses)
  }

  deinit {
    counters.deallocate()
    registers.deallocate()
    control.deallocate()
    walker.cache.table.deallocate()
    micro.table.deallocate()
    accesses.deallocate()
  }

  /// Counts this thread as accessing until `endAccess` (`AccessGuard`).
  @inline(__always)
  public func beginAccess() -> UInt64 { accesses.beginChecked() }

  @inline(__always)
  public func endAccess(_ token: UInt64) { accesses.endChecked(token, machine) }
}

extension Translator {
  /// `SMMU.remove(stream:)`.
  func remove(stream: StreamID) {
    renewCaches()
    configurations.bar(stream)
    forgetConfigurations(stream, stream)
    notify(.configuration(first: stream, last: stream))
    accesses.drain(machine)
    configurations.unbar()
  }
}
