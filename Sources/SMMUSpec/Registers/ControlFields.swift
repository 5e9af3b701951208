// SPDX-License-Identifier: MIT
// The fields of the control, queue and table registers, §6.3.9 to §6.3.36, §6.3.95 to §6.3.98.

public enum CR0 {
  public static var smmuen: Field { Field("SMMUEN", 0) }
  public static var priqen: Field { Field("PRIQEN", 1) }
  public static var eventqen: Field { Field("EVENTQEN", 2) }
  public static var cmdqen: Field { Field("CMDQEN", 3) }
  public static var atschk: Field { Field("ATSCHK", 4) }
  public static var vmw: Field { Field("VMW", 8, 6) }
}

public enum CR1 {
  public static var queueIC: Field { Field("QUEUE_IC", 1, 0) }
  public static var queueOC: Field { Field("QUEUE_OC", 3, 2) }
  public static var queueSH: Field { Field("QUEUE_SH", 5, 4) }
  public static var tableIC: Field { Field("TABLE_IC", 7, 6) }
  public static var tableOC: Field { Field("TABLE_OC", 9, 8) }
  public static var tableSH: Field { Field("TABLE_SH", 11, 10) }
}

public enum CR2 {
  public static var e2h: Field { Field("E2H", 0) }
  public static var recinvsid: Field { Field("RECINVSID", 1) }
  public static var ptm: Field { Field("PTM", 2) }
  public static var recCfgATS: Field { Field("REC_CFG_ATS", 3) }
}

public enum GBPA {
  public static var memAttr: Field { Field("MemAttr", 3, 0) }
  public static var mtcfg: Field { Field("MTCFG", 4) }
  public static var alloccfg: Field { Field("ALLOCCFG", 11, 8) }
  public static var shcfg: Field { Field("SHCFG", 13, 12) }
  public static var privcfg: Field { Field("PRIVCFG", 17, 16) }
  public static var instcfg: Field { Field("INSTCFG", 19, 18) }
  public static var abort: Field { Field("ABORT", 20) }
  public static var update: Field { Field("Update", 31) }
}

public enum InterruptControl {
  public static var gerror: Field { Field("GERROR_IRQEN", 0) }
  public static var priq: Field { Field("PRIQ_IRQEN", 1) }
  public static var eventq: Field { Field("EVENTQ_IRQEN", 2) }
}

/// GERROR and GERRORN (§6.3.19, §6.3.20).
public enum GlobalError {
  public static var cmdq: Field { Field("CMDQ_ERR", 0) }
  public static var eventqAbort: Field { Field("EVENTQ_ABT_ERR", 2) }
  public static var priqAbort: Field { Field("PRIQ_ABT_ERR", 3) }
  public static var msiCmdqAbort: Field { Field("MSI_CMDQ_ABT_ERR", 4) }
  public static var msiEventqAbort: Field { Field("MSI_EVENTQ_ABT_ERR", 5) }
  public static var msiPriqAbort: Field { Field("MSI_PRIQ_ABT_ERR", 6) }
  public static var msiGerrorAbort: Field { Field("MSI_GERROR_ABT_ERR", 7) }
  public static var serviceFailure: Field { Field("SFM_ERR", 8) }
}

public enum StreamTableBase {
  public static var addr: Field { Field("ADDR", 55, 6) }
  public static var ra: Field { Field("RA", 62) }
}

public enum StreamTableBaseConfig {
  public static var log2size: Field { Field("LOG2SIZE", 5, 0) }
  public static var split: Field { Field("SPLIT", 10, 6) }
  public static var fmt: Field { Field("FMT", 17, 16) }
}

/// CMDQ_BASE, EVENTQ_BASE and PRIQ_BASE.
public enum QueueBase {
  public static var log2size: Field { Field("LOG2SIZE", 4, 0) }
  public static var addr: Field { Field("ADDR", 55, 5) }
  /// RA of the command queue, WA of the others.
  public static var hint: Field { Field("RA_WA", 62) }
}

/// CMDQ_PROD, CMDQ_CONS, EVENTQ_PROD, EVENTQ_CONS and those of the PRI queue.
public enum QueueIndex {
  public static var index: Field { Field("INDEX", 19, 0) }
  /// CMDQ_CONS.ERR.
  public static var error: Field { Field("ERR", 30, 24) }
  /// PROD.OVFLG and CONS.OVACKFLG.
  public static var overflow: Field { Field("OVFLG", 31) }
}

/// GERROR_, EVENTQ_ and PRIQ_IRQ_CFG0 to 2.
public enum InterruptConfig {
  public static var addr: Field { Field("ADDR", 55, 2) }
  public static var data: Field { Field("DATA", 31, 0) }
  public static var memAttr: Field { Field("MemAttr", 3, 0) }
  public static var sh: Field { Field("SH", 5, 4) }
  /// PRIQ_IRQ_CFG2 alone.
  public static var lo: Field { Field("LO", 31) }
}
