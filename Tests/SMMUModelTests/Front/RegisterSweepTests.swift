// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// What a device that was never enabled shows after ones were written everywhere, by offset of a
/// 32-bit word of Page 0: §6.2.1, §6.3 and the ID registers of `Features.full`.
private let onesReadBack: [UInt64: UInt64] = [
  0x20: 0x1cd, 0x24: 0x1cd, 0x28: 0xfff, 0x2c: 0x2, 0x44: 0x1f_3f1f, 0x50: 0x5, 0x54: 0x5,
  0x64: 0x1b5, 0x68: 0xffff_fffc, 0x6c: 0xffff, 0x70: 0xffff_ffff, 0x74: 0x3f,
  0x80: 0xffff_ffc0, 0x84: 0x4000_ffff, 0x88: 0x307ff, 0x90: 0xffff_ffff, 0x94: 0x4000_ffff,
  0x98: 0xfffff, 0x9c: 0x7f0f_ffff, 0xa0: 0xffff_ffff, 0xa4: 0x4000_ffff, 0xa8: 0x800f_ffff,
  0xac: 0x800f_ffff, 0xb0: 0xffff_fffc, 0xb4: 0xffff, 0xb8: 0xffff_ffff, 0xbc: 0x3f,
]

@Suite("Register sweep")
struct RegisterSweepTests {
  private let identification: Set<UInt64> = [
    0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0xfd0, 0xfd4, 0xfd8, 0xfdc, 0xfe0, 0xfe4,
    0xfe8, 0xfec, 0xff0, 0xff4, 0xff8, 0xffc,
  ]

  /// Writes ones from the top down, so that CR0 comes after all that it guards.
  private func writeOnes(_ guest: Guest, page: UInt64, width: Int) {
    var offset = RegisterMap.pageSize
    while offset > 0 {
      offset -= UInt64(width)
      // The interrupt enables guard registers above and below them.
      if offset & ~7 == 0x50 { continue }
      guest.smmu.writeRegister(at: page + offset, width: width, value: .max)
    }
    guest.smmu.writeRegister(at: page + 0x50, width: 4, value: .max)
    guest.smmu.writeRegister(at: page + 0x54, width: 4, value: .max)
  }

  @Test(
    "all-ones leave only the bits that exist (R-003, R-006, R-008, R-009, R-017, R-127)",
    arguments: [4, 8])
  func ones(width: Int) {
    let guest = Guest()
    let reset = (0..<UInt64(0x4000)).map { guest.read32($0 * 4) }
    writeOnes(guest, page: 0, width: width)
    for offset in stride(from: UInt64(0), to: RegisterMap.pageSize, by: 4) {
      let value = UInt64(guest.read32(offset))
      if identification.contains(offset) {
        #expect(value == UInt64(reset[Int(offset / 4)]), "ID register \(offset)")
      } else {
        #expect(value == onesReadBack[offset] ?? 0, "offset \(offset)")
      }
    }
  }

  @Test("Page 1 shows and takes the same as Page 0 (R-004, R-005)")
  func aliases() {
    let guest = Guest()
    writeOnes(guest, page: 0x10000, width: 4)
    for offset in stride(from: UInt64(0), to: 0x1000, by: 4) {
      #expect(guest.read32(offset) == guest.read32(offset + 0x10000), "offset \(offset)")
    }
    #expect(guest.read32(0x10020) == 0x1cd)
    guest.write32(0xac, 5)
    #expect(guest.read32(0x100ac) == 5)
    guest.write32(0x100ac, 6)
    #expect(guest.read32(0xac) == 6)
  }

