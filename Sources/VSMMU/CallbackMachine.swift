// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUAtomics
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec

/// The machine of a C VMM: its `vsmmu_ops`.
final class CallbackMachine: Machine, NestingListener, DeviceOwner {
  private let ops: vsmmu_ops
  private let opaque: UnsafeMutableRawPointer?
  /// How often each kind of report was made: the 1st, 2nd, 4th, 8th ... are told.
  private let told: UnsafeMutablePointer<Atomic<UInt64>>
  private static var kinds: Int { 8 }
  private static var hostKind: Int { 4 }

  init(_ ops: vsmmu_ops, _ opaque: UnsafeMutableRawPointer?) {
    self.ops = ops
    self.opaque = opaque
    told = .allocate(capacity: Self.kinds)
    for i in 0..<Self.kinds { (told + i).initialize(to: Atomic(0)) }
  }

  deinit { told.deallocate() }

  private var inside: Inside { Inside(self) }
  var isEntered: Bool { inside.isEntered }

  func read(_ address: UInt64, into data: UnsafeMutableRawPointer, count: Int) -> Bool {
    guard let read = ops.mem_read else { return false }
    return inside.run { read(opaque, address, data, UInt64(count)) == 0 }
  }

  func write(_ address: UInt64, from data: UnsafeRawPointer, count: Int) -> Bool {
    guard let write = ops.mem_write else { return false }
    return inside.run { write(opaque, address, data, UInt64(count)) == 0 }
  }

  func wrote(_ address: UInt64, count: UInt64) {
    guard let dirty = ops.mem_dirty else { return }
    inside.run { dirty(opaque, address, count) }
  }

  func pulse(_ line: InterruptLine) {
    guard let irq = ops.irq else { return }
    inside.run { irq(opaque, UInt32(line.rawValue)) }
  }

  func signal(_ address: UInt64, _ data: UInt32) -> Bool {
    if let msi = ops.msi { return inside.run { msi(opaque, address, data) == 0 } }
    var word = data.littleEndian
    return withUnsafeBytes(of: &word) { write(address, from: $0.baseAddress!, count: 4) }
  }

  var keepsCopies: Bool { ops.invalidate != nil }

  func notify(stale what: Staleness, generation: UInt64) {
    guard let invalidate = ops.invalidate else { return }
    var notice = vsmmu_invalidation(what)
    notice.generation = generation
    inside.run { invalidate(opaque, &notice) }
  }

  var resumesCommands: Bool { ops.work != nil }

  func commandsLeft() {
    guard let work = ops.work else { return }
    inside.run { work(opaque) }
  }

  /// What the host says is told more often than what a guest does wrong: the first 16 times, then
  /// thinned out alike.
  func hostSays(_ sentence: Sentence) {
    guard let log = ops.log else { return }
    let times = told[Self.hostKind].wrappingAdd(1, ordering: .relaxed).newValue
    guard times <= 16 || times & (times - 1) == 0 else { return }
    sentence.withCString { line in inside.run { log(opaque, VSMMU_LOG_HOST, line) } }
  }

  // MARK: Devices that the VMM attaches

  var attachesDevices: Bool { ops.attach != nil }

  func attach(_ device: UInt32, to hwpt: UInt32) throws(Errno) {
    guard let attach = ops.attach else { throw .enosys }
    try Self.check(inside.run { attach(opaque, device, hwpt) })
  }

  func detach(_ device: UInt32) throws(Errno) {
    guard let detach = ops.detach else { throw .enosys }
    try Self.check(inside.run { detach(opaque, device) })
  }

  /// Anything but 0 and an errno of Linux is no answer.
  private static func check(_ result: Int32) throws(Errno) {
    if result == 0 { return }
    throw result < 0 && result >= -4095 ? Errno(code: 0 &- result) : .eio
  }

  func directQueueFailed() {
    guard let irq = ops.irq else { return }
    inside.run { irq(opaque, VSMMU_IRQ_DIRECT) }
  }

