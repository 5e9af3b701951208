// SPDX-License-Identifier: MIT
// A system call as one line of text, in the style of strace.
import SMMUBase

/// What a call came to.
enum CallResult {
  case value(Int64)
  case error(Errno)
}

/// A line in the making. The result is shown whatever the length of what comes before it.
struct CallText {
  private(set) var call = Sentence()
  private var results = Sentence()

  init(_ name: StaticString) {
    call.append(name)
    call.append("(")
  }

  mutating func separate() { call.append(", ") }
  mutating func append(_ text: StaticString) { call.append(text) }
  mutating func append(_ value: UInt64) { call.append(value) }
  mutating func append(hex value: UInt64) { call.append(hex: value) }
  mutating func append(signed value: Int64) { call.append(signed: value) }
  mutating func append(address: UnsafeRawPointer?) { call.append(address: address) }

  /// A path, quoted; at most 64 bytes of it.
  mutating func append(path: UnsafePointer<CChar>) {
    call.append("\"")
    var length = 0
    while length < 64 && path[length] != 0 { length += 1 }
    call.append(path, length)
    call.append(path[length] == 0 ? "\"" : "\"...")
  }

  /// The whole line: " = 3", " = -1 EBUSY" or " = 0x7f..." after the call.
  func line(_ result: CallResult, isAddress: Bool = false) -> Sentence {
    var tail = results
    tail.append(")")
    tail.append(" = ")
    switch result {
    case .value(let value):
      if isAddress {
        tail.append(hex: UInt64(bitPattern: value))
      } else {
        tail.append(signed: value)
      }
    case .error(let error):
      tail.append("-1 ")
      tail.append(error)
    }
    return Self.join(call, tail)
  }

  private static func join(_ head: Sentence, _ tail: Sentence) -> Sentence {
    let capacity = 255
    var line = Sentence()
    if head.count + tail.count <= capacity {
      line.append(head, head.count)
    } else {
      line.append(head, max(0, capacity - tail.count - 3))
      line.append("...")
    }
    line.append(tail, tail.count)
    return line
  }
}

// MARK: - ioctl

extension CallText {
  /// "ioctl(5, IOMMU_IOAS_ALLOC, {flags=0x0" with what the caller filled in.
  init(_ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?) {
    self.init("ioctl")
    append(signed: Int64(fd))
    separate()
    guard let known = ControlRequest.named(request) else {
      append(hex: UInt64(request))
      separate()
      append(address: argument.map { UnsafeRawPointer($0) })
      return
    }
    append(known.name)
    switch known.argument {
    case .none: return
    case .number:
      separate()
      append(UInt64(UInt(bitPattern: argument)))
      return
    case .sized, .fixed: break
    }
    separate()
    guard let structure = RequestStruct(known, argument) else {
      append(address: argument.map { UnsafeRawPointer($0) })
      return
    }
    append("{")
    var count = 0
    for field in known.fields where !field.isOutput {
      call.append(field, of: structure, count: &count)
    }
    if let payload = known.payload, !payload.isOutput {
      call.append(payload, bytes: structure.bytes(of: payload), of: structure, count: &count)
    }
  }

  /// " => out_ioas_id=1}" with what the kernel filled in; `payloadBytes` is how many the caller had
  /// room for.
  mutating func answer(
    _ request: UInt32, argument: UnsafeMutableRawPointer?, failed: Bool, payloadBytes: Int
  ) {
    guard let known = ControlRequest.named(request),
      let structure = RequestStruct(known, argument)
    else { return }
    if !failed || known.answersErrors {
      var count = 0
      var outputs = Sentence()
      for field in known.fields where field.isOutput {
        outputs.append(field, of: structure, count: &count)
      }
      if let payload = known.payload, payload.isOutput {
        let bytes = min(payloadBytes, structure.bytes(of: payload))
        outputs.append(payload, bytes: bytes, of: structure, count: &count)
      }
      if count > 0 {
        results.append(" => ")
        results.append(outputs, outputs.count)
      }
    }
    results.append("}")
  }

