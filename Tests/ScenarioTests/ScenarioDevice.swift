// SPDX-License-Identifier: MIT

import CVSMMU
import Foundation
import VSMMU

/// A call of the library that it should not have refused.
struct Refused: Error {
  let call: String
  let code: Int32
  var message = ""
}

/// An SMMU, its guest's RAM and its wired interrupts, for one scenario.
final class ScenarioDevice {
  private let smmu: OpaquePointer
  private let ram: Range<UInt64>
  private let host: UnsafeMutableRawPointer
  private let lines: InterruptLines

  init(_ scenario: Scenario) throws {
    let lines = InterruptLines()
    let smmu = try Self.create(scenario.stage, lines)
    self.smmu = smmu
    self.ram = scenario.ram
    self.host = Self.zeroedPages(scenario.ram.count)
    self.lines = lines
    try check("ram_add", vsmmu_ram_add(smmu, ram.lowerBound, UInt64(ram.count), host))
    for stream in scenario.streams { try check("stream_add", vsmmu_stream_add(smmu, stream)) }
  }

  deinit {
    vsmmu_destroy(smmu)
    munmap(host, ram.count)
  }

  /// Pages that cost nothing until they are touched.
  private static func zeroedPages(_ count: Int) -> UnsafeMutableRawPointer {
    mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
  }

  /// What the step lets someone see; nil for a step that shows nothing.
  func perform(_ step: Step) throws -> Observation? {
    switch step {
    case .poke(let address, let bytes):
      try host(address, bytes.count).copyBytes(from: bytes)
      return nil
    case .write(let offset, let width, let value):
      try write(offset, width, value)
      return nil
    case .read(let offset, let width): return .value(try read(offset, width))
    case .peek(let address, let length): return .bytes(hex(try host(address, length)))
    case .access(let access): return try perform(access)
    case .events: return try drainEvents()
    case .interrupts: return .interrupts(lines.take())
    }
  }

  func read(_ offset: UInt64, _ width: UInt32) throws -> UInt64 {
    var value: UInt64 = 0
    try check("mmio_read", vsmmu_mmio_read(smmu, offset, width, &value))
    return value
  }

  private func write(_ offset: UInt64, _ width: UInt32, _ value: UInt64) throws {
    try check("mmio_write", vsmmu_mmio_write(smmu, offset, width, value))
  }

