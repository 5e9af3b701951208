// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The registers' values, and the register map prepared for look-up by offset. All architectural
/// state is here: one 64-bit word per register. Writers are serialised by the SMMU; readers are
/// not.
struct RegisterFile {
  /// A row of the register map for one set of features.
  struct Row {
    var register: Register
    var page: UInt8
    var isWide: Bool
    var access: WriteGuard
    var reaction: Reaction
    var implemented: UInt64
    var reset: UInt64
  }

  private static var words: Int { 0x1000 / 4 }
  private static var none: UInt8 { 0xff }

  private let values: UnsafeMutablePointer<Atomic<UInt64>>
  private let rows: UnsafeMutablePointer<Row>
  private let rowCount: Int
  /// Row numbers by 32-bit word of the first 4 KiB, where all registers are.
  private let index: UnsafeMutablePointer<UInt8>

  init(_ features: Features, resetAborts: Bool) {
    values = .allocate(capacity: Register.count)
    for i in 0..<Register.count { (values + i).initialize(to: Atomic(0)) }
    let map = RegisterMap.rows
    rowCount = map.count
    rows = .allocate(capacity: map.count)
    index = .allocate(capacity: Self.words)
    index.initialize(repeating: Self.none, count: Self.words)
    for (i, row) in map.enumerated() {
      for word in 0..<row.register.width / 4 { index[Int(row.offset) / 4 + word] = UInt8(i) }
    }
    adopt(features, resetAborts: resetAborts)
  }

  /// Makes the rows those of an SMMU with these features, and resets.
  func adopt(_ features: Features, resetAborts: Bool) {
    for (i, row) in RegisterMap.rows.enumerated() {
      let constant = RegisterMap.constant(row.register, features).map { UInt64($0) }
      let abort = row.register == .gbpa && resetAborts ? GBPA.abort.mask : 0
      let implemented = row.implemented(features)
      (rows + i).initialize(
        to: Row(
          register: row.register, page: row.page, isWide: row.register.width == 8,
          access: row.access, reaction: row.reaction, implemented: implemented,
          reset: (constant ?? (row.register.reset | abort)) & implemented))
    }
    reset()
  }

  func deallocate() {
    values.deallocate()
    rows.deallocate()
    index.deallocate()
  }

  func reset() {
    for i in 0..<rowCount { self[rows[i].register] = rows[i].reset }
  }

  /// Acquiring and releasing, so that whoever sees an enable or an index sees what was written
  /// before it.
  @inline(__always)
  subscript(_ register: Register) -> UInt64 {
    get { values[register.place].load(ordering: .acquiring) }
    nonmutating set { values[register.place].store(newValue, ordering: .releasing) }
  }

  /// A register and those whose places follow its.
  func words(from register: Register) -> UnsafeMutablePointer<Atomic<UInt64>> {
    values + register.place
  }

  @inline(__always)
  func flag(_ register: Register, _ field: Field) -> Bool { self[register][field.low] }

  /// The row that covers the 32-bit word at `offset` of a page, and which half of it that is.
  func row(at offset: UInt64) -> (row: UnsafePointer<Row>, high: Bool)? {
    guard offset < 0x1000 else { return nil }
    let word = Int(truncatingIfNeeded: offset / 4)
    let number = index[word]
    guard number != Self.none else { return nil }
    let row = UnsafePointer(rows + Int(number))
    return (row, row.pointee.isWide && word > 0 && index[word - 1] == number)
  }
}
