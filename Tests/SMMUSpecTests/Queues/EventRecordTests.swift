// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("Event records")
struct EventRecordTests {
  @Test("an entry is 32 bytes and its fields lie where drivers look")
  func layout() {
    #expect(EventRecord.bytes == 32)
    #expect(EventRecord.width == 256)
    // Field, value, word, the word then: Linux EVTQ_0 to EVTQ_3.
    let vectors: [(Field, UInt64, Int, UInt64)] = [
      (EventRecord.number, 0x10, 0, 0x10), (EventRecord.ssv, 1, 0, 1 << 11),
      (EventRecord.substreamID, 0xabcde, 0, 0xabcd_e000),
      (EventRecord.streamID, 0x1234_5678, 0, 0x1234_5678_0000_0000),
      (EventRecord.stag, 0xbeef, 1, 0xbeef), (EventRecord.stall, 1, 1, 1 << 31),
      (EventRecord.pnu, 1, 1, 1 << 33), (EventRecord.ind, 1, 1, 1 << 34),
      (EventRecord.rnw, 1, 1, 1 << 35), (EventRecord.nsipa, 1, 1, 1 << 38),
      (EventRecord.s2, 1, 1, 1 << 39), (EventRecord.accessClass, 3, 1, 3 << 40),
      (EventRecord.ttrnw, 1, 1, 1 << 44), (EventRecord.inputAddr, .max, 2, .max),
      (EventRecord.ipa, 0xfff_ffff_ffff, 3, 0x00ff_ffff_ffff_f000),
      (EventRecord.fetchAddr, .max, 3, 0x00ff_ffff_ffff_fff8),
    ]
    for (field, value, word, expected) in vectors {
      var record = EventRecord()
      record[field] = value
      for i in 0..<4 { #expect(record[word: i] == (i == word ? expected : 0), "\(field.name)") }
    }
  }

  @Test("event numbers (§7.3)")
  func numbers() {
    let all: [UInt8] = [
      0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13,
      0x20, 0x21, 0x24, 0x25,
    ]
    #expect(EventKind.allCases.map(\.rawValue) == all)
    #expect(EventKind.translation.rawValue == 0x10)
    #expect(EventKind.permission.rawValue == 0x13)
    #expect(EventKind.badStreamID.rawValue == 0x02)
    #expect(EventKind.walkAbort.rawValue == 0x0b)
  }
}
