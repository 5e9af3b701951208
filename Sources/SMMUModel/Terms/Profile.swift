// SPDX-License-Identifier: MIT
import SMMUSpec

extension Features {
  /// All that the model implements, but StreamIDs of 16 bits, as PCI's requester IDs: there are
  /// drivers that allocate a table for all that SIDSIZE promises. AIDR is SMMUv3.1: from v3.2 on
  /// both stages demand EL2 streams. What of v3.2 is here, §2.9 allows to a v3.1 implementation.
  @inline(never)
  public static var full: Features {
    var f = Features()
    f[.idr0, IDR0.s2p] = 1
    f[.idr0, IDR0.s1p] = 1
    f[.idr0, IDR0.ttf] = 2
    f[.idr0, IDR0.cohacc] = 1
    f[.idr0, IDR0.asid16] = 1
    f[.idr0, IDR0.msi] = 1
    f[.idr0, IDR0.vmw] = 1
    f[.idr0, IDR0.vmid16] = 1
    f[.idr0, IDR0.cd2l] = 1
    f[.idr0, IDR0.stallModel] = 1
    f[.idr0, IDR0.stLevel] = 1
    f[.idr1, IDR1.sidsize] = 16
    f[.idr1, IDR1.ssidsize] = 20
    f[.idr1, IDR1.cmdqs] = 19
    f[.idr1, IDR1.eventqs] = 19
    f[.idr1, IDR1.attrPermsOvr] = 1
    f[.idr1, IDR1.attrTypesOvr] = 1
    f[.idr3, IDR3.had] = 1
    f[.idr3, IDR3.xnx] = 1
    f[.idr3, IDR3.fwb] = 1
    f[.idr3, IDR3.stt] = 1
    f[.idr3, IDR3.ril] = 1
    f[.idr3, IDR3.bbml] = 2
    f[.idr5, IDR5.oas] = 5
    f[.idr5, IDR5.gran4K] = 1
    f[.idr5, IDR5.gran16K] = 1
    f[.idr5, IDR5.gran64K] = 1
    f[.aidr, AIDR.minor] = 1
    return f
  }

  /// What a Linux guest uses: stage 1, little-endian, terminate by abort, MSIs that it polls for.
  @inline(never)
  public static var linux: Features {
    var f = full
    for field in [IDR0.s2p, IDR0.vmw, IDR0.vmid16] { f[.idr0, field] = 0 }
    f[.idr0, IDR0.ttendian] = 2
    f[.idr0, IDR0.termModel] = 1
    f[.idr1, IDR1.ssidsize] = 16
    f[.idr1, IDR1.attrTypesOvr] = 0
    f[.idr1, IDR1.attrPermsOvr] = 0
    for field in [IDR3.xnx, IDR3.fwb, IDR3.stt] { f[.idr3, field] = 0 }
    return f
  }

  /// What a Linux guest uses, of the least that a host has on which a device can be assigned to it:
  /// SMMUv3.0 with pages of 4 KiB and addresses of 44 bits, no SubstreamIDs, no commands for
  /// ranges.
  @inline(never)
  public static var assign: Features {
    var f = linux
    f[.idr0, IDR0.asid16] = 0
    f[.idr0, IDR0.cd2l] = 0
    f[.idr1, IDR1.ssidsize] = 0
    f[.idr3] = 0
    f[.idr5] = 0
    f[.idr5, IDR5.oas] = 4
    f[.idr5, IDR5.gran4K] = 1
    f[.aidr, AIDR.minor] = 0
    return f
  }

  /// The first field whose value the model does not implement.
  public var unimplemented: (register: IdentificationRegister, field: Field)? {
    for register in IdentificationRegister.allCases {
      for field in register.fields where !isImplemented(register, field) {
        return (register, field)
      }
    }
    return nil
  }

  private func isImplemented(_ register: IdentificationRegister, _ field: Field) -> Bool {
    let value = self[register, field]
    return value <= Self.most(register, field) && value >= Self.least(register, field)
  }

  /// The largest value of a field that is implemented; zero is what most features are.
  @inline(never)
  static func most(_ register: IdentificationRegister, _ field: Field) -> UInt32 {
    switch register {
    case .iidr: .max
    case .idr0 where field == IDR0.ttendian: 3
    case .idr0 where field == IDR0.termModel: 1
    // Promises that the system must keep: never by default.
    case .idr0 where field == IDR0.btm || field == IDR0.ats: 1
    case .idr1 where field == IDR1.sidsize: 32
    default: full[register, field]
    }
  }

  /// Zero would promise more than one of these values does.
  @inline(never)
  private static func least(_ register: IdentificationRegister, _ field: Field) -> UInt32 {
    // TTF 2: AArch64 tables alone. STALL_MODEL 1: no stalls.
    register == .idr0 && (field == IDR0.ttf || field == IDR0.stallModel)
      ? full[register, field] : 0
  }
}
