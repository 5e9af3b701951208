// SPDX-License-Identifier: MIT
// A guest and its VMM that do anything: bytes become register accesses, memory, commands, DMA,
// saved states; with FUZZ_TARGET=host assigned devices on an emulated host too, their ATS, direct
// queues and BARs. Sanitizers and the device's own traps watch; oracles do beside them
// (`Oracles.swift`). With FUZZ_CANARY one of these fails: caches are not emptied for it.
import CVSMMU
import Glibc

/// libFuzzer calls this with each input; 0 keeps it if it reached something new.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
  var input = Input(UnsafeBufferPointer(start: data, count: size))
  World.clear()
  // Steps enough for any sequence that matters, and a bound for the time of one input.
  var steps = 0
  if hasHost {
    guard var host = FuzzedHost(&input) else { return 0 }
    defer { host.destroy() }
    while !input.isEmpty && steps < 100 {
      host.step(&input)
      steps += 1
    }
  } else {
    guard var device = FuzzedDevice(&input) else { return 0 }
    defer { device.destroy() }
    while !input.isEmpty && steps < 200 {
      device.step(&input)
      steps += 1
    }
  }
  return 0
}

private let hasHost: Bool = {
  guard getenv("FUZZ_TARGET").map({ String(cString: $0) }) == "host" else { return false }
  atexit { print("direct commands: \(FuzzedHost.directCommands)") }
  return true
}()
let isCanary = getenv("FUZZ_CANARY") != nil

/// Ends the run with the reason: an optimised `precondition` would be silent.
func require(_ condition: Bool, _ reason: StaticString) {
  if condition { return }
  let text = "\nnot so: \(reason)\n"
  _ = text.withCString { write(2, $0, text.utf8.count) }
  abort()
}

/// Bytes as decisions; zeros when they are used up.
struct Input {
  private var bytes: UnsafeBufferPointer<UInt8>.Iterator
  private var left: Int

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes.makeIterator()
    left = bytes.count
  }

  var isEmpty: Bool { left <= 0 }

  mutating func byte() -> UInt8 {
    left -= 1
    return bytes.next() ?? 0
  }

  mutating func below(_ bound: Int) -> Int { Int(byte()) % bound }

  mutating func word(_ count: Int = 8) -> UInt64 {
    var word: UInt64 = 0
    for i in 0..<count { word |= UInt64(byte()) << UInt64(8 * i) }
    return word
  }

  mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }
}

/// Guest memory: RAM that is registered, and some behind callbacks of which one page aborts.
enum World {
  static let ram: UInt64 = 0x10_0000
  static let ramSize = 0x2_0000
  static let outside: UInt64 = 0x20_0000
  static let outsideSize = 0x4000
  static let abortingPage: UInt64 = 0x20_3000
  nonisolated(unsafe) static let memory = UnsafeMutableRawPointer.allocate(
    byteCount: ramSize, alignment: 4096)
  nonisolated(unsafe) static let outsideMemory = UnsafeMutableRawPointer.allocate(
    byteCount: outsideSize, alignment: 4096)

  static func clear() {
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: ramSize)
    outsideMemory.initializeMemory(as: UInt8.self, repeating: 0, count: outsideSize)
  }

  static subscript(_ address: UInt64) -> UInt64 {
    get { place(address)?.load(as: UInt64.self) ?? 0 }
    set { place(address)?.storeBytes(of: newValue, as: UInt64.self) }
  }

  static func isRAM(_ address: UInt64) -> Bool {
    address >= ram && address < ram + UInt64(ramSize)
  }

  private static func place(_ address: UInt64) -> UnsafeMutableRawPointer? {
    let address = address & ~7
    if isRAM(address) { return memory + Int(address - ram) }
    if address >= outside && address < outside + UInt64(outsideSize) {
      return outsideMemory + Int(address - outside)
    }
    return nil
  }

  /// Where a callback's bytes are; nil aborts.
  static func bytes(_ address: UInt64, _ length: UInt64) -> UnsafeMutableRawPointer? {
    guard address >= outside, length <= UInt64(outsideSize),
      address - outside <= UInt64(outsideSize) - length, address >> 12 != abortingPage >> 12,
      (address + length - 1) >> 12 != abortingPage >> 12 || length == 0
    else { return nil }
    return outsideMemory + Int(address - outside)
  }

  /// Hardware reaches RAM alone, so software shall.
  static let hostedOperations: vsmmu_ops = {
    var ops = operations
    (ops.mem_read, ops.mem_write) = (nil, nil)
    ops.irq = { _, line in require(line < 5, "an interrupt that does not exist") }
    return ops
  }()

  static let operations: vsmmu_ops = {
    var ops = vsmmu_ops()
    ops.size = UInt32(MemoryLayout<vsmmu_ops>.size)
    ops.mem_read = { _, address, data, length in
      guard let data, let bytes = World.bytes(address, length) else { return -1 }
      data.copyMemory(from: bytes, byteCount: Int(length))
      return 0
    }
    ops.mem_write = { _, address, data, length in
      guard let data, let bytes = World.bytes(address, length) else { return -1 }
      bytes.copyMemory(from: data, byteCount: Int(length))
      return 0
    }
    ops.mem_dirty = { _, address, length in
      require(
        address >= World.ram && length <= UInt64(World.ramSize)
          && address - World.ram <= UInt64(World.ramSize) - length, "dirty memory that is no RAM")
    }
    ops.irq = { _, line in require(line < 4, "an interrupt that does not exist") }
    ops.msi = { _, address, _ in Int32(truncatingIfNeeded: address >> 20 & 1) - 1 }
    ops.invalidate = { _, what in require((what?.pointee.kind ?? 9) <= 5, "an unknown notice") }
    ops.work = { _ in }
    ops.log = { _, _, message in require(message?.pointee ?? 0 != 0, "a log without words") }
    return ops
  }()
}

/// Bytes of the heap that are in use.
@_silgen_name("__sanitizer_get_current_allocated_bytes")
func allocatedBytes() -> Int
