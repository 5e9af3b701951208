// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUSpec

/// HWPT_NESTED: a guest's STE over a vIOMMU's stage 2.
final class NestedHWPT: KernelObject {
  let viommu: KernelVIOMMU
  /// What is left of the guest's STE: two words of permitted fields.
  private let words: (UInt64, UInt64)
  private let fault: KernelFaultQueue?

  init(_ viommu: KernelVIOMMU, words: (UInt64, UInt64), fault: KernelFaultQueue?) {
    self.viommu = viommu
    self.words = words
    self.fault = fault
  }

  override func forEachHeld(_ body: (KernelObject) -> Void) {
    body(viommu)
    if let fault { body(fault) }
  }

  var translates: Bool { guest[StreamTableEntry.config] == 5 }

  var allowsATS: Bool {
    translates ? guest[StreamTableEntry.eats] == 1 : guest[StreamTableEntry.config] == 4
  }

  private var guest: StreamTableEntry {
    var entry = StreamTableEntry()
    (entry[word: 0], entry[word: 1]) = words
    return entry
  }

  /// The physical STE. MEV lets the SMMU merge a guest's events, for the host's queue is shared.
  var entry: StreamTableEntry {
    let guest = guest
    switch guest[StreamTableEntry.config] {
    case 4: return viommu.parent.entry
    case 5:
      var entry = viommu.parent.entry
      entry[word: 0] = words.0
      entry[StreamTableEntry.config] = 7
      entry[word: 1] |= words.1
      entry[StreamTableEntry.mev] = 1
      return entry
    default: return .abort
    }
  }
}

/// The words of a guest's STE that the kernel lets through, or EIO.
enum VirtualSTE {
  static func check(_ words: (UInt64, UInt64)) throws(Errno) -> (UInt64, UInt64) {
    var entry = StreamTableEntry()
    (entry[word: 0], entry[word: 1]) = words
    // Whatever stands in an invalid one: it aborts.
    guard entry.flag(StreamTableEntry.v) else { return (0, 0) }
    for index in 0..<2 where entry[word: index] & ~permitted(index) != 0 { throw .eio }
    switch entry[StreamTableEntry.config] {
    case 0, 4, 5: break
    default: throw .eio
    }
    guard entry[StreamTableEntry.eats] <= 1 else { throw .eio }
    return words
  }

  @export(interface)
  private static func permitted(_ index: Int) -> UInt64 {
    typealias STE = StreamTableEntry
    // Linux knows addresses of up to 52 bits.
    let fields =
      index == 0
      ? [STE.v, STE.config, STE.s1fmt, Field("S1ContextPtr", 51, 6), STE.s1cdMax]
      : [STE.s1dss, STE.s1cir, STE.s1cor, STE.s1csh, STE.s1stalld, STE.eats]
    return fields.reduce(0) { $0 | $1.mask }
  }
}

/// Either kind of page table, where a device may be attached to either.
enum HWPT {
  case paging(PagingHWPT)
  case nested(NestedHWPT)

  var object: KernelObject {
    switch self {
    case .paging(let hwpt): hwpt
    case .nested(let hwpt): hwpt
    }
  }

  /// Itself, or what it is nested in.
  var paging: PagingHWPT {
    switch self {
    case .paging(let hwpt): hwpt
    case .nested(let hwpt): hwpt.viommu.parent
    }
  }

  var entry: StreamTableEntry {
    switch self {
    case .paging(let hwpt): hwpt.entry
    case .nested(let hwpt): hwpt.entry
    }
  }

  var allowsATS: Bool {
    switch self {
    case .paging: true
    case .nested(let hwpt): hwpt.allowsATS
    }
  }

  /// Whether a device that is attached to it may have PASIDs attached elsewhere.
  var allowsPASIDs: Bool {
    switch self {
    case .paging(let hwpt): hwpt.flags.contains(.pasid)
    case .nested: false
    }
  }
}
