// SPDX-License-Identifier: MIT
// The fields of the ID registers, §6.3.1 to §6.3.8 and §6.3.45.

public enum IDR0 {
  public static var s2p: Field { Field("S2P", 0) }
  public static var s1p: Field { Field("S1P", 1) }
  public static var ttf: Field { Field("TTF", 3, 2) }
  public static var cohacc: Field { Field("COHACC", 4) }
  public static var btm: Field { Field("BTM", 5) }
  public static var httu: Field { Field("HTTU", 7, 6) }
  public static var dormhint: Field { Field("DORMHINT", 8) }
  public static var hyp: Field { Field("HYP", 9) }
  public static var ats: Field { Field("ATS", 10) }
  public static var ns1ats: Field { Field("NS1ATS", 11) }
  public static var asid16: Field { Field("ASID16", 12) }
  public static var msi: Field { Field("MSI", 13) }
  public static var sev: Field { Field("SEV", 14) }
  public static var atos: Field { Field("ATOS", 15) }
  public static var pri: Field { Field("PRI", 16) }
  public static var vmw: Field { Field("VMW", 17) }
  public static var vmid16: Field { Field("VMID16", 18) }
  public static var cd2l: Field { Field("CD2L", 19) }
  public static var vatos: Field { Field("VATOS", 20) }
  public static var ttendian: Field { Field("TTENDIAN", 22, 21) }
  public static var atsrecerr: Field { Field("ATSRECERR", 23) }
  public static var stallModel: Field { Field("STALL_MODEL", 25, 24) }
  public static var termModel: Field { Field("TERM_MODEL", 26) }
  public static var stLevel: Field { Field("ST_LEVEL", 28, 27) }
  public static var rmeImpl: Field { Field("RME_IMPL", 30) }

  public static var fields: [Field] {
    [
      s2p, s1p, ttf, cohacc, btm, httu, dormhint, hyp, ats, ns1ats, asid16, msi, sev, atos, pri,
      vmw, vmid16, cd2l, vatos, ttendian, atsrecerr, stallModel, termModel, stLevel, rmeImpl,
    ]
  }
}

public enum IDR1 {
  public static var sidsize: Field { Field("SIDSIZE", 5, 0) }
  public static var ssidsize: Field { Field("SSIDSIZE", 10, 6) }
  public static var priqs: Field { Field("PRIQS", 15, 11) }
  public static var eventqs: Field { Field("EVENTQS", 20, 16) }
  public static var cmdqs: Field { Field("CMDQS", 25, 21) }
  public static var attrPermsOvr: Field { Field("ATTR_PERMS_OVR", 26) }
  public static var attrTypesOvr: Field { Field("ATTR_TYPES_OVR", 27) }
  public static var rel: Field { Field("REL", 28) }
  public static var queuesPreset: Field { Field("QUEUES_PRESET", 29) }
  public static var tablesPreset: Field { Field("TABLES_PRESET", 30) }
  public static var ecmdq: Field { Field("ECMDQ", 31) }

  public static var fields: [Field] {
    [
      sidsize, ssidsize, priqs, eventqs, cmdqs, attrPermsOvr, attrTypesOvr, rel, queuesPreset,
      tablesPreset, ecmdq,
    ]
  }
}

public enum IDR2 {
  public static var baVATOS: Field { Field("BA_VATOS", 9, 0) }

  public static var fields: [Field] { [baVATOS] }
}

public enum IDR3 {
  public static var had: Field { Field("HAD", 2) }
  public static var pbha: Field { Field("PBHA", 3) }
  public static var xnx: Field { Field("XNX", 4) }
  public static var pps: Field { Field("PPS", 5) }
  public static var mpam: Field { Field("MPAM", 7) }
  public static var fwb: Field { Field("FWB", 8) }
  public static var stt: Field { Field("STT", 9) }
  public static var ril: Field { Field("RIL", 10) }
  public static var bbml: Field { Field("BBML", 12, 11) }
  public static var e0pd: Field { Field("E0PD", 13) }
  public static var ptwnnc: Field { Field("PTWNNC", 14) }
  public static var dpt: Field { Field("DPT", 15) }
  public static var pasidtt: Field { Field("PASIDTT", 16) }
  public static var epan: Field { Field("EPAN", 17) }
  public static var s1pi: Field { Field("S1PI", 18) }
  public static var s2pi: Field { Field("S2PI", 19) }
  public static var s2po: Field { Field("S2PO", 20) }
  public static var the: Field { Field("THE", 21) }
  public static var mteperm: Field { Field("MTEPERM", 22) }
  public static var aie: Field { Field("AIE", 23) }

  public static var fields: [Field] {
    [
      had, pbha, xnx, pps, mpam, fwb, stt, ril, bbml, e0pd, ptwnnc, dpt, pasidtt, epan, s1pi,
      s2pi, s2po, the, mteperm, aie,
    ]
  }
}

public enum IDR5 {
  public static var oas: Field { Field("OAS", 2, 0) }
  public static var gran4K: Field { Field("GRAN4K", 4) }
  public static var gran16K: Field { Field("GRAN16K", 5) }
  public static var gran64K: Field { Field("GRAN64K", 6) }
  public static var ds: Field { Field("DS", 7) }
  public static var d128: Field { Field("D128", 8) }
  public static var vax: Field { Field("VAX", 11, 10) }
  public static var stallMax: Field { Field("STALL_MAX", 31, 16) }

  public static var fields: [Field] { [oas, gran4K, gran16K, gran64K, ds, d128, vax, stallMax] }
}

public enum IDR6 {
  public static var log2NumQ: Field { Field("CMDQ_CONTROL_PAGE_LOG2NUMQ", 19, 16) }
  public static var log2NumP: Field { Field("CMDQ_CONTROL_PAGE_LOG2NUMP", 27, 24) }

  public static var fields: [Field] { [log2NumQ, log2NumP] }
}

public enum IIDR {
  public static var implementer: Field { Field("IIDR_IMPLEMENTER", 11, 0) }
  public static var revision: Field { Field("IIDR_REVISION", 15, 12) }
  public static var variant: Field { Field("IIDR_VARIANT", 19, 16) }
  public static var productID: Field { Field("IIDR_PRODUCTID", 31, 20) }

  public static var fields: [Field] { [implementer, revision, variant, productID] }
}

public enum AIDR {
  public static var minor: Field { Field("AIDR_MINOR", 3, 0) }
  public static var major: Field { Field("AIDR_MAJOR", 7, 4) }

  public static var fields: [Field] { [minor, major] }
}
