// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// Builds one translation table, of either stage, in the RAM of a guest.
public final class TableBuilder {
  public let guest: Guest
  public let granule: ReferenceGranule
  public let inputBits: Int
  public let start: Int
  /// The table's address as its walker sees it: physical, or intermediate behind stage 2.
  public let base: UInt64
  /// Walker's address less physical address.
  public let offset: UInt64
  public var bigEndian = false

  /// Readable, writable and executable pages.
  public static let stage1Leaf: UInt64 = 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6
  public static let stage2Leaf: UInt64 = 1 << 10 | 3 << 8 | 3 << 6 | 0xf << 2

  /// `start` of stage 2 may lie lower than the size asks for: tables are then concatenated.
  public init(
    _ guest: Guest, _ granule: ReferenceGranule = .k4, inputBits: Int = 39, start: Int? = nil,
    offset: UInt64 = 0
  ) {
    self.guest = guest
    self.granule = granule
    self.inputBits = inputBits
    self.start = start ?? granule.start(txsz: 64 - inputBits)
    self.offset = offset
    let bytes = max(64, (8 as UInt64) << UInt64(inputBits - granule.low[self.start]))
    base = guest.allocate(bytes, alignment: max(bytes, 4096)) &+ offset
  }

  private subscript(_ physical: UInt64) -> UInt64 {
    get { bigEndian ? guest.machine[physical].byteSwapped : guest.machine[physical] }
    set { guest.machine[physical] = bigEndian ? newValue.byteSwapped : newValue }
  }

  /// The physical address of the descriptor for `input` at `level`; tables above it are made.
  public func place(_ input: UInt64, level: Int = 3) -> UInt64 {
    let offsetInput = input & ((1 << UInt64(inputBits)) - 1)
    var table = base &- offset
    var top = inputBits
    for here in start...level {
      let low = granule.low[here]
      let index = (offsetInput >> UInt64(low)) & ((1 << UInt64(top - low)) - 1)
      let at = table + index * 8
      if here == level { return at }
      if self[at] & 3 != 3 {
        let bytes: UInt64 = 1 << UInt64(granule.rawValue)
        self[at] = (guest.allocate(bytes, alignment: bytes) &+ offset) | 3
      }
      table = ((self[at] & 0xffff_ffff_ffff) & ~((1 << UInt64(granule.rawValue)) - 1)) &- offset
      top = low
    }
    return table
  }

  /// The address of that descriptor as the walker sees it.
  public func walked(_ input: UInt64, level: Int = 3) -> UInt64 {
    place(input, level: level) &+ offset
  }

  public func map(_ input: UInt64, _ output: UInt64, level: Int = 3, _ leaf: UInt64) {
    set(input, level: level, output | leaf | (level == 3 ? 3 : 1))
  }

  /// Any raw descriptor.
  public func set(_ input: UInt64, level: Int = 3, _ raw: UInt64) {
    self[place(input, level: level)] = raw
  }

  public func get(_ input: UInt64, level: Int = 3) -> UInt64 { self[place(input, level: level)] }

  /// Changes bits of a descriptor.
  public func mark(_ input: UInt64, level: Int = 3, set: UInt64 = 0, clear: UInt64 = 0) {
    let at = place(input, level: level)
    self[at] = self[at] & ~clear | set
  }
}
