// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUHost

@Suite struct ReportTests {
  typealias Writer = (UnsafeMutablePointer<CChar>?, Int) -> Int

  /// The whole text, by way of the length that a first call tells.
  func whole(_ write: Writer) -> String {
    let length = write(nil, 0)
    var buffer = [CChar](repeating: 0x7f, count: length + 2)
    #expect(write(&buffer, length + 1) == length)
    #expect(buffer[length] == 0 && buffer[length + 1] == 0x7f)
    return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func report(_ asked: Features = .linux, _ devices: [DeviceFacts] = [.rich]) -> NegotiationReport {
    Negotiation.decide(asked: asked, devices: devices, stage2Bits: 44)
  }

  @Test("The text has aligned columns, one row for each field")
  func table() {
    let report = report()
    let lines = whole(report.writeText).split(separator: "\n", omittingEmptySubsequences: false)
    let head = lines.firstIndex { $0.hasPrefix("field ") }!
    #expect(lines[head] == "field                          asked      host  chosen  reason")
    #expect(lines.contains("stage 2 of the host: addresses of 44 bits"))
    #expect(lines.contains("assigned device 0: IIDR 0x0, PASIDs of 20 bits, may use ATS"))
    let rows = lines[(head + 1)...].prefix { !$0.isEmpty }
    #expect(rows.count == report.rows.count)
    #expect(rows.allSatisfy { $0.dropFirst(54).hasPrefix("  ") })
    #expect(
      rows.contains(
        "IDR5.OAS                           5  not read       4  "
          + "all that the host's stage 2 takes"))
    #expect(
      rows.contains(
        "IDR1.SSIDSIZE                     16        20      16  "
          + "as asked: the host can do it"))
  }

  @Test("BTM: the first missing condition, and each with yes or no")
  func broadcast() {
    let text = whole(report(.broadcasting).writeText)
    #expect(text.contains("BTM: not offered: this kernel has no request that pins a VMID\n"))
    #expect(text.contains("\n  yes  the host's SMMU has IDR0.BTM\n"))
    #expect(text.contains("\n  no   a KVM VM is linked\n"))
    let offered = Negotiation.decide(
      asked: .broadcasting, devices: [.rich], broadcast: .complete)
    #expect(whole(offered.writeText).contains("\nBTM: offered\n  yes"))
    let none = whole(report(.linux, []).writeText)
    #expect(none.contains("BTM: not offered, as asked: no assigned device limits it"))
    #expect(none.contains("no assigned device\n"))
  }

  @Test("A refusal and a freeze are told first")
  func head() {
    var refused = report(.linux, [.rich { $0[.idr0, IDR0.ttf] = 1 }])
    refused.isFrozen = true
    let text = whole(refused.writeText)
    #expect(text.hasPrefix("refused: no table format is common: IDR0.TTF asked 2, host 1\n"))
    #expect(text.contains("ID registers: frozen"))
    let json = whole(refused.writeJSON)
    #expect(json.hasPrefix(#"{"refused": "no table format is common: IDR0.TTF asked 2, host 1", "#))
    #expect(json.contains(#""frozen": true"#))
  }

  @Test("A buffer that is too small is cut with a NUL, the length is the whole one")
  func cut() {
    let report = report()
    let length = report.writeText(to: nil, capacity: 100)
    var buffer = [CChar](repeating: 0x7f, count: 12)
    #expect(report.writeText(to: &buffer, capacity: 10) == length)
    #expect(buffer[9] == 0 && buffer[10] == 0x7f && buffer[0] == 0x49)
    #expect(report.writeText(to: &buffer, capacity: -1) == length)
    #expect(report.writeJSON(to: &buffer, capacity: 0) == report.writeJSON(to: nil, capacity: 0))
  }

  @Test("The JSON is well-formed and holds what the rows hold")
  func json() {
    for asked in [Features.linux, .full, .broadcasting] {
      for devices in [[], [DeviceFacts.rich], [.rich, .rich]] as [[DeviceFacts]] {
        let report = report(asked, devices)
        let text = whole(report.writeJSON)
        var parser = JSONChecker(Array(text.utf8))
        let isWhole = parser.isWhole()
        #expect(isWhole)
        #expect(text.components(of: #""register": "#) == report.rows.count)
        #expect(text.components(of: #""iidr": "#) == devices.count)
        let chosen = report.chosen
        #expect(text.contains("\"IDR0\": \(chosen[.idr0]), \"IDR1\": \(chosen[.idr1])"))
      }
    }
  }

  @Test("A row in JSON")
  func jsonRow() {
    let text = whole(report().writeJSON)
    #expect(
      text.contains(
        #"{"register": "IDR5", "field": "OAS", "asked": 5, "host": null, "chosen": 4, "#
          + #""reason": "all that the host's stage 2 takes"}"#))
    #expect(
      text.contains(
        #""btm": {"offered": false, "missing": "asked", "conditions": [{"name": "asked", "#
          + #""holds": false, "text": "BTM is asked for"}, "#))
  }

  @Test("Texts need no escapes in JSON")
  func plain() {
    let texts: [StaticString] =
      NegotiationReason.allCases.map(\.sentence) + NegotiationRefusal.allCases.map(\.sentence)
      + BroadcastCondition.allCases.flatMap { [$0.name, $0.sentence, $0.missing] }
    for text in texts {
      #expect("\(text)".utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c })
    }
  }
}

extension String {
  fileprivate func components(of piece: String) -> Int {
    var count = 0
    var rest = self[...]
    while let range = rest.range(of: piece) {
      count += 1
      rest = rest[range.upperBound...]
    }
    return count
  }

  fileprivate func contains(_ piece: String) -> Bool { components(of: piece) > 0 }
}

extension Substring {
  fileprivate func range(of piece: String) -> Range<Index>? {
    var start = startIndex
    while start != endIndex {
      if self[start...].hasPrefix(piece) { return start..<index(start, offsetBy: piece.count) }
      start = index(after: start)
    }
    return nil
  }
}

/// A parser of JSON that keeps nothing.
private struct JSONChecker {
  private let bytes: [UInt8]
  private var place = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func isWhole() -> Bool {
    guard value() else { return false }
    skip()
    return place == bytes.count
  }

  private mutating func skip() {
    while place < bytes.count && [0x20, 0x0a].contains(bytes[place]) { place += 1 }
  }

  private mutating func take(_ byte: Character) -> Bool {
    skip()
    guard place < bytes.count, bytes[place] == byte.asciiValue! else { return false }
    place += 1
    return true
  }

  private mutating func value() -> Bool {
    skip()
    guard place < bytes.count else { return false }
    switch bytes[place] {
    case 0x7b: return list("{", "}", keyed: true)
    case 0x5b: return list("[", "]", keyed: false)
    case 0x22: return string()
    case 0x30...0x39:
      while place < bytes.count && 0x30...0x39 ~= bytes[place] { place += 1 }
      return true
    default: return word("true") || word("false") || word("null")
    }
  }

  private mutating func list(_ open: Character, _ close: Character, keyed: Bool) -> Bool {
    guard take(open) else { return false }
    if take(close) { return true }
    repeat {
      skip()
      if keyed { guard string(), take(":") else { return false } }
      guard value() else { return false }
    } while take(",")
    return take(close)
  }

  private mutating func string() -> Bool {
    guard take("\"") else { return false }
    while place < bytes.count && bytes[place] != 0x22 { place += 1 }
    return take("\"")
  }

  private mutating func word(_ text: String) -> Bool {
    guard bytes[place...].starts(with: text.utf8) else { return false }
    place += text.utf8.count
    return true
  }
}
