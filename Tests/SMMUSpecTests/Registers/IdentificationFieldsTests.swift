// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("Fields of the ID and control registers")
struct IdentificationFieldsTests {
  private func check(_ fields: [Field], _ expected: [(String, Int, Int)]) {
    #expect(fields.count == expected.count)
    for (name, high, low) in expected {
      let field = fields.first { "\($0.name)" == name }
      #expect(field == Field("", high, low), "\(name)")
    }
  }

  @Test("IDR0 (§6.3.1)")
  func idr0() {
    check(
      IDR0.fields,
      [
        ("S2P", 0, 0), ("S1P", 1, 1), ("TTF", 3, 2), ("COHACC", 4, 4), ("BTM", 5, 5),
        ("HTTU", 7, 6), ("DORMHINT", 8, 8), ("HYP", 9, 9), ("ATS", 10, 10), ("NS1ATS", 11, 11),
        ("ASID16", 12, 12), ("MSI", 13, 13), ("SEV", 14, 14), ("ATOS", 15, 15), ("PRI", 16, 16),
        ("VMW", 17, 17), ("VMID16", 18, 18), ("CD2L", 19, 19), ("VATOS", 20, 20),
        ("TTENDIAN", 22, 21), ("ATSRECERR", 23, 23), ("STALL_MODEL", 25, 24),
        ("TERM_MODEL", 26, 26), ("ST_LEVEL", 28, 27), ("RME_IMPL", 30, 30),
      ])
  }

  @Test("IDR1, IDR2 (§6.3.2, §6.3.3)")
  func idr1() {
    check(
      IDR1.fields,
      [
        ("SIDSIZE", 5, 0), ("SSIDSIZE", 10, 6), ("PRIQS", 15, 11), ("EVENTQS", 20, 16),
        ("CMDQS", 25, 21), ("ATTR_PERMS_OVR", 26, 26), ("ATTR_TYPES_OVR", 27, 27),
        ("REL", 28, 28), ("QUEUES_PRESET", 29, 29), ("TABLES_PRESET", 30, 30), ("ECMDQ", 31, 31),
      ])
    check(IDR2.fields, [("BA_VATOS", 9, 0)])
  }

  @Test("IDR3 (§6.3.4)")
  func idr3() {
    check(
      IDR3.fields,
      [
        ("HAD", 2, 2), ("PBHA", 3, 3), ("XNX", 4, 4), ("PPS", 5, 5), ("MPAM", 7, 7),
        ("FWB", 8, 8), ("STT", 9, 9), ("RIL", 10, 10), ("BBML", 12, 11), ("E0PD", 13, 13),
        ("PTWNNC", 14, 14), ("DPT", 15, 15), ("PASIDTT", 16, 16), ("EPAN", 17, 17),
        ("S1PI", 18, 18), ("S2PI", 19, 19), ("S2PO", 20, 20), ("THE", 21, 21),
        ("MTEPERM", 22, 22), ("AIE", 23, 23),
      ])
  }

  @Test("IDR5, IDR6, IIDR, AIDR (§6.3.6 to §6.3.8, §6.3.45)")
  func others() {
    check(
      IDR5.fields,
      [
        ("OAS", 2, 0), ("GRAN4K", 4, 4), ("GRAN16K", 5, 5), ("GRAN64K", 6, 6), ("DS", 7, 7),
        ("D128", 8, 8), ("VAX", 11, 10), ("STALL_MAX", 31, 16),
      ])
    check(
      IDR6.fields,
      [("CMDQ_CONTROL_PAGE_LOG2NUMQ", 19, 16), ("CMDQ_CONTROL_PAGE_LOG2NUMP", 27, 24)])
    check(
      IIDR.fields,
      [
        ("IIDR_IMPLEMENTER", 11, 0), ("IIDR_REVISION", 15, 12), ("IIDR_VARIANT", 19, 16),
        ("IIDR_PRODUCTID", 31, 20),
      ])
    check(AIDR.fields, [("AIDR_MINOR", 3, 0), ("AIDR_MAJOR", 7, 4)])
  }

  @Test("the bits of each writable register (§6.3.9 to §6.3.36, §6.3.95 to §6.3.98)")
  func masks() {
    var all = Features()
    for field in [IDR0.ats, IDR0.pri, IDR0.msi, IDR0.vmw, IDR0.hyp, IDR0.btm, IDR0.atsrecerr] {
      all[.idr0, field] = 1
    }
    for field in [IDR0.s1p, IDR0.stLevel, IDR0.dormhint] { all[.idr0, field] = 1 }
    all[.idr5, IDR5.oas] = 7
    let expected: [Register: UInt64] = [
      .cr0: 0x1df, .cr0ack: 0x1df, .cr1: 0xfff, .cr2: 0xf, .statusr: 1, .gbpa: 0x801f_3f1f,
      .agbpa: 0, .irqCtrl: 7, .irqCtrlAck: 7, .gerror: 0x1fd, .gerrorn: 0x1fd,
      .interrupt(.address, .globalError): 0x00ff_ffff_ffff_fffc,
      .interrupt(.data, .globalError): 0xffff_ffff, .interrupt(.attributes, .globalError): 0x3f,
      .strtabBase: 0x40ff_ffff_ffff_ffc0, .strtabBaseConfig: 0x307ff,
      .queue(.base, .command): 0x40ff_ffff_ffff_ffff, .queue(.prod, .command): 0xfffff,
      .queue(.cons, .command): 0x7f0f_ffff,
      .queue(.base, .event): 0x40ff_ffff_ffff_ffff, .queue(.prod, .event): 0x800f_ffff,
      .queue(.cons, .event): 0x800f_ffff,
      .interrupt(.address, .eventQueue): 0x00ff_ffff_ffff_fffc,
      .interrupt(.data, .eventQueue): 0xffff_ffff, .interrupt(.attributes, .eventQueue): 0x3f,
      .queue(.base, .pageRequest): 0x40ff_ffff_ffff_ffff,
      .queue(.prod, .pageRequest): 0x800f_ffff, .queue(.cons, .pageRequest): 0x800f_ffff,
      .interrupt(.address, .pageRequestQueue): 0x00ff_ffff_ffff_fffc,
      .interrupt(.data, .pageRequestQueue): 0xffff_ffff,
      .interrupt(.attributes, .pageRequestQueue): 0x8000_003f,
      .identification(.idr4): 0xffff_ffff, .identification(.idr6): 0, .pidr(4): 0xff,
      .cidr(3): 0xff,
    ]
    for (register, mask) in expected {
      let row = RegisterMap.rows.first { $0.register == register }
      #expect(row?.implemented(all) == mask, "\(register)")
    }
  }
}
