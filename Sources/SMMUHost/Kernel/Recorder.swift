// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUBase

/// Stands before a kernel, counts its calls and tells each as a line in the style of strace.
public final class Recorder: Kernel {
  private let kernel: any Kernel
  private let tell: ((Sentence) -> Void)?
  private let mutex: Mutex
  private var calls: [UInt64]
  private var requests: [(request: UInt32, count: UInt64)] = []
  /// More than there are.
  private static var mostRequests: Int { 64 }

  private init(_ kernel: any Kernel, mutex: Mutex, tell: ((Sentence) -> Void)?) {
    self.kernel = kernel
    self.mutex = mutex
    self.tell = tell
    calls = [UInt64](repeating: 0, count: SystemCall.allCases.count)
    requests.reserveCapacity(Self.mostRequests)
  }

  deinit { mutex.destroy() }

  /// `tell` is called after each call, on the thread that made it and without a lock; without it
  /// calls are counted only. nil if there is no memory.
  public static func make(
    before kernel: any Kernel, tell: ((Sentence) -> Void)? = nil
  ) -> Recorder? {
    guard let mutex = Mutex() else { return nil }
    return Recorder(kernel, mutex: mutex, tell: tell)
  }

  // MARK: counters

  /// How often a call was made, failed ones included.
  public func count(of call: SystemCall) -> UInt64 {
    mutex.locked { calls[Int(call.rawValue)] }
  }

  /// How often an ioctl with this request was made.
  public func count(of request: UInt32) -> UInt64 {
    mutex.locked {
      for entry in requests where entry.request == request { return entry.count }
      return 0
    }
  }

  /// All calls.
  public var total: UInt64 {
    mutex.locked {
      var sum: UInt64 = 0
      for count in calls { sum &+= count }
      return sum
    }
  }

  public func resetCounters() {
    mutex.locked {
      for i in calls.indices { calls[i] = 0 }
      requests.removeAll(keepingCapacity: true)
    }
  }

  private func note(_ call: SystemCall) {
    mutex.locked { calls[Int(call.rawValue)] &+= 1 }
  }

  private func note(_ request: UInt32) {
    mutex.locked {
      calls[Int(SystemCall.control.rawValue)] &+= 1
      for i in requests.indices where requests[i].request == request {
        requests[i].count &+= 1
        return
      }
      guard requests.count < Self.mostRequests else { return }
      requests.append((request: request, count: 1))
    }
  }

  /// Bytes of a line and of the texts that it is made of.
  private static var line: Int { 16 * Sentence.mostBytes }
  private static var untold: Sentence { Sentence("a call, and no memory to tell which") }

  private func say(_ line: () -> Sentence) {
    guard let tell else { return }
    guard let reserve = Reserve(bytes: Self.line) else {
      tell(Self.untold)
      return
    }
    tell(reserve.covering(line))
    reserve.giveBack()
  }

  // MARK: calls

  /// Makes a call and tells of it.
  private func told(
    _ call: SystemCall, isAddress: Bool = false, text: () -> CallText,
    calling body: () throws(Errno) -> Int64
  ) throws(Errno) -> Int64 {
    note(call)
    do {
      let value = try body()
      say { text().line(.value(value), isAddress: isAddress) }
      return value
    } catch {
      say { text().line(.error(error)) }
      throw error
    }
  }

