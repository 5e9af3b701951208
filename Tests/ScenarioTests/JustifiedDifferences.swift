// SPDX-License-Identifier: MIT
// Where QEMU's answer is not the one of the architecture (IHI 0070 G.b), or where the text leaves a
// choice that QEMU and this library made differently. The answers here are what must be seen.

import Testing

/// The answers of one scenario that differ from QEMU's.
struct JustifiedDifference: Sendable, CustomTestStringConvertible {
  let scenario: String
  /// Of IHI 0070 G.b.
  let clause: String
  /// The numbers of the rules, as other tests name them.
  let rules: [String]
  let reason: String
  /// By the index of the step.
  let answers: [Int: Observation]

  var testDescription: String { scenario }

  init(
    _ scenario: String, _ clause: String, _ rules: String..., reason: String,
    answers: [Int: Observation]
  ) {
    self.scenario = scenario
    self.clause = clause
    self.rules = rules
    self.reason = reason
    self.answers = answers
  }

  static let byScenario = Dictionary(all.map { ($0.scenario, $0) }) { first, _ in first }

  static let all = configuration + translation + faults + commands + illegalCommands + registers
}

// MARK: - Words of the table

private let readOnly: UInt32 = 1
private let readWrite: UInt32 = 3

/// An event record from its eight 32-bit words; the last are 0 where they are not given.
private func record(_ words: UInt32...) -> String {
  let padded = words + Array(repeating: 0, count: 8 - words.count)
  return hex(padded.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } })
}

/// The records of a queue that was empty at index 0.
private func events(_ records: String...) -> Observation {
  .events(prod: UInt64(records.count), cons: 0, records: records)
}

// MARK: - Configuration structures

extension JustifiedDifference {
  private static let configuration = [
    JustifiedDifference(
      "2lvl-span-small", "5.1.1", "T-014", "T-015",
      reason: "Span 4 means 8 STEs; StreamIDs 8 and 16 lie beyond them and are invalid",
      answers: [
        20: .aborted, 21: .aborted,
        24: events(
          record(0x02, 0x08), record(0x02, 0x08), record(0x02, 0x10), record(0x02, 0x10)),
      ]),
    JustifiedDifference(
      "cd-fetch-abort", "7.3.10", "T-227", "T-231",
      reason: "FetchAddr is in the last two words, as in F_STE_FETCH; there is no input address",
      answers: [
        20: events(record(0x09, 8, 0, 0, 0, 0, 0, 0xf), record(0x09, 8, 0, 0, 0, 0, 0, 0xf))
      ]),
    JustifiedDifference(
      "ste-cdmax", "5.2", "T-063",
      reason: "S1CDMax is IGNORED while IDR1.SSIDSIZE is 0",
      answers: [
        23: .translated(0x4100_0000, permissions: readWrite),
        24: .translated(0x4100_0000, permissions: readWrite), 25: events(),
      ]),
  ]
}

// MARK: - Translation

extension JustifiedDifference {
  private static let translation = [
    JustifiedDifference(
      "s1-aptable-el0", "13.4.1", "T-146",
      reason: "APTable[0] takes the page from unprivileged accesses (DDI 0487 D8.4.1.2)",
      answers: [
        23: .aborted, 26: .aborted,
        27: events(
          record(0x13, 8, 0, 0x200, 0x2345_6000, 1), record(0x13, 8, 0, 0x208, 0x2345_6000, 1)),
      ]),
    JustifiedDifference(
      "s1-aptable-ro", "13.4.1", "T-146", "T-322",
      reason: "APTable[1] takes write permission from what may be cached, too",
      answers: [26: .translated(0x4100_0000, permissions: readOnly)]),
    JustifiedDifference(
      "s1-tbi1", "3.4.1", "T-043",
      reason: "TBI1 alone decides about the top byte of addresses with bit 55 set",
      answers: [
        23: .translated(0x4100_0000, permissions: readWrite),
        24: .translated(0x4100_0000, permissions: readWrite), 25: events(),
      ]),
    JustifiedDifference(
      "s2-4k-sl2-concat", "5.2", "T-084", "T-171",
      reason: "S2TTB is aligned to all 16 concatenated tables, then indexed (DDI 0487 D8.2.2)",
      answers: [
        20: .translated(0x4100_0000, permissions: readWrite),
        21: .translated(0x4100_0000, permissions: readWrite), 22: events(),
      ]),
    JustifiedDifference(
      "s2-4k-top", "5.2", "T-084", "T-171",
      reason: "the second of 2 concatenated tables is in use; only the address beyond them faults",
      answers: [
        21: .translated(0x4100_0000, permissions: readWrite),
        22: .translated(0x4100_0000, permissions: readWrite),
        24: events(record(0x10, 8, 0, 0x280, 0, 0x100, 0, 0x100)),
      ]),
    JustifiedDifference(
      "nest-s2perm", "13.4.3", "T-322",
      reason: "what may be cached is what both stages permit",
      answers: [31: .translated(0x4100_0000, permissions: readOnly)]),
  ]
}

// MARK: - Faults

