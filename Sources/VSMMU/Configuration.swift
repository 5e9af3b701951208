// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

/// What a caller's `vsmmu_config` asks for, checked.
extension vsmmu_config {
  var checkedFeatures: (Features, AutomaticFields) {
    get throws(Refusal) {
      var checked: Features
      switch profile {
      case VSMMU_PROFILE_FULL: checked = .full
      case VSMMU_PROFILE_LINUX: checked = .linux
      case VSMMU_PROFILE_ASSIGN: checked = .assign
      default: throw .invalid("config.profile is no VSMMU_PROFILE_*")
      }
      let automatic = try checked.apply(features)
      return (checked, automatic)
    }
  }

  var checkedOptions: Options {
    get throws(Refusal) {
      let known =
        VSMMU_STRICT_PAGES | VSMMU_STRICT_COMMANDS | VSMMU_QUIRK_TLBI_EL2 | VSMMU_RESET_ABORTS
        | VSMMU_NO_WIRED_IRQ | VSMMU_CHECK_ACCESSES | VSMMU_SHARED_VMID
        | VSMMU_FAILED_STREAMS_ABORT | VSMMU_RECORD_BAD_STE | VSMMU_DIRECT_QUEUES
      guard flags & ~known == 0 else {
        throw .invalid("config.flags has a bit set that this library does not know")
      }
      guard tlb_entries <= 1 << 20 else { throw .invalid("config.tlb_entries is more than 2^20") }
      guard configuration_entries <= 1 << 16 else {
        throw .invalid("config.configuration_entries is more than 2^16")
      }
      var options = Options()
      if command_budget != 0 { options.commandBudget = Int(command_budget) }
      if tlb_entries != 0 { options.tlbEntries = Self.roundedUp(tlb_entries) }
      if configuration_entries != 0 {
        options.configurationEntries = Self.roundedUp(configuration_entries)
      }
      options.strictPages = flags & VSMMU_STRICT_PAGES != 0
      options.commandRules.strictReserved = flags & VSMMU_STRICT_COMMANDS != 0
      options.commandRules.acceptEL2 = flags & VSMMU_QUIRK_TLBI_EL2 != 0
      options.resetAborts = flags & VSMMU_RESET_ABORTS != 0
      options.hasWiredInterrupts = flags & VSMMU_NO_WIRED_IRQ == 0
      options.checksAccesses = flags & VSMMU_CHECK_ACCESSES != 0
      options.recordsIllegalSTEs = flags & VSMMU_RECORD_BAD_STE != 0
      if access_patience != 0 { options.accessPatience = access_patience }
      return options
    }
  }

  /// Where its host is, if it has one.
  var checkedHost: HostPlace? {
    get throws(Refusal) {
      guard reserved == 0 else { throw .invalid("config.reserved is not 0") }
      guard let host else {
        guard ioas == 0, parent_hwpt == 0 else {
          throw .invalid("config.ioas and config.parent_hwpt are of config.host, which is NULL")
        }
        return nil
      }
      return try HostPlace(host, ioas: ioas, parent: parent_hwpt)
    }
  }

  /// The caches have at least one set of four.
  private static func roundedUp(_ entries: UInt32) -> Int {
    var size = 4
    while size < Int(entries) { size *= 2 }
    return size
  }
}