  private func check(_ call: String, _ code: Int32) throws {
    if code == 0 { return }
    var text = [UInt8](repeating: 0, count: 256)
    let length = text.withUnsafeMutableBytes {
      vsmmu_error_message(smmu, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    let message = String(decoding: text.prefix(Int(max(0, length))), as: UTF8.self)
    throw Refused(call: call, code: code, message: message)
  }

  private func host(_ address: UInt64, _ length: Int) throws -> UnsafeMutableRawBufferPointer {
    guard ram.contains(address), UInt64(length) <= ram.upperBound - address else {
      throw Refused(call: "\(hexadecimal(address)) is no RAM", code: 0)
    }
    return UnsafeMutableRawBufferPointer(
      start: host + Int(address - ram.lowerBound), count: length)
  }
}

// MARK: - DMA

extension ScenarioDevice {
  /// Translates, which records at most one event, and then moves data where that succeeded.
  private func perform(_ access: Access) throws -> Observation {
    var request = vsmmu_access()
    request.size = UInt32(MemoryLayout<vsmmu_access>.size)
    request.flags = access.isWrite ? VSMMU_ACCESS_WRITE : 0
    request.stream = access.stream
    request.address = access.address
    var result = Self.emptyResult
    try check("translate", vsmmu_translate(smmu, &request, &result))
    guard result.kind == VSMMU_RESULT_OK else { return .aborted }
    try move(access, request, to: result.address)
    let permissions = result.permissions & (VSMMU_PERMIT_READ | VSMMU_PERMIT_WRITE)
    return .translated(result.address, permissions: permissions)
  }

  /// The copying calls must reach the memory that the translation named.
  private func move(_ access: Access, _ request: vsmmu_access, to address: UInt64) throws {
    var request = request
    var result = Self.emptyResult
    let length = UInt64(access.length)
    var data = (0..<access.length).map { UInt8(truncatingIfNeeded: 0xa5 ^ $0 ^ Int(address >> 12)) }
    if access.isWrite {
      try check("dma_write", vsmmu_dma_write(smmu, &request, data, length, &result))
    } else {
      try check("dma_read", vsmmu_dma_read(smmu, &request, &data, length, &result))
    }
    guard result.kind == VSMMU_RESULT_OK,
      try host(address, access.length).elementsEqual(data)
    else {
      throw Refused(call: "dma at \(hexadecimal(address))", code: Int32(result.kind))
    }
  }

  private static var emptyResult: vsmmu_result {
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    return result
  }
}

// MARK: - The event queue, as a driver reads it

extension ScenarioDevice {
  private static let eventqBase: UInt64 = 0xa0
  private static let eventqProd: UInt64 = 0x100a8
  private static let eventqCons: UInt64 = 0x100ac

  private func drainEvents() throws -> Observation {
    let prod = try read(Self.eventqProd, 4)
    let cons = try read(Self.eventqCons, 4)
    let base = try read(Self.eventqBase, 8)
    let size = UInt64(1) << (base & 0x1f)
    let start = base & 0xff_ffff_ffff_ffe0 & ~(size * 32 - 1)
    var records: [String] = []
    var index = cons & (2 * size - 1)
    while index != prod & (2 * size - 1) {
      records.append(hex(try host(start + (index & (size - 1)) * 32, 32)))
      index = (index + 1) & (2 * size - 1)
    }
    try write(Self.eventqCons, 4, prod)
    return .events(prod: prod, cons: cons, records: records)
  }
}

// MARK: - Creation

/// The names of the wired interrupts that pulsed, in order.
private final class InterruptLines {
  private static let names = ["evtq", "priq", "sync", "gerror"]  // by VSMMU_IRQ_*
  private var pulses: [String] = []

  func pulse(_ line: UInt32) { pulses.append(Self.names[Int(line)]) }

  func take() -> [String] {
    defer { pulses = [] }
    return pulses
  }
}

extension ScenarioDevice {
  private static func create(_ stage: Stage, _ lines: InterruptLines) throws -> OpaquePointer {
    var ops = vsmmu_ops()
    ops.size = UInt32(MemoryLayout<vsmmu_ops>.size)
    ops.irq = { Unmanaged<InterruptLines>.fromOpaque($0!).takeUnretainedValue().pulse($1) }
    var smmu: OpaquePointer?
    var text = [UInt8](repeating: 0, count: 256)
    let code = stage.features.withCString { features in
      var config = vsmmu_config()
      config.size = UInt32(MemoryLayout<vsmmu_config>.size)
      config.profile = VSMMU_PROFILE_FULL
      config.features = features
      let opaque = Unmanaged.passUnretained(lines).toOpaque()
      return text.withUnsafeMutableBytes {
        let message = $0.baseAddress!.assumingMemoryBound(to: CChar.self)
        return vsmmu_create(&config, &ops, opaque, &smmu, message, $0.count)
      }
    }
    guard code == 0, let smmu else {
      let message = String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
      throw Refused(call: "create", code: code, message: message)
    }
    return smmu
  }
}

extension Stage {
  /// The ID registers of the SMMU that QEMU showed. With stage 2 alone that was IDR3 0x1414, which
  /// 6.3.4 forbids: HAD is 0 when S1P is. No scenario reads it.
  var identification: [(name: String, offset: UInt64, value: UInt64)] {
    let (idr0, idr3): (UInt64, UInt64) =
      switch self {
      case .one: (0x0d44_101a, 0x1404)
      case .two: (0x0d44_1019, 0x1410)
      case .nested: (0x0d44_101b, 0x1414)
      }
    return [
      ("IDR0", 0x00, idr0), ("IDR1", 0x04, 0x0273_0010), ("IDR2", 0x08, 0), ("IDR3", 0x0c, idr3),
      ("IDR4", 0x10, 0), ("IDR5", 0x14, 0x74), ("IIDR", 0x18, 0), ("AIDR", 0x1c, 1),
    ]
  }

  /// The same in the words of vsmmu_config.
  fileprivate var features: String {
    identification.map { "\($0.name)=\(hexadecimal($0.value))" }.joined(separator: ",")
  }
}