extension JustifiedDifference {
  private static let faults = [
    JustifiedDifference(
      "nest-s2fault-cd", "7.3.13", "T-219",
      reason: "RnW tells the direction of the transaction, not that of the CD fetch",
      answers: [
        30: events(
          record(0x10, 8, 0, 0x088, 0x2345_6000, 1, 0, 3),
          record(0x10, 8, 0, 0x080, 0x2345_6000, 1, 0, 3))
      ]),
    JustifiedDifference(
      "nest-s2fault-table", "7.3.13", "T-219",
      reason: "RnW tells the direction of the transaction, not that of the table walk",
      answers: [
        30: events(
          record(0x10, 8, 0, 0x188, 0x2345_6000, 1, 0x4040_0000, 1),
          record(0x10, 8, 0, 0x180, 0x2345_6000, 1, 0x4040_0000, 1))
      ]),
    JustifiedDifference(
      "nest-s2perm-table", "7.3.16", "T-219", "T-223",
      reason: "RnW is the transaction's; TTRnW tells that reading the descriptor was refused",
      answers: [
        32: events(
          record(0x13, 8, 0, 0x1180, 0x2345_6000, 1, 0x4040_0000, 1),
          record(0x13, 8, 0, 0x1188, 0x2345_6000, 1, 0x4040_0000, 1))
      ]),
    JustifiedDifference(
      "s2-ro-warm", "7.3.16", "T-322",
      reason: "a fault found in a cached translation is a stage 2 fault, too; S2R is set",
      answers: [23: events(record(0x13, 8, 0, 0x280, 0x2345_6000, 1, 0x2345_6000, 1))]),
    JustifiedDifference(
      "irq-evtq", "3.18.2", "R-113",
      reason: "the queue held a record already: no transition from empty to non-empty",
      answers: [25: .interrupts([])]),
  ]
}

// MARK: - Commands

extension JustifiedDifference {
  private static let commands = [
    JustifiedDifference(
      "cmd-illegal", "6.3.28", "R-173",
      reason: "ERR is UNKNOWN while CMDQ_ERR is inactive; here acknowledging clears it",
      answers: [25: .value(3), 27: .value(3)]),
    JustifiedDifference(
      "tlbi-range-64k", "4.4.1.1", "R-319", "T-359",
      reason: "TG with NUM, SCALE and TTL 0 is reserved: CERROR_ILL, and the page stays cached",
      answers: [
        28: .value(0x0100_0000), 29: .value(1), 32: .value(1),
        30: .translated(0x4100_0000, permissions: readWrite),
      ]),
    JustifiedDifference(
      "sync-cs3", "4.7.3", "R-353",
      reason: "CS 0b11 is reserved and causes CERROR_ILL",
      answers: [19: .value(0x0100_0000), 20: .value(1), 21: .interrupts(["gerror"])]),
  ]

  /// One command of the given opcode, all else 0, and a CMD_SYNC that is never reached.
  private static func illegal(
    _ opcode: String, on stages: [String], _ clause: String, _ rules: String, _ reason: String
  ) -> [JustifiedDifference] {
    stages.map {
      JustifiedDifference(
        "cmd-op\(opcode)-stage\($0)", clause, "R-270", rules, reason: reason,
        answers: [19: .value(0x0100_0000), 20: .value(1)])
    }
  }

  private static let illegalCommands =
    illegal(
      "18", on: ["2", "nested"], "4.4.2.5", "R-165",
      "TLBI_EL3_ALL belongs to the secure command queue")
    + illegal(
      "1a", on: ["2"], "4.4.2.6", "R-165", "TLBI_EL3_VA belongs to the secure command queue")
    + illegal("20", on: ["nested"], "4.4.2.7", "R-165", "TLBI_EL2_ALL while IDR0.Hyp is 0")
    + illegal(
      "21", on: ["1", "2", "nested"], "4.4.2.10", "R-165", "TLBI_EL2_ASID while IDR0.Hyp is 0")
    + illegal("22", on: ["1", "2"], "4.4.2.8", "R-165", "TLBI_EL2_VA while IDR0.Hyp is 0")
    + illegal(
      "23", on: ["1", "2", "nested"], "4.4.2.9", "R-165", "TLBI_EL2_VAA while IDR0.Hyp is 0")
    + illegal("40", on: ["1", "2", "nested"], "4.5.1", "T-265", "ATC_INV while IDR0.ATS is 0")
    + illegal("41", on: ["1", "2", "nested"], "4.5.2", "T-277", "PRI_RESP while IDR0.PRI is 0")
    + illegal("45", on: ["2"], "4.7.2", "T-212", "STALL_TERM without a stall model")
}

// MARK: - Registers

extension JustifiedDifference {
  private static let registers = [
    JustifiedDifference(
      "reg-rw", "6.2", "R-008", "R-048", "R-102", "R-106", "R-127", "R-144", "R-150",
      reason: "RES0 bits read 0: what no feature of this SMMU defines, and addresses beyond OAS",
      answers: [
        1: .value(0xfff),  // CR1
        3: .value(0x2),  // CR2: RECINVSID; no E2H, PTM or REC_CFG_ATS here
        5: .value(0x4000_0fff_ffff_ffc0),  // STRTAB_BASE: 44 bits of output address
        7: .value(0x3_07ff),  // STRTAB_BASE_CFG
        9: .value(0x4000_0fff_ffff_ffff),  // CMDQ_BASE
        16: .value(0x4000_0fff_ffff_ffff),  // EVENTQ_BASE
        18: .value(0), 20: .value(0), 22: .value(0),  // GERROR_IRQ_CFG0-2: no MSIs
        24: .value(0x5), 25: .value(0x5),  // IRQ_CTRL and its ACK: no PRI queue
        27: .value(0x105),  // GERRORN: no PRI queue, no MSIs
        30: .value(0), 31: .value(0),  // PIDR4 and PIDR0 follow IIDR, which is 0 (6.3.7)
      ]),
    JustifiedDifference(
      "reset-regs", "6.3.26", "R-263",
      reason: "queue bases reset to UNKNOWN values, here to 0",
      answers: [25: .value(0), 26: .value(0)]),
  ]
}
