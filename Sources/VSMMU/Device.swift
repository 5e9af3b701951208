// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUAtomics
import SMMUBase
import SMMUHost
import SMMUModel
import SMMUSpec
import VSMMUShared

/// What a `vsmmu_t *` points to: the device, and beside it what answers most accesses.
struct DeviceHandle {
  let micro: MicroTLB
  fileprivate let device: Unmanaged<Device>

  /// Takes the device over.
  static func make(_ device: Device) -> OpaquePointer {
    let handle = UnsafeMutablePointer<DeviceHandle>.allocate(capacity: 1)
    let kept = Unmanaged.passRetained(device)
    handle.initialize(to: DeviceHandle(micro: device.smmu.micro, device: kept))
    return OpaquePointer(handle)
  }

  /// Lets go of device and handle.
  static func destroy(_ handle: OpaquePointer) {
    let handle = UnsafeMutablePointer<DeviceHandle>(handle)
    handle.pointee.device.release()
    handle.deallocate()
  }
}

/// An SMMU, the lock that serialises its registers, and the sentence about the last refusal.
final class Device {
  let smmu: SMMU
  let machine: CallbackMachine
  let streams: StreamDirectory
  /// With a host: the half of the device that lives in its kernel.
  var hostSide: HostSMMU?
  var hostHandle: HostHandle?
  var eventThread: EventThread?
  /// What the caller asked the ID registers to be, and what they became with which hosts.
  let asked: Features
  var hosts: [AssignedHost] = []
  var report: NegotiationReport?
  /// The guest may have seen the ID registers.
  var isFrozen = false
  private let mutex: Mutex
  /// Guards the sentence alone: a thread inside an access may be refused while a serial call waits
  /// for that access.
  private let refusalMutex: Mutex
  private var refusal = Sentence()

  /// Not an initialiser that throws: Embedded Swift 6.3 does not free the object that one leaves.
  static func make(
    _ config: vsmmu_config, _ ops: vsmmu_ops, _ opaque: UnsafeMutableRawPointer?
  ) throws(Refusal) -> Device {
    guard ops.reserved == 0 else { throw .invalid("ops.reserved is not 0") }
    guard config.host != nil || config.ioas == 0 else {
      throw .invalid("config.ioas is an address space of config.host, which is NULL")
    }
    let features = try features(config)
    let options = try options(config)
    guard options.hasWiredInterrupts || features.msi else {
      throw .invalid("config.flags has VSMMU_NO_WIRED_IRQ, but IDR0.MSI is 0: no interrupt is left")
    }
    let caches = options.tlbEntries * 32 + options.configurationEntries * 192
    let noMemory = Refusal(
      vsmmu_support_enomem,
      Sentence("no memory for config.tlb_entries and config.configuration_entries"))
    let device = try reserving(caches + Need.device, orThrow: noMemory) {
      () throws(Refusal) in try make(features, options, CallbackMachine(ops, opaque))
    }
    if let handle = config.host { try device.join(handle, addressSpace: config.ioas) }
    return device
  }

  private static func make(
    _ features: Features, _ options: Options, _ machine: CallbackMachine
  ) throws(Refusal) -> Device {
    let mutexes = [Mutex(), Mutex(), Mutex()].compactMap { $0 }
    guard mutexes.count == 3 else {
      for mutex in mutexes { mutex.destroy() }
      throw Refusal(vsmmu_support_enomem, Sentence("no memory for a lock"))
    }
    return Device(features, options, machine, mutexes)
  }

  private init(
    _ features: Features, _ options: Options, _ machine: CallbackMachine, _ mutexes: [Mutex]
  ) {
    mutex = mutexes[0]
    refusalMutex = mutexes[1]
    streams = StreamDirectory(mutexes[2])
    self.machine = machine
    asked = features
    smmu = SMMU(features, options, machine: machine)
  }

  deinit {
    leaveHost()
    mutex.destroy()
    refusalMutex.destroy()
  }

  private static func features(_ config: vsmmu_config) throws(Refusal) -> Features {
    var features: Features
    switch config.profile {
    case VSMMU_PROFILE_FULL: features = .full
    case VSMMU_PROFILE_LINUX: features = .linux
    default: throw .invalid("config.profile is no VSMMU_PROFILE_*")
    }
    try features.apply(config.features)
    return features
  }

  private static func options(_ config: vsmmu_config) throws(Refusal) -> Options {
    let known =
      VSMMU_STRICT_PAGES | VSMMU_STRICT_COMMANDS | VSMMU_QUIRK_TLBI_EL2 | VSMMU_RESET_ABORTS
      | VSMMU_NO_WIRED_IRQ | VSMMU_CHECK_ACCESSES
    guard config.flags & ~known == 0 else {
      throw .invalid("config.flags has a bit set that this library does not know")
    }
    guard config.tlb_entries <= 1 << 20 else {
      throw .invalid("config.tlb_entries is more than 2^20")
    }
    guard config.configuration_entries <= 1 << 16 else {
      throw .invalid("config.configuration_entries is more than 2^16")
    }
    var options = Options()
    if config.command_budget != 0 { options.commandBudget = Int(config.command_budget) }
    if config.tlb_entries != 0 { options.tlbEntries = roundedUp(config.tlb_entries) }
    if config.configuration_entries != 0 {
      options.configurationEntries = roundedUp(config.configuration_entries)
    }
    options.strictPages = config.flags & VSMMU_STRICT_PAGES != 0
    options.commandRules.strictReserved = config.flags & VSMMU_STRICT_COMMANDS != 0
    options.commandRules.acceptEL2 = config.flags & VSMMU_QUIRK_TLBI_EL2 != 0
    options.resetAborts = config.flags & VSMMU_RESET_ABORTS != 0
    options.hasWiredInterrupts = config.flags & VSMMU_NO_WIRED_IRQ == 0
    options.checksAccesses = config.flags & VSMMU_CHECK_ACCESSES != 0
    if config.access_patience != 0 { options.accessPatience = config.access_patience }
    return options
  }

  /// The caches have at least one set of four.
  private static func roundedUp(_ entries: UInt32) -> Int {
    var size = 4
    while size < Int(entries) { size *= 2 }
    return size
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

/// Uses the device of a handle without counting references: on the translate path that would make
/// threads fight for a cache line.
@inline(__always)
func with<R>(_ handle: OpaquePointer, _ body: (Device) -> R) -> R {
  UnsafePointer<DeviceHandle>(handle).pointee.device._withUnsafeGuaranteedRef(body)
}

/// Runs a serial call on a handle that may be NULL.
func serially(_ handle: OpaquePointer?, _ body: (Device) throws(Refusal) -> Int64) -> Int64 {
  guard let handle else { return Int64(vsmmu_support_einval) }
  return with(handle) { device in device.serially { () throws(Refusal) in try body(device) } }
}

/// The same for calls without a result of their own.
func serially(_ handle: OpaquePointer?, _ body: (Device) throws(Refusal) -> Void) -> Int32 {
  Int32(
    truncatingIfNeeded: serially(handle) { (device) throws(Refusal) -> Int64 in
      try body(device)
      return 0
    })
}
