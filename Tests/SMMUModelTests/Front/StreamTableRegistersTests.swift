// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// Where the SMMU looks for an STE: the tables lie where no memory is, and every read is seen.
@Suite("Stream table registers")
struct StreamTableRegistersTests {
  /// The addresses read for one stream, or nil if it is out of range.
  private func reads(
    _ stream: StreamID, base: UInt64, config: UInt64, features: Features = .wide
  ) -> [UInt64]? {
    let guest = Guest(features)
    guest["STRTAB_BASE"] = base
    guest["STRTAB_BASE_CFG"] = config
    guest["EVENTQ_BASE"] = Guest.eventQueue | 3
    guest["CR2"] = 2
    guest["CR0"] = 5
    var found: [UInt64] = []
    guest.machine.onRead = { found.append($0) }
    let result = guest.translate(stream, 0)
    if result.event == .badStreamID {
      #expect(found.isEmpty)
      return nil
    }
    #expect(result.event == .steFetch)
    return found
  }

  private let base: UInt64 = 0x0000_7fff_ffff_ffc0

  @Test(
    "linear: the base is aligned by LOG2SIZE as written, the index capped (R-136, R-137, R-139)")
  func linear() {
    for log2 in 0...UInt64(40) {
      let aligned = log2 + 6 >= 48 ? 0 : (base >> (log2 + 6)) << (log2 + 6)
      let last = UInt64(1) << min(log2, 32) - 1
      for stream in [0, last / 2, last] {
        let address = aligned + stream * 64
        // Beyond 48 bits nothing is read at all.
        let expected: [UInt64] = address >> 48 == 0 ? [address] : []
        #expect(reads(StreamID(stream), base: base, config: log2) == expected, "\(log2) \(stream)")
      }
      if last < 0xffff_ffff {
        #expect(reads(StreamID(last + 1), base: base, config: log2) == nil)
      }
    }
  }

  @Test("LOG2SIZE up to 63 is no overflow (R-143)", arguments: [54, 57, 58, 62, 63])
  func largest(log2: UInt64) {
    // Everything is aligned away.
    #expect(reads(3, base: base, config: log2) == [192])
    #expect(reads(3, base: base, config: log2 | 6 << 6 | 1 << 16) == [0])
    #expect(reads(.max, base: base, config: log2 | 8 << 6 | 1 << 16) == [0xff_ffff * 8])
  }

  @Test("the range is capped by SIDSIZE; the register reads as written (R-136, R-142)")
  func capped() {
    var features = Features.full
    features[.idr1, IDR1.sidsize] = 10
    #expect(reads(1023, base: 0x8_0000_0000, config: 20, features: features) == [0x8_0000_ffc0])
    #expect(reads(1024, base: 0x8_0000_0000, config: 20, features: features) == nil)
    let guest = Guest(features)
    guest["STRTAB_BASE_CFG"] = 63
    #expect(guest["STRTAB_BASE_CFG"] == 63)
  }

  @Test("StreamIDs beyond the table abort (R-142)")
  func outOfRange() {
    for log2 in 0..<UInt64(32) {
      #expect(reads(StreamID(1) << log2, base: 0, config: log2) == nil)
      #expect(reads(.max, base: 0, config: log2) == nil)
    }
  }

  @Test("2-level: alignment and index of the first level (R-138, R-139, R-140, R-141)")
  func twoLevel() {
    for split: UInt64 in [6, 8, 10] {
      for log2 in 0...UInt64(40) {
        let top = max(5, Int(log2) - Int(split) + 2) + 1
        let aligned = (base >> UInt64(top)) << UInt64(top)
        let last = UInt64(1) << min(log2, 32) - 1
        for stream in [0, last / 3, last] {
          let expected = aligned + (stream >> split) * 8
          #expect(
            reads(StreamID(stream), base: base, config: log2 | split << 6 | 1 << 16) == [expected],
            "\(log2) \(split) \(stream)")
        }
      }
    }
  }

  @Test("SPLIT other than 6, 8 and 10 is 6 (R-135)")
  func split() {
    for split in 0..<UInt64(32) {
      let effective: UInt64 = split == 8 || split == 10 ? split : 6
      let found = reads(0x1_2345, base: 0x8_0000_0000, config: 20 | split << 6 | 1 << 16)
      #expect(found == [0x8_0000_0000 + (0x1_2345 >> effective) * 8], "SPLIT \(split)")
      // Linear tables do not look at it.
      #expect(
        reads(0x345, base: 0x8_0000_0000, config: 20 | split << 6) == [0x8_0000_0000 + 0x345 * 64])
    }
  }

  @Test("FMT 1 is 2-level, all else linear, as written last (R-134)")
  func format() {
    for format in 0..<UInt64(4) {
      let found = reads(0x345, base: 0x8_0000_0000, config: 20 | 6 << 6 | format << 16)
      #expect(found == [0x8_0000_0000 + (format == 1 ? (0x345 >> 6) * 8 : 0x345 * 64)])
    }
    let guest = Guest()
    guest["EVENTQ_BASE"] = Guest.eventQueue | 3
    guest["STRTAB_BASE"] = 0x8_0000_0000
    var found: [UInt64] = []
    guest.machine.onRead = { found.append($0) }
    for config: UInt64 in [10 | 6 << 6 | 1 << 16, 10, 10 | 1 << 16, 10 | 3 << 16] {
      guest["STRTAB_BASE_CFG"] = config
      guest["CR0"] = 5
      _ = guest.translate(0x45, 0)
      guest["CR0"] = 4
    }
    let linear: UInt64 = 0x8_0000_0000 + 0x45 * 64
    #expect(found == [0x8_0000_0008, linear, 0x8_0000_0008, linear])
  }

  @Test("without 2-level tables FMT and SPLIT do not exist (R-134)")
  func linearOnly() {
    var features = Features.full
    features[.idr0, IDR0.stLevel] = 0
    features[.idr1, IDR1.sidsize] = 6
    let guest = Guest(features)
    guest["STRTAB_BASE_CFG"] = .max
    #expect(guest["STRTAB_BASE_CFG"] == 0x3f)
    let found = reads(5, base: 0x8_0000_0000, config: 6 | 1 << 16, features: features)
    #expect(found == [0x8_0000_0140])
  }

  @Test("an STE beyond the output size is a fetch fault, and nothing is read (R-144)")
  func beyondOutput() {
    var features = Features.wide
    features[.idr5, IDR5.oas] = 0
    #expect(reads(0x3ff_ffff, base: 0, config: 32, features: features) == [0xffff_ffc0])
    #expect(reads(0x400_0000, base: 0, config: 32, features: features) == [])
    // Base bits above it do not exist.
    let guest = Guest(features)
    guest["STRTAB_BASE"] = .max
    #expect(guest["STRTAB_BASE"] == 1 << 62 | 0xffff_ffc0)
  }
}
