// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport

@testable import SMMUEmulated
@testable import SMMUHost

/// A virtual SMMU on an emulated host, with RAM, and failures to order between them.
final class VirtualBench {
  let emulated: EmulatedHost
  let injector: FailureInjector
  let host: Host
  let machine = GuestMachine()
  let listener = Listener()
  private(set) var virtual: VirtualSMMU!

  /// What the host said.
  final class Listener: NestingListener {
    private(set) var said: [String] = []
    func hostSays(_ sentence: Sentence) { said.append(sentence.text) }
    func directQueueFailed() {}
  }

  static let streamTable = GuestMachine.ramBase
  static let contexts = GuestMachine.ramBase + 0x1_0000

  init(
    _ asked: Features = .linux, _ configuration: EmulatedConfiguration = EmulatedConfiguration(),
    domain: Domain = .own(addressSpace: nil)
  ) throws(Refusal) {
    emulated = EmulatedHost.make(configuration)!
    injector = FailureInjector.make(before: emulated)!
    var knowledge = Host.Knowledge()
    knowledge.requests = VMLink.Requests(
      pin: emulated.pinRequest, unpin: emulated.unpinRequest)
    host = try Host.open(injector, fd: nil, knowing: knowledge)
    virtual = try VirtualSMMU.make(asked, options: Options(), machine: machine, listener: listener)
    try virtual.join(host, domain: domain)
    try virtual.addMemory(GuestMachine.ramBase, length: machine.ramSize, host: machine.host)
  }

  deinit {
    virtual?.leave()
    emulated.shutDown()
  }

  // MARK: Calls

  func attach(_ stream: StreamID, device: Int = 0) throws(Refusal) {
    let path = ContiguousArray("/dev/vfio/devices/vfio\(device)".utf8CString)
    // withUnsafeBufferPointer passes no typed errors on.
    var refusal: Refusal?
    path.withUnsafeBufferPointer { path in
      do throws(Refusal) { try virtual.attach(.path(path.baseAddress!), as: stream) } catch {
        refusal = error
      }
    }
    if let refusal { throw refusal }
  }

  func refusal(_ body: () throws(Refusal) -> Void) -> Refusal? {
    do throws(Refusal) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  func fail(_ request: UInt32, nth: UInt32 = 1, times: UInt32 = 1, _ error: Errno = .enomem) {
    _ = injector.add(
      FailureRule(.control, request: request, nth: nth, times: times, effect: .error(error)))
  }

  func makeVM() throws(Errno) -> Int32 {
    let kvm = try emulated.open("/dev/kvm")
    let vm = Int32(try emulated.control(kvm, request: KVM_REQUEST_CREATE_VM.number, argument: nil))
    try emulated.close(kvm)
    return vm
  }

  // MARK: The guest

  func write(_ offset: UInt64, _ value: UInt64, width: Int = 4) {
    virtual.smmu.writeRegister(at: offset, width: width, value: value)
  }

  /// STRTAB_BASE, 2^8 entries.
  func start() {
    write(0x80, Self.streamTable, width: 8)
    write(0x88, 8)
    enable(true)
  }

  /// CR0.SMMUEN: what all streams become.
  func enable(_ on: Bool) { write(0x20, on ? 1 : 0) }

  func setSTE(_ stream: StreamID, _ word: UInt64) {
    machine[Self.streamTable + UInt64(stream) * 64] = word
  }

  /// Stage 1 with the context in that place.
  static func stage1(_ number: UInt64) -> UInt64 { 1 | 5 << 1 | (contexts + number * 64) }
  static let bypass: UInt64 = 1 | 4 << 1

  func state(of stream: StreamID) -> DeviceState? {
    virtual.streams.index(of: stream).map { virtual.streams.assigned[$0].state }
  }

  /// All that a failure must leave as it was.
  var snapshot: Snapshot {
    let now = emulated.counters
    return Snapshot(
      features: virtual.smmu.features, streams: virtual.streams.assigned.map(\.stream),
      devices: virtual.currentReport.devices.count, objects: now.objects, files: now.files,
      pins: now.pins)
  }

  struct Snapshot: Equatable {
    let features: Features
    let streams: [StreamID?]
    let devices: Int
    let objects: Int
    let files: Int
    let pins: Int
  }
}

/// A StreamID, in expectations.
extension DeviceName: ExpressibleByIntegerLiteral {
  public init(integerLiteral stream: UInt32) { self = .stream(stream) }
}
