// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

extension NegotiationReport {
  /// Writes the report for programs:
  ///
  ///     {"refused": null | "...", "frozen": bool, "shared_vmid": bool, "stage2_bits": n | null,
  ///      "devices": [{"iidr": n, "max_pasid_bits": n, "ats": bool}, ...],
  ///      "registers": {"IDR0": n, ...},
  ///      "fields": [{"register": "IDR0", "field": "S2P", "asked": n | "auto", "host": n | null,
  ///                  "chosen": n, "reason": "..."}, ...],
  ///      "btm": {"offered": bool, "missing": null | "name",
  ///              "conditions": [{"name": "...", "holds": bool, "text": "..."}, ...]},
  ///      "direct_queues": {"offered": bool, "missing": null | "name"}}
  ///
  /// A host value of null was not read. Ends with a NUL, cut to `capacity`; returns the length of
  /// the whole text without it.
  public func writeJSON(to text: UnsafeMutablePointer<CChar>?, capacity: Int) -> Int {
    var json = JSONWriter(buffer: TextBuffer(text, capacity))
    json.begin(0x7b)
    if refusal != nil {
      json.string("refused", refusalSentence)
    } else {
      json.null("refused")
    }
    json.boolean("frozen", isFrozen)
    json.boolean("shared_vmid", sharesVMID)
    if stage2Bits > 0 {
      json.number("stage2_bits", UInt64(stage2Bits.magnitude))
    } else {
      json.null("stage2_bits")
    }
    writeDevices(&json)
    writeRegisters(&json)
    writeFields(&json)
    writeBroadcast(&json)
    writeDirect(&json)
    json.end(0x7d)
    json.buffer.append("\n")
    return json.buffer.finish()
  }

  private func writeDevices(_ json: inout JSONWriter) {
    json.key("devices")
    json.begin(0x5b)
    for device in devices {
      json.element()
      json.begin(0x7b)
      json.number("iidr", UInt64(device.information.iidr))
      json.number("max_pasid_bits", UInt64(device.maxPASIDBits.magnitude))
      json.boolean("ats", device.mayUseATS)
      json.end(0x7d)
    }
    json.end(0x5d)
  }

  private func writeRegisters(_ json: inout JSONWriter) {
    json.key("registers")
    json.begin(0x7b)
    for register in IdentificationRegister.allCases {
      json.number(register.name, UInt64(chosen[register]))
    }
    json.end(0x7d)
  }

  private func writeFields(_ json: inout JSONWriter) {
    json.key("fields")
    json.begin(0x5b)
    for row in rows {
      json.element()
      json.begin(0x7b)
      json.string("register", Sentence(row.register.name))
      json.string("field", Sentence(row.field.name))
      if row.isAutomatic {
        json.string("asked", Sentence("auto"))
      } else {
        json.number("asked", UInt64(row.asked))
      }
      if let host = row.host {
        json.number("host", UInt64(host))
      } else {
        json.null("host")
      }
      json.number("chosen", UInt64(row.chosen))
      json.string("reason", Sentence(row.reason.sentence))
      json.end(0x7d)
    }
    json.end(0x5d)
  }

  private func writeBroadcast(_ json: inout JSONWriter) {
    json.key("btm")
    json.begin(0x7b)
    json.boolean("offered", chosen[.idr0, IDR0.btm] != 0)
    if !devices.isEmpty, let missing = broadcast.firstMissing {
      json.string("missing", Sentence(missing.name))
    } else {
      json.null("missing")
    }
    json.key("conditions")
    json.begin(0x5b)
    for condition in BroadcastCondition.allCases where !devices.isEmpty {
      json.element()
      json.begin(0x7b)
      json.string("name", Sentence(condition.name))
      json.boolean("holds", broadcast.holds(condition))
      json.string("text", Sentence(condition.sentence))
      json.end(0x7d)
    }
    json.end(0x5d)
    json.end(0x7d)
  }
}

extension NegotiationReport {
  fileprivate func writeDirect(_ json: inout JSONWriter) {
    json.key("direct_queues")
    json.begin(0x7b)
    json.boolean("offered", direct == .offered)
    if direct == .offered {
      json.null("missing")
    } else {
      json.string("missing", Sentence(direct.name))
    }
    json.end(0x7d)
  }
}

/// JSON without a tree: commas follow from what was written before. Names and texts are this
/// library's own and need no escapes.
private struct JSONWriter {
  var buffer: TextBuffer
  private var needsComma = false

  init(buffer: TextBuffer) { self.buffer = buffer }

  mutating func begin(_ bracket: UInt8) {
    buffer.append(byte: bracket)
    needsComma = false
  }

  mutating func end(_ bracket: UInt8) {
    buffer.append(byte: bracket)
    needsComma = true
  }

  @inline(never)
  mutating func element() {
    if needsComma { buffer.append(", ") }
    needsComma = true
  }

  @inline(never)
  mutating func key(_ name: StaticString) {
    element()
    buffer.append("\"")
    buffer.append(name)
    buffer.append("\": ")
  }

  mutating func number(_ name: StaticString, _ value: UInt64) {
    key(name)
    buffer.append(value)
  }

  @inline(never)
  mutating func boolean(_ name: StaticString, _ value: Bool) {
    key(name)
    buffer.append(value ? "true" : "false")
  }

  mutating func null(_ name: StaticString) {
    key(name)
    buffer.append("null")
  }

  @inline(never)
  mutating func string(_ name: StaticString, _ value: Sentence) {
    key(name)
    buffer.append("\"")
    buffer.append(value)
    buffer.append("\"")
  }
}