  func report(_ what: Report) {
    guard let log = ops.log else { return }
    let times = told[what.kind].wrappingAdd(1, ordering: .relaxed).newValue
    guard times & (times - 1) == 0 else { return }
    Sentence.onStack { sentence in
      what.tell(&sentence)
      if times > 1 {
        sentence.append(" (")
        sentence.append(times)
        sentence.append(" times)")
      }
      sentence.withCString { line in inside.run { log(opaque, what.blame, line) } }
    }
  }
}

extension vsmmu_invalidation {
  init(_ what: Staleness) {
    self.init()
    size = UInt32(MemoryLayout<vsmmu_invalidation>.size)
    last = .max
    switch what {
    case .configuration(let first, let last):
      kind = VSMMU_INVALIDATE_STREAMS
      address = UInt64(first)
      self.last = UInt64(last)
    case .translations(.everything), .translations(.nothing):
      kind = VSMMU_INVALIDATE_ALL
    case .translations(.stage1(let vmid)), .translations(.vmid(let vmid)):
      kind = VSMMU_INVALIDATE_VMID
      self.vmid = UInt32(vmid)
    case .translations(.asid(let vmid, let asid)):
      kind = VSMMU_INVALIDATE_ASID
      self.vmid = UInt32(vmid)
      self.asid = UInt32(asid)
    case .translations(.address(let vmid, _, let range)):
      // Global translations go whatever the ASID, and only the TLB knows which they are.
      kind = VSMMU_INVALIDATE_RANGE
      self.vmid = UInt32(vmid)
      address = range.first
      last = range.last
    case .translations(.intermediate(let vmid, let range)):
      kind = VSMMU_INVALIDATE_IPA_RANGE
      self.vmid = UInt32(vmid)
      address = range.first
      last = range.last
    }
  }
}

extension Report {
  fileprivate var kind: Int {
    switch self {
    case .illegalCommand, .commandAbort: 0
    case .eventsDropped: 1
    case .eventQueueAbort: 2
    case .messageAbort: 3
    case .accessOverdue: 5
    case .accessNotOpen: 6
    case .illegalSTE: 7
    }
  }

  fileprivate var blame: UInt32 {
    switch self {
    case .illegalCommand, .commandAbort, .eventsDropped, .eventQueueAbort, .messageAbort,
      .illegalSTE:
      VSMMU_LOG_GUEST
    case .accessOverdue, .accessNotOpen: VSMMU_LOG_CALLER
    }
  }

  fileprivate func tell(_ text: inout Sentence) {
    switch self {
    case .illegalCommand(let violation, let opcode, let slot):
      text.append("the command queue stopped at an illegal command, opcode ")
      text.append(hex: UInt64(opcode))
      text.append(" in slot ")
      text.append(UInt64(slot))
      text.append(violation)
    case .commandAbort(let slot):
      text.append("the command queue stopped: slot ")
      text.append(UInt64(slot))
      text.append(" could not be read")
    case .illegalSTE(let violation, let stream):
      text.append("the STE of stream ")
      text.append(UInt64(stream))
      text.append(", an assigned device's, is illegal, and its DMA aborts without an event")
      text.append(violation)
    case .eventsDropped:
      text.append("an event was lost: the event queue is full or off")
    case .eventQueueAbort:
      text.append("an event was lost: the event queue could not be written")
    case .messageAbort(let address):
      text.append("an MSI could not be written to ")
      text.append(hex: address)
    case .accessOverdue(let slot, let count, let milliseconds, let thread):
      text.append("the guest waits since ")
      text.append(milliseconds)
      text.append(" ms for an access that was not ended: slot ")
      text.append(UInt64(slot))
      text.append(" counts ")
      text.append(count)
      text.append(thread: thread)
    case .accessNotOpen(let thread):
      text.append("vsmmu_access_end was given a token of no open access")
      text.append(thread: thread)
    }
  }
}

extension Sentence {
  /// Which field is wrong, and where that is said.
  fileprivate mutating func append(_ violation: Violation) {
    append(": ")
    append(violation.field.name)
    append(" is ")
    append(hex: violation.value)
    append(", ")
    append(violation.clause)
  }

  /// Who began an access, if that is known.
  fileprivate mutating func append(thread: UInt32) {
    guard thread != 0 else { return }
    append(", begun by thread ")
    append(UInt64(thread))
  }
}
