// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("The register map")
struct RegisterMapTests {
  /// Offset, name, bytes, page: §6.2.1, §6.2.2 with every feature that is built.
  private static let expected: [(UInt32, String, Int, UInt8)] = [
    (0x00, "IDR0", 4, 0), (0x04, "IDR1", 4, 0), (0x08, "IDR2", 4, 0), (0x0c, "IDR3", 4, 0),
    (0x10, "IDR4", 4, 0), (0x14, "IDR5", 4, 0), (0x18, "IIDR", 4, 0), (0x1c, "AIDR", 4, 0),
    (0x20, "CR0", 4, 0), (0x24, "CR0ACK", 4, 0), (0x28, "CR1", 4, 0), (0x2c, "CR2", 4, 0),
    (0x40, "STATUSR", 4, 0), (0x44, "GBPA", 4, 0), (0x48, "AGBPA", 4, 0),
    (0x50, "IRQ_CTRL", 4, 0), (0x54, "IRQ_CTRLACK", 4, 0), (0x60, "GERROR", 4, 0),
    (0x64, "GERRORN", 4, 0), (0x68, "GERROR_IRQ_CFG0", 8, 0), (0x70, "GERROR_IRQ_CFG1", 4, 0),
    (0x74, "GERROR_IRQ_CFG2", 4, 0), (0x80, "STRTAB_BASE", 8, 0), (0x88, "STRTAB_BASE_CFG", 4, 0),
    (0x90, "CMDQ_BASE", 8, 0), (0x98, "CMDQ_PROD", 4, 0), (0x9c, "CMDQ_CONS", 4, 0),
    (0xa0, "EVENTQ_BASE", 8, 0), (0xa8, "EVENTQ_PROD", 4, 1), (0xac, "EVENTQ_CONS", 4, 1),
    (0xb0, "EVENTQ_IRQ_CFG0", 8, 0), (0xb8, "EVENTQ_IRQ_CFG1", 4, 0),
    (0xbc, "EVENTQ_IRQ_CFG2", 4, 0), (0xc0, "PRIQ_BASE", 8, 0), (0xc8, "PRIQ_PROD", 4, 1),
    (0xcc, "PRIQ_CONS", 4, 1), (0xd0, "PRIQ_IRQ_CFG0", 8, 0), (0xd8, "PRIQ_IRQ_CFG1", 4, 0),
    (0xdc, "PRIQ_IRQ_CFG2", 4, 0), (0x190, "IDR6", 4, 0), (0xfd0, "PIDR4", 4, 0),
    (0xfd4, "PIDR5", 4, 0), (0xfd8, "PIDR6", 4, 0), (0xfdc, "PIDR7", 4, 0), (0xfe0, "PIDR0", 4, 0),
    (0xfe4, "PIDR1", 4, 0), (0xfe8, "PIDR2", 4, 0), (0xfec, "PIDR3", 4, 0), (0xff0, "CIDR0", 4, 0),
    (0xff4, "CIDR1", 4, 0), (0xff8, "CIDR2", 4, 0), (0xffc, "CIDR3", 4, 0),
  ]

  @Test("every register has its offset, width and page (R-001, R-002)")
  func offsets() {
    let rows = RegisterMap.rows
    #expect(RegisterMap.pageSize == 0x10000)
    #expect(RegisterMap.frameSize == 0x20000)
    #expect(rows.count == Self.expected.count)
    for (offset, name, width, page) in Self.expected {
      let row = rows.first { $0.register.name == name }
      #expect(row?.offset == offset, "\(name)")
      #expect(row?.register.width == width, "\(name)")
      #expect(row?.page == page, "\(name)")
      let address = row.map { RegisterMap.offset(of: $0.register) }
      #expect(address == UInt64(offset) + UInt64(page) * 0x10000, "\(name)")
    }
  }

  @Test("every register of the state has one row and one place")
  func registers() {
    let rows = RegisterMap.rows
    #expect(Set(rows.map(\.register)).count == rows.count)
    #expect(rows.map(\.register.place).sorted() == Array(0..<Register.count))
    #expect(Set(rows.map(\.register.name)).count == rows.count)
  }

