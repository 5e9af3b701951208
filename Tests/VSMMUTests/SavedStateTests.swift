// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUSpec
import Testing

/// The saved form is documented (section 7 of the header), so that others may read it.
@Suite("Saved states")
struct SavedStateTests {
  private func number(_ bytes: [UInt8], _ offset: Int, _ width: Int) -> UInt64 {
    (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }

  @Test("a saved state is as documented")
  func layout() throws {
    let device = try TestDevice()
    #expect(device.write(0x80, 0x1234_5678_9ac0, 8) == 0)
    let state = device.save()
    #expect(Array(state[0..<8]) == Array("VSMMUv3\0".utf8))
    #expect(number(state, 8, 4) == 2)
    #expect(number(state, 12, 4) == 2)
    var seen: Set<UInt64> = [], names: [String] = [], start = 24
    while start < state.count {
      let name = state[start..<start + 8].prefix { $0 != 0 }
      names.append(String(decoding: name, as: UTF8.self))
      #expect(number(state, start + 8, 4) == 1)
      let end = start + 16 + Int(number(state, start + 12, 4))
      for record in stride(from: start + 16, to: end, by: 16) {
        let offset = number(state, record, 4), width = number(state, record + 4, 4)
        #expect(seen.insert(offset).inserted)
        #expect(width == 4 || width == 8)
        #expect(device.read(offset, UInt32(width)) == number(state, record + 8, 8))
      }
      start = end
    }
    #expect(start == state.count)
    #expect(names == ["ID", "CONTROL", "CMDQ", "EVENTQ"])
    #expect(number(state, 16, 4) == 4)
    #expect(seen.isSuperset(of: [0, 4, 0x14, 0x20, 0x44, 0x80, 0x98, 0x9c, 0xa8, 0xac]))
  }

  /// Every writable bit of every register survives, and nothing else appears.
  @Test("all registers survive a restore")
  func everythingIsSaved() throws {
    let device = try TestDevice(), other = try TestDevice()
    for row in RegisterMap.rows {
      _ = device.write(UInt64(row.offset), .max, UInt32(row.register.width))
    }
    // GBPA takes a value with Update alone; that went with the write of all ones.
    let state = device.save()
    #expect(state != other.save())
    #expect(vsmmu_restore(other.handle, state, UInt64(state.count)) == 0)
    #expect(other.save() == state)
    for row in RegisterMap.rows {
      let offset = UInt64(row.offset) + UInt64(row.page) * RegisterMap.pageSize
      let width = UInt32(row.register.width)
      #expect(other.read(offset, width) == device.read(offset, width))
    }
  }

  /// A state with one more record in its last section, of a value below 256.
  private func extended(
    _ state: [UInt8], _ offset: UInt16, width: UInt8, _ value: UInt8
  ) -> [UInt8] {
    var state = state
    state += [UInt8(offset & 0xff), UInt8(offset >> 8), 0, 0, width, 0, 0, 0]
    state += [value, 0, 0, 0, 0, 0, 0, 0]
    var section = 24
    while section + 16 + Int(number(state, section + 12, 4)) < state.count - 16 {
      section += 16 + Int(number(state, section + 12, 4))
    }
    state[section + 12] += 16
    state.replaceSubrange(20..<24, with: checksum(state[..<20] + state[24...]))
    return state
  }

  @Test("a state with one more register that is not zero is refused by its offset")
  func unknownRegisters() throws {
    let device = try TestDevice()
    let zero = extended(device.save(), 0xf00, width: 4, 0)
    #expect(vsmmu_validate(device.handle, zero, UInt64(zero.count)) == 0)
    let one = extended(device.save(), 0xf00, width: 4, 1)
    #expect(vsmmu_validate(device.handle, one, UInt64(one.count)) == vsmmuEINVAL)
    #expect(device.refusal.contains("0xf00"))
  }

  @Test("a record of another width is another register: it overwrites none")
  func otherWidths() throws {
    let device = try TestDevice()
    _ = device.write(0x2c, 2)
    for (offset, width) in [(0x00, 8), (0x2c, 8), (0x80, 4)] as [(UInt16, UInt8)] {
      let own = device.save()
      let state = extended(own, offset, width: width, 0)
      #expect(vsmmu_restore(device.handle, state, UInt64(state.count)) == 0)
      #expect(device.save() == own)
    }
  }

  /// CRC-32, by the table that the library does not use.
  private func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    let table = (0..<256 as Range<UInt32>).map { start in
      (0..<8).reduce(start) { crc, _ in crc & 1 != 0 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    let crc = bytes.reduce(UInt32.max) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
    return (0..<4).map { UInt8(truncatingIfNeeded: ~crc >> UInt32(8 * $0)) }
  }
}
