// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUAtomics
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

/// What a `vsmmu_t *` points to: the instance, and beside it what answers most accesses.
struct InstanceHandle {
  let micro: MicroTLB
  /// The instance's, which lives as long.
  private let translator: Unmanaged<Translator>
  fileprivate let instance: Unmanaged<Instance>

  /// Takes the instance over.
  static func make(_ instance: Instance) -> OpaquePointer {
    let handle = UnsafeMutablePointer<InstanceHandle>.allocate(capacity: 1)
    let kept = Unmanaged.passRetained(instance)
    handle.initialize(
      to: InstanceHandle(
        micro: instance.smmu.micro, translator: Unmanaged.passUnretained(instance.smmu.translator),
        instance: kept))
    return OpaquePointer(handle)
  }

  @inline(__always)
  func translateKnown(_ access: Access) -> Translation {
    translator._withUnsafeGuaranteedRef { translator in
      translator.translateKnown(
        access, unless: instance._withUnsafeGuaranteedRef { Inside($0.machine).isEntered })
    }
  }

  /// Lets go of instance and handle.
  static func destroy(_ handle: OpaquePointer) {
    let handle = UnsafeMutablePointer<InstanceHandle>(handle)
    // Inside a call it holds the instance, which would go with it, and later than here.
    handle.pointee.instance._withUnsafeGuaranteedRef { $0.stopEventThread() }
    handle.pointee.instance.release()
    handle.deallocate()
  }
}

/// A virtual SMMU behind the C functions, the lock that serialises them, and the sentence about the
/// last refusal.
final class Instance {
  let virtual: VirtualSMMU
  /// The model of `virtual`, for translations.
  let smmu: SMMU
  let machine: CallbackMachine
  var eventThread: EventThread?
  /// VSMMU_SHARED_VMID.
  let sharesVMID: Bool
  private let mutex: Mutex
  /// Guards the sentence alone: a thread inside an access may be refused while a serial call waits
  /// for that access.
  private let refusalMutex: Mutex
  private var refusal = Sentence()

  /// Not an initialiser that throws: Embedded Swift 6.3 does not free the object that one leaves.
  static func make(
    _ config: vsmmu_config, ops: vsmmu_ops, opaque: UnsafeMutableRawPointer?
  ) throws(Refusal) -> Instance {
    guard ops.reserved == 0 else { throw .invalid("ops.reserved is not 0") }
    guard (ops.attach == nil) == (ops.detach == nil) else {
      throw .invalid("ops.attach and ops.detach go together")
    }
    let place = try config.checkedHost
    let (features, automatic) = try config.checkedFeatures
    let options = try config.checkedOptions
    guard options.hasWiredInterrupts || features.msi else {
      throw .invalid("config.flags has VSMMU_NO_WIRED_IRQ, but IDR0.MSI is 0: no interrupt is left")
    }
    let caches = options.tlbEntries * 32 + options.configurationEntries * 128
    let noMemory = Refusal(
      .enomem, "no memory for config.tlb_entries and config.configuration_entries")
    let instance = try reserving(caches + Need.instance, orThrow: noMemory) {
      () throws(Refusal) in
      try make(
        features, automatic: automatic, options: options, machine: CallbackMachine(ops, opaque),
        sharesVMID: config.flags & VSMMU_SHARED_VMID != 0)
    }
    instance.virtual.closesFailedStreams = config.flags & VSMMU_FAILED_STREAMS_ABORT != 0
    instance.virtual.asksDirectQueues = config.flags & VSMMU_DIRECT_QUEUES != 0
    try place?.join(instance.virtual, sharesVMID: instance.sharesVMID)
    return instance
  }

  private static func make(
    _ features: Features, automatic: AutomaticFields, options: Options, machine: CallbackMachine,
    sharesVMID: Bool
  ) throws(Refusal) -> Instance {
    let virtual = try VirtualSMMU.make(
      features, automatic: automatic, options: options, machine: machine, listener: machine,
      owner: machine.attachesDevices ? machine : nil)
    let mutexes = [Mutex(), Mutex()].compactMap { $0 }
    guard mutexes.count == 2 else {
      for mutex in mutexes { mutex.destroy() }
      throw Refusal(.enomem, "no memory for a lock")
    }
    return Instance(virtual, machine: machine, sharesVMID: sharesVMID, mutexes: mutexes)
  }

  private init(
    _ virtual: VirtualSMMU, machine: CallbackMachine, sharesVMID: Bool, mutexes: [Mutex]
  ) {
    self.sharesVMID = sharesVMID
    self.virtual = virtual
    smmu = virtual.smmu
    self.machine = machine
    mutex = mutexes[0]
    refusalMutex = mutexes[1]
  }

  func stopEventThread() {
    eventThread?.stop()
    eventThread = nil
  }

  deinit {
    virtual.leave()
    mutex.destroy()
    refusalMutex.destroy()
  }

  /// Runs a call alone; a refusal is kept as the sentence to ask for.
  func serially(_ body: () throws(Refusal) -> Int64) -> Int64 {
    let inside = Inside(machine)
    guard !inside.isEntered else { return Int64(refuse(Inside.refusal)) }
    return inside.run {
      mutex.locked {
        do throws(Refusal) {
          return try body()
        } catch {
          return Int64(refuse(error))
        }
      }
    }
  }

  /// Keeps the sentence of a refusal.
  @inline(never)
  func refuse(_ refusal: Refusal) -> Int32 {
    refusalMutex.locked { self.refusal = refusal.sentence }
    return refusal.code
  }

  func copyRefusal(to buffer: UnsafeMutablePointer<CChar>?, _ size: Int) -> Int32 {
    refusalMutex.locked {
      refusal.copy(to: buffer, size)
      return Int32(refusal.count)
    }
  }
}

/// Uses the instance of a handle without counting references: on the translate path that would make
/// threads fight for a cache line.
@inline(__always)
func with<R>(_ handle: OpaquePointer, _ body: (Instance) -> R) -> R {
  UnsafePointer<InstanceHandle>(handle).pointee.instance._withUnsafeGuaranteedRef(body)
}

/// Runs a serial call on a handle that may be NULL.
func serially(_ handle: OpaquePointer?, _ body: (Instance) throws(Refusal) -> Int64) -> Int64 {
  guard let handle else { return Int64(vsmmu_support_einval) }
  return with(handle) { instance in instance.serially { () throws(Refusal) in try body(instance) } }
}

/// The same for calls that are -ENODEV without a host.
func onHost(
  _ vsmmu: OpaquePointer?, _ body: (Instance, Nesting) throws(Refusal) -> Int32
) -> Int32 {
  Int32(
    truncatingIfNeeded: serially(vsmmu) { (instance) throws(Refusal) -> Int64 in
      Int64(try body(instance, try instance.virtual.requireNesting(or: .enodev)))
    })
}

/// The same for calls without a result of their own.
func serially(_ handle: OpaquePointer?, _ body: (Instance) throws(Refusal) -> Void) -> Int32 {
  Int32(
    truncatingIfNeeded: serially(handle) { (instance) throws(Refusal) -> Int64 in
      try body(instance)
      return 0
    })
}