  /// Bytes behind the pointer of a request's struct.
  static func payloadBytes(_ request: UInt32, _ argument: UnsafeMutableRawPointer?) -> Int {
    guard let known = ControlRequest.named(request), let payload = known.payload,
      let structure = RequestStruct(known, argument)
    else { return 0 }
    return structure.bytes(of: payload)
  }
}

/// A request's struct in the caller's memory: never read beyond the size that it says it has.
struct RequestStruct {
  private let base: UnsafeMutableRawPointer
  private let size: Int

  init?(_ request: ControlRequest, _ argument: UnsafeMutableRawPointer?) {
    guard let argument, UInt(bitPattern: argument) >= 4096 else { return nil }
    switch request.argument {
    case .sized: size = Int(argument.loadUnaligned(as: UInt32.self))
    case .fixed(let bytes): size = bytes
    case .number, .none: return nil
    }
    base = argument
  }

  /// nil if the struct ends before it.
  func value(_ offset: Int, _ bytes: Int) -> UInt64? {
    guard offset + bytes <= size else { return nil }
    return Self.load(UnsafeRawPointer(base) + offset, bytes)
  }

  static func load(_ pointer: UnsafeRawPointer, _ bytes: Int) -> UInt64 {
    switch bytes {
    case 1: UInt64(pointer.load(as: UInt8.self))
    case 2: UInt64(pointer.loadUnaligned(as: UInt16.self))
    case 4: UInt64(pointer.loadUnaligned(as: UInt32.self))
    default: pointer.loadUnaligned(as: UInt64.self)
    }
  }

  func bytes(of payload: RequestPayload) -> Int {
    let unit = payload.unit != 0 ? UInt64(payload.unit) : value(payload.unitAt, 4) ?? 0
    // Both are 32-bit numbers: the product cannot overflow.
    let bytes = (value(payload.count, 4) ?? 0) &* unit
    return Int(truncatingIfNeeded: min(bytes, 1 << 20))
  }

  func pointer(of payload: RequestPayload) -> UnsafeRawPointer? {
    guard let address = value(payload.pointer, 8), address >= 4096 else { return nil }
    return UnsafeRawPointer(bitPattern: UInt(truncatingIfNeeded: address))
  }
}

// MARK: - pieces

extension Sentence {
  /// At most `length` bytes of another.
  mutating func append(_ other: Sentence, _ length: Int) {
    var copy = self
    other.withCString { copy.append($0, min(length, other.count)) }
    self = copy
  }

  mutating func append(signed value: Int64) {
    if value < 0 { append("-") }
    append(value.magnitude)
  }

  mutating func append(address pointer: UnsafeRawPointer?) {
    guard let pointer else { return append("NULL") }
    append(hex: UInt64(UInt(bitPattern: pointer)))
  }

  /// "name=value", after a comma if it is not the first.
  fileprivate mutating func append(
    _ field: RequestField, of structure: RequestStruct, count: inout Int
  ) {
    guard let value = structure.value(Int(field.offset), Int(field.bytes)) else { return }
    begin(field.name, &count)
    switch field.form {
    case .decimal: append(value)
    case .hex: append(hex: value)
    case .descriptor: append(signed: Int64(Int32(truncatingIfNeeded: value)))
    }
  }

  fileprivate mutating func append(
    _ payload: RequestPayload, bytes: Int, of structure: RequestStruct, count: inout Int
  ) {
    let integers = bytes / payload.integer
    guard integers > 0, let pointer = structure.pointer(of: payload) else { return }
    begin(payload.name, &count)
    append("[")
    for i in 0..<min(integers, 6) {
      if i > 0 { append(", ") }
      append(hex: RequestStruct.load(pointer + i * payload.integer, payload.integer))
    }
    append(integers > 6 ? ", ...]" : "]")
  }

  private mutating func begin(_ name: StaticString, _ count: inout Int) {
    if count > 0 { append(", ") }
    count += 1
    append(name)
    append("=")
  }
}
