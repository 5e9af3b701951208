// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

extension NegotiationReport {
  /// Writes the report for people: a line for each device, field and condition of BTM. Ends with a
  /// NUL, cut to `capacity`; returns the length of the whole text without it.
  public func writeText(to text: UnsafeMutablePointer<CChar>?, capacity: Int) -> Int {
    var buffer = TextBuffer(text, capacity)
    writeHead(&buffer)
    for row in rows { row.write(&buffer) }
    writeBroadcast(&buffer)
    writeDirect(&buffer)
    return buffer.finish()
  }

  private func writeHead(_ text: inout TextBuffer) {
    if refusal != nil {
      text.append("refused: ")
      text.append(refusalSentence)
      text.append("\n")
    }
    text.append("ID registers: ")
    text.append(isFrozen ? "frozen, as the guest may have seen them\n" : "not frozen yet\n")
    if devices.isEmpty { text.append("no assigned device\n") }
    for (index, device) in devices.enumerated() {
      text.append("assigned device ")
      text.append(UInt64(index))
      text.append(": IIDR ")
      text.append(hex: UInt64(device.information.iidr))
      text.append(", PASIDs of ")
      text.append(UInt64(device.maxPASIDBits.magnitude))
      text.append(device.mayUseATS ? " bits, may use ATS\n" : " bits, may not use ATS\n")
    }
    if stage2Bits > 0 {
      text.append("stage 2 of the host: addresses of ")
      text.append(UInt64(stage2Bits.magnitude))
      text.append(" bits\n")
    }
    if sharesVMID {
      text.append("VMID: shared with another vSMMU, so no ASID may be one of both guests' SMMUs\n")
    }
    text.append("\nfield")
    text.append(Sentence("asked"), endingAt: Column.asked)
    text.append(Sentence("host"), endingAt: Column.host)
    text.append(Sentence("chosen"), endingAt: Column.chosen)
    text.append("  reason\n")
  }

  private func writeDirect(_ text: inout TextBuffer) {
    guard direct != .notAsked else { return }
    text.append("\ndirect command queues: ")
    text.append(direct == .offered ? "offered: " : "not offered: ")
    text.append(direct.sentence)
    text.append("\n")
  }

  private func writeBroadcast(_ text: inout TextBuffer) {
    text.append("\nBTM: ")
    if devices.isEmpty {
      text.append(chosen[.idr0, IDR0.btm] != 0 ? "offered" : "not offered")
      text.append(", as asked: no assigned device limits it\n")
      return
    }
    if let missing = broadcast.firstMissing {
      text.append("not offered: ")
      text.append(missing.missing)
      text.append("\n")
    } else {
      text.append("offered\n")
    }
    for condition in BroadcastCondition.allCases {
      text.append(broadcast.holds(condition) ? "  yes  " : "  no   ")
      text.append(condition.sentence)
      text.append("\n")
    }
  }
}

/// Where columns of the table end.
private enum Column {
  static var asked: Int { 36 }
  static var host: Int { 46 }
  static var chosen: Int { 54 }
}

extension NegotiationRow {
  fileprivate func write(_ text: inout TextBuffer) {
    var place = Sentence()
    place.append(place: register, field)
    text.append(place)
    text.append(isAutomatic ? Sentence("auto") : Self.number(asked), endingAt: Column.asked)
    text.append(host.map(Self.number) ?? Sentence("not read"), endingAt: Column.host)
    text.append(Self.number(chosen), endingAt: Column.chosen)
    text.append("  ")
    text.append(reason.sentence)
    text.append("\n")
  }

  private static func number(_ value: UInt32) -> Sentence {
    var text = Sentence()
    text.append(UInt64(value))
    return text
  }
}
