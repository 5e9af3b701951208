// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

@Suite("Global bypass")
struct GlobalBypassTests {
  private static let update: UInt64 = 1 << 31
  private static let abort: UInt64 = 1 << 20

  /// An access to Normal write-back, outer shareable memory that wants its attributes back.
  private func attributes(
    _ guest: Guest, _ mair: UInt8 = 0xff, _ shareability: UInt8 = 2
  ) -> MemoryAttributes {
    guest.smmu.translate(
      Access(
        stream: 1, flags: .attributes, address: 0x1000,
        attributes: MemoryAttributes(mair: mair, shareability: shareability))
    ).attributes
  }

  private func bypass(_ value: UInt64, features: Features = .full) -> Guest {
    let guest = Guest(features)
    guest["GBPA"] = Self.update | value
    return guest
  }

  @Test("resets to use-incoming, ABORT by configuration (R-098)")
  func reset() {
    #expect(Guest()["GBPA"] == 0x1000)
    var options = Options()
    options.resetAborts = true
    let guest = Guest(.full, options)
    #expect(guest["GBPA"] == 0x10_1000)
    #expect(guest.translate(1, 0).kind == .abort)
    guest["GBPA"] = Self.update | 0x1000
    #expect(guest.translate(1, 0).kind == .ok)
    guest.smmu.reset()
    #expect(guest["GBPA"] == 0x10_1000)
  }

  @Test("a write with Update takes effect and Update reads 0 when it has (R-087, R-090)")
  func update() {
    let guest = Guest()
    guest["GBPA"] = Self.update | Self.abort | 0x2f1f
    #expect(guest["GBPA"] == Self.abort | 0x2f1f)
    #expect(guest.translate(1, 0).kind == .abort)
    guest["GBPA"] = Self.update
    #expect(guest["GBPA"] == 0)
    #expect(guest.translate(1, 0).kind == .ok)
  }

  @Test("a write without Update is ignored (R-088)")
  func withoutUpdate() {
    let guest = Guest()
    guest["GBPA"] = Self.abort | 0x2f1f
    #expect(guest["GBPA"] == 0x1000)
    #expect(guest.translate(1, 0).kind == .ok)
  }

  @Test("ABORT aborts every stream, without an event (R-091)")
  func aborts() {
    let guest = Guest.started()
    guest["CR0"] = 0xc
    guest["GBPA"] = Self.update | Self.abort
    for stream: StreamID in [0, 1, .max] {
      let result = guest.translate(stream, 0x1000)
      #expect(result.kind == .abort)
      #expect(result.event == nil)
    }
    #expect(guest["EVENTQ_PROD"] == 0)
  }

  @Test("bypass keeps the address, up to the output size (R-092, R-261)")
  func addresses() {
    for (encoding, bits): (UInt32, UInt64) in [(0, 32), (3, 42), (5, 48)] {
      var features = Features.full
      features[.idr5, IDR5.oas] = encoding
      let guest = Guest(features)
      let top = (UInt64(1) << bits) - 1
      for address in [0, 0x1234, top] {
        for substream: SubstreamID? in [nil, 5] {
          let result = guest.translate(7, address, [], substream: substream)
          #expect(result.kind == .ok)
          #expect(result.address == address)
        }
      }
      #expect(guest.translate(7, top + 1).kind == .abort)
      #expect(guest.translate(7, .max).kind == .abort)
    }
  }

  @Test("SHCFG: 0 none, 1 incoming, 2 outer, 3 inner (R-094)")
  func shareability() {
    for (value, expected): (UInt64, UInt8) in [(0, 0), (1, 2), (2, 2), (3, 3)] {
      #expect(attributes(bypass(value << 12)).shareability == expected, "SHCFG \(value)")
    }
    #expect(attributes(bypass(1 << 12), 0xff, 3).shareability == 3)
  }

  @Test("MTCFG replaces the type by MemAttr, in its stage 2 encoding (R-094, R-096)")
  func memoryType() {
    // MemAttr, MAIR byte without the hints, which are not MemAttr's to say.
    let types: [(UInt64, UInt8)] = [
      (0b0000, 0x00), (0b0001, 0x04), (0b0010, 0x08), (0b0011, 0x0c), (0b0100, 0x00),
      (0b1000, 0x00), (0b1100, 0x00), (0b0101, 0x44), (0b1010, 0xbb), (0b1111, 0xff),
    ]
    for (memAttr, mair) in types {
      let guest = bypass(1 << 12 | 1 << 4 | memAttr)
      #expect(attributes(guest).mair == mair, "MemAttr \(memAttr)")
    }
    #expect(attributes(bypass(1 << 12 | 0b0001)).mair == 0xff)
  }

  @Test("ALLOCCFG overrides hints of cacheable memory alone (R-095)")
  func allocation() {
    // 1RWT: read 4, write 2, transient 1. MAIR nibble of write-back: 0b11RW.
    #expect(attributes(bypass(1 << 12 | 0b1000 << 8)).mair == 0xcc)
    #expect(attributes(bypass(1 << 12 | 0b1100 << 8)).mair == 0xee)
    #expect(attributes(bypass(1 << 12 | 0b1010 << 8)).mair == 0xdd)
    #expect(attributes(bypass(1 << 12 | 0b1111 << 8)).mair == 0x77)
    #expect(attributes(bypass(1 << 12 | 0b0000 << 8)).mair == 0xff)
    #expect(attributes(bypass(1 << 12 | 0b0111 << 8)).mair == 0xff)
    for mair: UInt8 in [0x04, 0x44] {
      #expect(attributes(bypass(1 << 12 | 0b1111 << 8), mair).mair == mair)
    }
  }

  @Test("without ATTR_TYPES_OVR attributes stay as they come, fields still read back (R-097)")
  func withoutOverride() {
    let guest = bypass(0x2f1f, features: .linux)
    #expect(guest["GBPA"] == 0x2f1f)
    #expect(attributes(guest, 0xff, 3) == MemoryAttributes(mair: 0xff, shareability: 3))
  }
}
