// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// The answers of late, by stream and 4 KiB page, in front of configuration cache and TLB: one
/// look-up and one comparison instead of two look-ups and their stamps.
///
/// A row: {sequence, epoch} · page · identity · output - input · end · {size, allowed}.
public struct MicroTLB {
  typealias Table = EpochTable<1024, 8>
  /// Of one stream, pages so many apart share a row.
  static var rows: Int { Table.count }
  let table = Table()

  /// StreamID [31:0], SubstreamID [63:32]; and the row: neighbour pages are in neighbour rows, and
  /// the same page of several streams in several.
  @inline(__always)
  private func place(_ access: Access) -> (identity: UInt64, row: Table.Row) {
    let stream = UInt64(access.stream)
    var identity = stream
    // Neighbour streams begin 633 rows apart, the golden section of 1024, so that functions of a
    // device and devices of a bus seldom share rows.
    var mixed = stream &* 633
    if _slowPath(access.flags.contains(.substream)) {
      identity |= UInt64(access.substream) &<< 32
      mixed &+= UInt64(access.substream) &* 633
    }
    // Rows have eight words.
    let number = access.address &>> (12 - 3) ^ mixed &* 8
    return (identity, table.row(scaled: Int(truncatingIfNeeded: number)))
  }

  /// The answer to an access, if it is here and allows it.
  @inline(__always)
  public func lookUp(_ access: Access) -> Translation? {
    guard access.flags.isSubset(of: .common) else { return nil }
    let (identity, row) = place(access)
    let generation = table.generation
    guard let word = table.begin(row, generation),
      (row[1].load(ordering: .relaxed) ^ access.address) &>> 12 == 0,
      row[2].load(ordering: .relaxed) == identity
    else { return nil }
    let kind = row[5].load(ordering: .relaxed)
    guard kind &>> UInt64(access.flags.rawValue) & 1 != 0 else { return nil }
    let difference = row[3].load(ordering: .relaxed)
    let end = row[4].load(ordering: .relaxed)
    guard table.isWhole(row, word) else { return nil }
    // What reads, writes and instruction fetches of this privilege may do is what it sees.
    let visible = UInt32(truncatingIfNeeded: kind) &>> (access.flags.rawValue & 12) & 7
    return Translation(
      address: access.address &+ difference, length: end &- access.address,
      pageBits: kind &>> 56, permissions: UInt64(visible), generation: generation)
  }

  /// Keeps an answer that was looked up from `epoch` on. `permissions` are those of accesses
  /// without and with privilege as they come.
  @inline(__always)
  func insert(
    _ access: Access, answer: Translation, permissions: Permissions, epoch: UInt32
  ) {
    let (identity, row) = place(access)
    let allowed = permissions.allowed(substream: access.flags.contains(.substream))
    table.fill(row, epoch: epoch) { row in
      row[1].store(access.address.aligned(down: 12), ordering: .relaxed)
      row[2].store(identity, ordering: .relaxed)
      row[3].store(answer.address &- access.address, ordering: .relaxed)
      row[4].store(access.address &+ answer.length, ordering: .relaxed)
      row[5].store(UInt64(answer.pageBits) &<< 56 | allowed, ordering: .relaxed)
    }
  }
}

extension Permissions {
  /// Which combinations of the common flags of an access may pass, as a set of bits: write 1,
  /// instruction 2, privileged 4, substream 8, speculative 32.
  @inline(__always)
  fileprivate func allowed(substream: Bool) -> UInt64 {
    (UInt64(rawValue) | UInt64(rawValue) &<< 32) &<< (substream ? 8 : 0)
  }
}
