// SPDX-License-Identifier: MIT

/// What there is of everything, and what happened so far.
public struct EmulatedCounters: Equatable, Sendable {
  public var objects = 0
  public var files = 0
  public var mappings = 0
  public var calls: UInt64 = 0
  public var invalidations: UInt64 = 0
  public var hwpts: UInt64 = 0
  public var commands: UInt64 = 0
  public var rollovers: UInt64 = 0
  public var pinLimit = 0
  public var pins = 0
  public var pinFailures: UInt64 = 0
  public var directCommands: UInt64 = 0
}

extension EmulatedHost {
  public var counters: EmulatedCounters { locked { kernel.counters } }
}

extension EmulatedKernelState {
  fileprivate var counters: EmulatedCounters {
    var counters = EmulatedCounters()
    counters.files = descriptors.count
    counters.calls = calls
    counters.invalidations = invalidations
    counters.hwpts = hwpts
    for iommufd in iommufds {
      counters.objects += iommufd.objects.count
      iommufd.objects.each { entry in
        if case .ioas(let ioas) = entry { counters.mappings += ioas.areas.count }
      }
    }
    for smmu in smmus {
      counters.commands &+= smmu.commandCount
      counters.directCommands &+= smmu.accessing { smmu.directCommandCount }
    }
    counters.rollovers = hypervisor.vmids.rollovers
    counters.pinLimit = hypervisor.vmids.pinLimit
    counters.pins = hypervisor.vmids.pinCount
    counters.pinFailures = hypervisor.vmids.pinFailures
    return counters
  }
}
