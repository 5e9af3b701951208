// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

/// The layouts behind one face.
struct LayoutCase: Sendable, CustomTestStringConvertible {
  let name: String
  let width: Int
  let fields: [Field]
  /// Sets one field of an empty layout to all ones: the field as read back, and every word.
  let fill: @Sendable (Field) -> (UInt64, [UInt64])

  init<L: Layout & SendableMetatype>(_ name: String, _ type: L.Type) {
    self.name = name
    width = L.width
    fields = L.fields
    fill = { field in
      var layout = L()
      layout[field] = .max
      return (layout[field], (0..<L.width / 64).map { layout[word: $0] })
    }
  }

  var testDescription: String { name }

  static let all = [
    LayoutCase("STE", StreamTableEntry.self), LayoutCase("CD", ContextDescriptor.self),
    LayoutCase("L1STD", Level1StreamTableDescriptor.self),
    LayoutCase("L1CD", Level1ContextDescriptor.self), LayoutCase("command", CommandWords.self),
    LayoutCase("event record", EventRecord.self),
  ]
}

@Suite("Layouts")
struct LayoutTests {
  @Test("fields cover each bit once", arguments: LayoutCase.all)
  func cover(layout: LayoutCase) {
    var seen = Array(repeating: 0, count: layout.width)
    for field in layout.fields {
      #expect(field.low >= 0 && field.high >= field.low && field.high < layout.width)
      for bit in field.low...field.high where bit < layout.width { seen[bit] += 1 }
    }
    for (bit, count) in seen.enumerated() {
      #expect(count == 1, "\(layout.name) bit \(bit) is in \(count) fields")
    }
  }

  @Test("no field crosses a 64-bit word", arguments: LayoutCase.all)
  func words(layout: LayoutCase) {
    #expect(layout.width % 64 == 0)
    for field in layout.fields { #expect(field.low / 64 == field.high / 64, "\(field.name)") }
  }

  @Test("each field reads back what it was given, in its own bits alone", arguments: LayoutCase.all)
  func roundTrip(layout: LayoutCase) {
    for field in layout.fields {
      let (value, words) = layout.fill(field)
      #expect(value == UInt64.ones(field.width), "\(field.name)")
      for (i, word) in words.enumerated() {
        #expect(word == (field.low / 64 == i ? field.mask : 0), "\(field.name), word \(i)")
      }
    }
  }

  @Test("a CD finds its MAIR byte by index")
  func memoryAttributes() {
    var cd = ContextDescriptor()
    cd[ContextDescriptor.mair0] = 0x0403_0201
    cd[ContextDescriptor.mair1] = 0x0807_0605
    for index in 0..<8 { #expect(cd.memoryAttributes(UInt64(index)) == UInt8(index + 1)) }
  }

  @Test("table pointers stand in place")
  func pointers() {
    var ste = StreamTableEntry()
    ste.words[0] = 0x0012_3456_789a_bcc0
    ste.words[3] = 0x0012_3456_789a_bcd0
    #expect(ste.contextTable == 0x0012_3456_789a_bcc0)
    #expect(ste.stage2Table == 0x0012_3456_789a_bcd0)
  }
}