  @Test("strict pages answer only where the architecture puts a register (R-004, R-005)")
  func strictPages() {
    var options = Options()
    options.strictPages = true
    let guest = Guest(.full, options)
    for page in [0x10000, UInt64(0)] { writeOnes(guest, page: page, width: 4) }
    for offset in stride(from: UInt64(0), to: 0x1000, by: 4) {
      let value = UInt64(guest.read32(offset)), other = UInt64(guest.read32(offset + 0x10000))
      if offset == 0xa8 || offset == 0xac {
        #expect(value == 0)
        #expect(other == onesReadBack[offset])
      } else {
        #expect(other == 0, "Page 1 offset \(offset)")
        if !identification.contains(offset) { #expect(value == onesReadBack[offset] ?? 0) }
      }
    }
  }

  @Test("outside the frame there is nothing (R-001, R-003)")
  func outside() {
    let guest = Guest()
    for offset: UInt64 in [0x20000, 0x20020, 0x30000, 0xffff_ffff_ffff_0000, .max - 7] {
      guest.smmu.writeRegister(at: offset, width: 4, value: .max)
      #expect(guest.smmu.readRegister(at: offset, width: 4) == 0, "offset \(offset)")
      #expect(guest.smmu.readRegister(at: offset, width: 8) == 0, "offset \(offset)")
    }
    #expect(guest["CR0"] == 0)
  }

  @Test("ID registers are constant (R-007, R-009)")
  func constants() {
    let guest = Guest.started()
    var features = Features.full
    features[.iidr] = 0xabc5_643b
    let other = Guest(features)
    let values: [(UInt64, UInt32)] = [
      (0x00, features[.idr0]), (0x04, features[.idr1]), (0x0c, features[.idr3]),
      (0x14, features[.idr5]),
      (0x18, 0xabc5_643b), (0x1c, features[.aidr]), (0xfe0, 0xbc), (0xff0, 0x0d),
    ]
    for (offset, value) in values {
      #expect(other.read32(offset) == value)
      other.write32(offset, ~value)
      #expect(other.read32(offset) == value)
    }
    #expect(guest.read32(0) == Features.full[.idr0])
  }

  // MARK: Width and alignment

  @Test("other sizes and alignments read zero and write nothing (R-013)")
  func badAccesses() {
    let guest = Guest.started()
    let reads: [(UInt64, Int)] = [
      (0x0, 1), (0x0, 2), (0x1, 4), (0x2, 4), (0x3, 4), (0x4, 8), (0x81, 8), (0x84, 8), (0x20, 3),
      (0x20, 16), (0x20, 5),
    ]
    for (offset, width) in reads {
      #expect(guest.smmu.readRegister(at: offset, width: width) == 0, "\(offset) \(width)")
    }
    let idle = Guest()
    for width in [1, 2, 3, 5, 16] {
      for offset: UInt64 in [0x20, 0x80, 0x90, 0xac, 0x44] {
        idle.smmu.writeRegister(at: offset, width: width, value: .max)
      }
    }
    for offset: UInt64 in [0x21, 0x22, 0x23, 0x81, 0x82] {
      idle.smmu.writeRegister(at: offset, width: 4, value: .max)
    }
    for offset: UInt64 in [0x84, 0x8c, 0x94, 0x24, 0x1c] {
      idle.smmu.writeRegister(at: offset, width: 8, value: .max)
    }
    for name in ["CR0", "STRTAB_BASE", "CMDQ_BASE", "EVENTQ_CONS", "STRTAB_BASE_CFG"] {
      #expect(idle[name] == 0, "\(name)")
    }
    #expect(idle["GBPA"] == 0x1000)
  }

  @Test("a width of nothing is no access (R-013)", arguments: [0, -1, -4, -8])
  func noWidth(width: Int) {
    let guest = Guest()
    guest.smmu.writeRegister(at: 0x20, width: width, value: .max)
    #expect(guest.smmu.readRegister(at: 0, width: width) == 0)
    #expect(guest["CR0"] == 0)
  }

  @Test(
    "halves of a 64-bit register are written and read alone (R-010, R-011, R-012)",
    arguments: ["STRTAB_BASE", "CMDQ_BASE", "EVENTQ_BASE", "GERROR_IRQ_CFG0", "EVENTQ_IRQ_CFG0"])
  func halves(name: String) {
    let guest = Guest()
    let row = Guest.row(name)
    let offset = UInt64(row.offset)
    let mask = row.implemented(.full)
    guest.write64(offset, 0x1234_5678_9abc_def0)
    let before = 0x1234_5678_9abc_def0 & mask
    #expect(guest.read64(offset) == before)
    #expect(UInt64(guest.read32(offset)) == before & 0xffff_ffff)
    #expect(UInt64(guest.read32(offset + 4)) == before >> 32)
    guest.write32(offset, 0x0fed_cba8)
    #expect(guest.read64(offset) == (before & ~0xffff_ffff | 0x0fed_cba8) & mask)
    guest.write32(offset + 4, 0x4000_4321)
    #expect(guest.read64(offset) == 0x4000_4321_0fed_cba8 & mask)
  }

  @Test("a 64-bit access to two 32-bit registers is two accesses (R-014)")
  func pairs() {
    let guest = Guest()
    guest.write64(0x28, 0x0000_0002_0000_0abc)
    #expect(guest["CR1"] == 0xabc)
    #expect(guest["CR2"] == 2)
    #expect(guest.read64(0x28) == 0x0000_0002_0000_0abc)
    #expect(guest.read64(0x0) == UInt64(Features.full[.idr1]) << 32 | UInt64(Features.full[.idr0]))
    // The low one first: CMDQ_PROD publishes before CONS is written, which the queue refuses.
    let running = Guest.started()
    running.place(numbered(3), slot: 0)
    running.write64(0x98, 0x0000_0005_0000_0001)
    #expect(running.machine.takeNumbers() == [3])
    #expect(running["CMDQ_CONS"] == 1)
  }
}