  public func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    let fd = try told(
      .open,
      text: {
        var text = CallText("open")
        text.append(path: path)
        text.append(", O_RDWR|O_CLOEXEC")
        return text
      }, calling: { () throws(Errno) in Int64(try kernel.open(path)) })
    return Int32(truncatingIfNeeded: fd)
  }

  public func close(_ fd: Int32) throws(Errno) {
    _ = try told(
      .close, text: { Self.text("close", fd) },
      calling: { () throws(Errno) in
        try kernel.close(fd)
        return 0
      })
  }

  @discardableResult
  public func control(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    note(request)
    guard let tell else { return try kernel.control(fd, request: request, argument: argument) }
    guard let reserve = Reserve(bytes: Self.line) else {
      defer { tell(Self.untold) }
      return try kernel.control(fd, request: request, argument: argument)
    }
    defer { reserve.giveBack() }
    var text = reserve.covering { CallText(fd, request: request, argument: argument) }
    let bytes = CallText.payloadBytes(request, argument)
    func say(_ result: CallResult, failed: Bool) {
      tell(
        reserve.covering {
          text.answer(request, argument: argument, failed: failed, payloadBytes: bytes)
          return text.line(result)
        })
    }
    do {
      let value = try kernel.control(fd, request: request, argument: argument)
      say(.value(value), failed: false)
      return value
    } catch {
      say(.error(error), failed: true)
      throw error
    }
  }

  public func read(
    _ fd: Int32, into data: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) -> Int {
    let length = try told(
      .read, text: { Self.text("read", fd: fd, data: UnsafeRawPointer(data), count: count) },
      calling: { () throws(Errno) in Int64(try kernel.read(fd, into: data, count: count)) })
    return Int(truncatingIfNeeded: length)
  }

  public func write(
    _ fd: Int32, from data: UnsafeRawPointer, count: Int
  ) throws(Errno) -> Int {
    let length = try told(
      .write, text: { Self.text("write", fd: fd, data: data, count: count) },
      calling: { () throws(Errno) in Int64(try kernel.write(fd, from: data, count: count)) })
    return Int(truncatingIfNeeded: length)
  }

  public func poll(_ fd: Int32) throws(Errno) -> Int32 {
    let events = try told(
      .poll, isAddress: true, text: { Self.text("poll", fd) },
      calling: { () throws(Errno) in Int64(try kernel.poll(fd)) })
    return Int32(truncatingIfNeeded: events)
  }

  public func duplicate(_ fd: Int32) throws(Errno) -> Int32 {
    let other = try told(
      .duplicate, text: { Self.text("dup", fd) },
      calling: { () throws(Errno) in Int64(try kernel.duplicate(fd)) })
    return Int32(truncatingIfNeeded: other)
  }

  public func same(_ fd: Int32, _ other: Int32) throws(Errno) -> Bool {
    let answer = try told(
      .same,
      text: {
        var text = Self.text("fcntl", fd)
        text.append(", F_DUPFD_QUERY, ")
        text.append(signed: Int64(other))
        return text
      }, calling: { () throws(Errno) in try kernel.same(fd, other) ? 1 : 0 })
    return answer != 0
  }

  public func map(
    _ fd: Int32, offset: UInt64, length: Int
  ) throws(Errno) -> UnsafeMutableRawPointer {
    var address: UnsafeMutableRawPointer?
    _ = try told(
      .map, isAddress: true,
      text: {
        var text = CallText("mmap")
        text.append("NULL, ")
        text.append(signed: Int64(length))
        text.append(", PROT_READ|PROT_WRITE, MAP_SHARED, ")
        text.append(signed: Int64(fd))
        text.separate()
        text.append(hex: offset)
        return text
      },
      calling: { () throws(Errno) in
        let mapped = try kernel.map(fd, offset: offset, length: length)
        address = mapped
        return Int64(Int(bitPattern: mapped))
      })
    guard let address else { throw .efault }
    return address
  }

  public func unmap(_ address: UnsafeMutableRawPointer, length: Int) {
    note(.unmap)
    kernel.unmap(address, length: length)
    say {
      var text = CallText("munmap")
      text.append(address: UnsafeRawPointer(address))
      text.separate()
      text.append(signed: Int64(length))
      return text.line(.value(0))
    }
  }

  private static func text(_ name: StaticString, _ fd: Int32) -> CallText {
    var text = CallText(name)
    text.append(signed: Int64(fd))
    return text
  }

  private static func text(
    _ name: StaticString, fd: Int32, data: UnsafeRawPointer, count: Int
  ) -> CallText {
    var text = Self.text(name, fd)
    text.separate()
    text.append(address: data)
    text.separate()
    text.append(signed: Int64(count))
    return text
  }
}
