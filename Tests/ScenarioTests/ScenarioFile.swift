// SPDX-License-Identifier: MIT
// Tests/Data/scenarios.jsonl ("vsmmuv3-scenario/1"): what a guest and a device do to an SMMUv3, and
// what QEMU 11.1.3 answered. One JSON object a line; 64-bit numbers are hexadecimal strings.

import Foundation
import Testing

/// Which stages the SMMU of a scenario offers.
enum Stage: String, Decodable, Sendable {
  case one = "1"
  case two = "2"
  case nested
}

/// One data access of a device.
struct Access: Equatable, Sendable {
  let stream: UInt32
  let address: UInt64
  let length: Int
  let isWrite: Bool
  /// The answer from before a change of the tables is as good as the one after it.
  let mayBeStale: Bool
}

enum Step: Sendable {
  case poke(UInt64, [UInt8])
  case peek(UInt64, length: Int)
  case write(UInt64, width: UInt32, UInt64)
  case read(UInt64, width: UInt32)
  case access(Access)
  /// Read the records of the event queue and free them.
  case events
  /// The wired interrupts since the last such step.
  case interrupts
}

/// What a step lets the guest or the device see.
enum Observation: Equatable, Sendable {
  case value(UInt64)
  case bytes(String)
  case aborted
  /// `permissions` are VSMMU_PERMIT_READ and _WRITE, nil where QEMU bypassed and told none.
  case translated(UInt64, permissions: UInt32?)
  case events(prod: UInt64, cons: UInt64, records: [String])
  case interrupts([String])

  /// Equal in all that both sides tell.
  func agrees(with other: Observation) -> Bool {
    guard case .translated(let here, let mine) = self,
      case .translated(let there, let theirs) = other
    else { return self == other }
    return here == there && (mine == nil || theirs == nil || mine == theirs)
  }
}

extension Observation: CustomStringConvertible {
  var description: String {
    switch self {
    case .value(let value): hexadecimal(value)
    case .bytes(let bytes): bytes
    case .aborted: "abort"
    case .translated(let address, let permissions):
      hexadecimal(address) + (permissions.map { ", permissions \($0)" } ?? "")
    case .events(let prod, let cons, let records):
      "prod \(hexadecimal(prod)), cons \(hexadecimal(cons)), records \(records)"
    case .interrupts(let lines): "interrupts \(lines)"
    }
  }
}

struct Scenario: Sendable, CustomTestStringConvertible {
  let name: String
  let stage: Stage
  let ram: Range<UInt64>
  let streams: [UInt32]
  let steps: [Step]
  /// What QEMU answered, by the index of the step.
  let qemu: [Int: Observation]
  /// The file itself is certain that QEMU is wrong here.
  let isKnownDeviation: Bool

  var testDescription: String { name }

  static let all: [Scenario] = {
    let data = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Data/scenarios.jsonl")
    do {
      return try String(contentsOf: data, encoding: .utf8).split(separator: "\n").map {
        try JSONDecoder().decode(Scenario.self, from: Data($0.utf8))
      }
    } catch {
      Issue.record("\(data.path()): \(error)")
      return []
    }
  }()
}

// MARK: - Decoding

extension Scenario: Decodable {
  private enum Key: String, CodingKey {
    case format, name, stage, ram, sids, steps, qemu, deviation
  }

  private struct RAM: Decodable {
    let base: Hex
    let size: Hex
  }

  private struct Answers: Decodable {
    let obs: [Answer]
  }

  private struct Deviation: Decodable {
    let sure: Bool
  }

  init(from decoder: any Decoder) throws {
    let row = try decoder.container(keyedBy: Key.self)
    guard try row.decode(String.self, forKey: .format) == "vsmmuv3-scenario/1" else {
      throw DecodingError.dataCorruptedError(forKey: .format, in: row, debugDescription: "format")
    }
    name = try row.decode(String.self, forKey: .name)
    stage = try row.decode(Stage.self, forKey: .stage)
    let memory = try row.decode(RAM.self, forKey: .ram)
    ram = memory.base.value..<memory.base.value + memory.size.value
    streams = try row.decode([UInt32].self, forKey: .sids)
    steps = try row.decode([Step].self, forKey: .steps)
    let answers = try row.decode(Answers.self, forKey: .qemu).obs
    qemu = try Dictionary(answers.map { ($0.step, $0.observation) }) { _, _ in
      throw DecodingError.dataCorruptedError(forKey: .qemu, in: row, debugDescription: "twice")
    }
    isKnownDeviation = try row.decodeIfPresent(Deviation.self, forKey: .deviation)?.sure ?? false
  }
}