  @Test("the registers of a queue and of an interrupt's source have neighbouring places")
  func indices() {
    for queue in Queue.allCases {
      let first = Register.queue(.base, queue).place
      #expect(QueueRegister.allCases.map { Register.queue($0, queue).place - first } == [0, 1, 2])
    }
    for source in InterruptSource.allCases {
      let places = InterruptRegister.allCases.map { Register.interrupt($0, source).place }
      #expect(places == Array(places[0]...places[0] + 2))
    }
    #expect(Queue.allCases.count * 3 + InterruptSource.allCases.count * 3 == 18)
  }

  @Test("what control registers say of queues and interrupts (§6.3.9, §6.3.16, §6.3.19, §6.3.2)")
  func control() {
    #expect(Queue.allCases.map(\.enable.low) == [3, 2, 1])
    #expect(Queue.allCases.map(\.error.low) == [0, 2, 3])
    #expect(Queue.allCases.map(\.most.low) == [21, 16, 11])
    #expect(InterruptSource.allCases.map(\.enable.low) == [0, 2, 1])
    #expect(InterruptSource.allCases.map(\.abort.low) == [7, 5, 6])
  }

  @Test("rows do not overlap and are aligned to their width (R-010, R-012)")
  func disjoint() {
    var seen: Set<UInt32> = []
    for row in RegisterMap.rows {
      #expect(Int(row.offset) % row.register.width == 0, "\(row.register.name)")
      for byte in 0..<UInt32(row.register.width) {
        #expect(seen.insert(row.offset + byte).inserted, "\(row.register.name)")
      }
    }
  }

  @Test("the fields of a row lie within it and do not overlap")
  func fields() {
    for row in RegisterMap.rows {
      var seen: UInt64 = 0
      for field in row.register.fields.map(\.field) {
        #expect(field.high < row.register.width * 8, "\(row.register.name).\(field.name)")
        #expect(seen & field.mask == 0, "\(row.register.name).\(field.name)")
        seen |= field.mask
      }
    }
  }

  @Test("a register whose gate does not hold has no bits (R-018)")
  func gates() {
    let none = Features()
    let gated = RegisterMap.rows.filter { $0.gate != .always }
    #expect(gated.count == 14)
    for row in gated { #expect(row.implemented(none) == 0, "\(row.register.name)") }
  }

  @Test("address fields end at the output size (R-105, R-150)")
  func addresses() {
    for encoding in 0..<8 {
      var features = Features()
      features[.idr0, IDR0.msi] = 1
      features[.idr0, IDR0.ats] = 1
      features[.idr0, IDR0.pri] = 1
      features[.idr5, IDR5.oas] = UInt32(encoding)
      let limit = UInt64.ones(addressBits(UInt64(encoding)))
      for row in RegisterMap.rows where row.register.width == 8 {
        // Bits [5:0] are a size or nothing, bit 62 is a hint.
        let address = row.implemented(features) & UInt64.ones(62) & ~0x3f
        #expect(address == limit & ~0x3f, "\(row.register.name)")
      }
    }
  }

  @Test("CoreSight identification follows IIDR (R-048, R-049, R-050)")
  func coresight() {
    var features = Features()
    features[.iidr, IIDR.productID] = 0xabc
    features[.iidr, IIDR.variant] = 0x5
    features[.iidr, IIDR.revision] = 0x6
    features[.iidr, IIDR.implementer] = 0x43b
    func value(_ register: Register) -> UInt32? { RegisterMap.constant(register, features) }
    #expect(features[.iidr] == 0xabc5_643b)
    #expect(value(.pidr(0)) == 0xbc)
    #expect(value(.pidr(1)) == 0xba)
    #expect(value(.pidr(2)) == 0x5b)
    #expect(value(.pidr(3)) == 0x60)
    #expect(value(.pidr(4)) == 0x04)
    for index in UInt8(5)..<8 { #expect(value(.pidr(index)) == 0) }
    #expect((0..<4).map { value(.cidr($0)) } == [0x0d, 0xf0, 0x05, 0xb1])
    for register in [Register.cr0, .gbpa, .gerror] { #expect(value(register) == nil) }
  }
}
