// SPDX-License-Identifier: MIT
import CKernel
import SMMUModel
import SMMUSpec

/// How one physical SMMU differs from the next: `vsmmu_emulated_smmu`, parsed.
public struct PhysicalConfiguration {
  /// VSMMU_EMULATED_NO_FWB and so on, with their bits.
  public struct Flags: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static var noFWB: Flags { Flags(rawValue: 1) }
    public static var canWBS: Flags { Flags(rawValue: 2) }
    public static var noNesting: Flags { Flags(rawValue: 4) }
    public static var repeats: Flags { Flags(rawValue: 8) }
    public static var noBTM: Flags { Flags(rawValue: 16) }
    public static var vmid8: Flags { Flags(rawValue: 32) }
    public static var rootATS: Flags { Flags(rawValue: 64) }
    public static var cmdqv: Flags { Flags(rawValue: 128) }
    public static var all: Flags { Flags(rawValue: 255) }
  }

  public var flags: Flags = []
  /// What the ID registers show.
  public var features: Features = .physical
  /// Bits that the raw registers show beside.
  public var extraIDR0: UInt32 = 0
  public var extraIDR3: UInt32 = 0
  /// A power of two.
  public var tlbEntries = 4096

  /// As `EmulatedConfiguration.init`.
  @inline(never)
  public init() {}

  /// The ID registers with all that the flags change.
  var shown: Features {
    var f = features
    if flags.contains(.noFWB) { f[.idr3, IDR3.fwb] = 0 }
    if flags.contains(.vmid8) { f[.idr0, IDR0.vmid16] = 0 }
    return f
  }

  /// What the model runs with: a pointer is a physical address, so addresses have 48 bits whatever
  /// is shown, and the driver here gives plain domains stage 2 tables (`PagingHWPT`).
  var working: Features {
    var f = shown
    f[.idr0, IDR0.s2p] = 1
    f[.idr5, IDR5.oas] = 5
    return f
  }

  /// Broadcast TLB maintenance works.
  var canBroadcast: Bool { shown.broadcast && !flags.contains(.noBTM) }

  /// Errata are known by the part that has them; ID registers do not show them.
  var identification: UInt32 {
    var f = Features()
    f[.iidr, IIDR.implementer] = 0x43b
    switch (flags.contains(.noNesting), flags.contains(.noBTM)) {
    case (false, false):
      return features[.iidr]
    case (true, false):
      // MMU-600 r1: no nesting.
      f[.iidr, IIDR.productID] = 0x483
      f[.iidr, IIDR.variant] = 1
    case (let noNesting, true):
      // MMU-700: no broadcast maintenance; r0p0 no nesting either.
      f[.iidr, IIDR.productID] = 0x487
      f[.iidr, IIDR.variant] = noNesting ? 0 : 1
      f[.iidr, IIDR.revision] = noNesting ? 0 : 1
    }
    return f[.iidr]
  }

  /// IOMMU_GET_HW_INFO's raw registers. The erratum flag exists since Linux 7.3.
  var information: iommufd_hw_info_arm_smmuv3 {
    let f = shown
    var raw = iommufd_hw_info_arm_smmuv3()
    raw.flags = flags.contains(.repeats) ? 1 : 0
    raw.idr = (f[.idr0] | extraIDR0, f[.idr1], f[.idr2], f[.idr3] | extraIDR3, f[.idr4], f[.idr5])
    raw.iidr = identification
    raw.aidr = f[.aidr]
    return raw
  }
}

extension Features {
  /// A server's SMMU: all that the model has, and broadcast maintenance.
  static var physical: Features {
    var f = full
    f[.idr0, IDR0.btm] = 1
    f[.idr1, IDR1.ssidsize] = 16
    return f
  }
}