extension Step: Decodable {
  private enum Key: String, CodingKey {
    case op, pa, hex, off, val, sid, iova, len, dir, lenient
  }

  init(from decoder: any Decoder) throws {
    let row = try decoder.container(keyedBy: Key.self)
    func number(_ key: Key) throws -> UInt64 { try row.decode(Hex.self, forKey: key).value }
    switch try row.decode(String.self, forKey: .op) {
    case "mem": self = .poke(try number(.pa), try row.decode(HexBytes.self, forKey: .hex).bytes)
    case "rmem": self = .peek(try number(.pa), length: try row.decode(Int.self, forKey: .len))
    case "w32": self = .write(try number(.off), width: 4, try number(.val))
    case "w64": self = .write(try number(.off), width: 8, try number(.val))
    case "r32": self = .read(try number(.off), width: 4)
    case "r64": self = .read(try number(.off), width: 8)
    case "events": self = .events
    case "irqs": self = .interrupts
    case "dma":
      self = .access(
        Access(
          stream: try row.decode(UInt32.self, forKey: .sid), address: try number(.iova),
          length: try row.decode(Int.self, forKey: .len),
          isWrite: try row.decode(String.self, forKey: .dir) == "w",
          mayBeStale: try row.decodeIfPresent(String.self, forKey: .lenient) == "stale-ok"))
    case let other:
      throw DecodingError.dataCorruptedError(forKey: .op, in: row, debugDescription: other)
    }
  }
}

/// One entry of "obs".
private struct Answer: Decodable {
  let step: Int
  let observation: Observation

  private enum Key: String, CodingKey {
    case i, op, val, ok, pa, perm, landed, prod, cons, recs, hex, irqs
  }

  init(from decoder: any Decoder) throws {
    let row = try decoder.container(keyedBy: Key.self)
    func number(_ key: Key) throws -> UInt64 { try row.decode(Hex.self, forKey: key).value }
    step = try row.decode(Int.self, forKey: .i)
    switch try row.decode(String.self, forKey: .op) {
    case "r32", "r64": observation = .value(try number(.val))
    case "rmem": observation = .bytes(try row.decode(String.self, forKey: .hex))
    case "irqs": observation = .interrupts(try row.decode([String].self, forKey: .irqs))
    case "events":
      observation = .events(
        prod: try number(.prod), cons: try number(.cons),
        records: try row.decode([String].self, forKey: .recs))
    case "dma" where try !row.decode(Bool.self, forKey: .ok): observation = .aborted
    case "dma" where try row.decodeIfPresent(Bool.self, forKey: .landed) ?? true:
      observation = .translated(
        try number(.pa), permissions: try row.decodeIfPresent(UInt32.self, forKey: .perm))
    case let other:
      throw DecodingError.dataCorruptedError(forKey: .op, in: row, debugDescription: other)
    }
  }
}

/// "0x1f"
private struct Hex: Decodable {
  let value: UInt64

  init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer()
    let digits = try text.decode(String.self).dropFirst(2)
    guard let value = UInt64(digits, radix: 16) else {
      throw DecodingError.dataCorruptedError(in: text, debugDescription: "a hexadecimal number")
    }
    self.value = value
  }
}

/// "1f00"
private struct HexBytes: Decodable {
  let bytes: [UInt8]

  init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer()
    var digits = try text.decode(String.self)[...]
    var bytes: [UInt8] = []
    while let byte = UInt8(digits.prefix(2), radix: 16) {
      bytes.append(byte)
      digits = digits.dropFirst(2)
    }
    guard digits.isEmpty else {
      throw DecodingError.dataCorruptedError(in: text, debugDescription: "hexadecimal bytes")
    }
    self.bytes = bytes
  }
}

/// The bytes as the file writes them.
func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
