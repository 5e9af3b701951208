// SPDX-License-Identifier: MIT
// Section 1 of vsmmuv3_emulated.h.
import CSupport
import CVSMMU
import SMMUBase
import SMMUEmulated
import SMMUModel
import SMMUSpec
import VSMMUShared

@implementation @_cdecl("vsmmu_emulated_api_version")
public func vsmmu_emulated_api_version() -> UInt32 { VSMMU_API_MAJOR << 16 | VSMMU_API_MINOR }

@implementation @_cdecl("vsmmu_emulated_create")
public func vsmmu_emulated_create(
  _ config: UnsafePointer<vsmmu_emulated_config>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ message: UnsafeMutablePointer<CChar>?, _ message_size: Int
) -> Int32 {
  do throws(Refusal) {
    guard let out else { throw .invalid("out is NULL") }
    out.pointee = try reserving(try needed(by: config), orThrow: .noMemory) {
      () throws(Refusal) in
      let configuration = try EmulatedConfiguration(config)
      guard let host = EmulatedHost.make(configuration),
        let injector = FailureInjector.make(before: host)
      else { throw Refusal(vsmmu_support_enomem, Sentence("no memory for an emulated host")) }
      let handle = EmulatedHandle(host, injector)
      return OpaquePointer(Unmanaged.passRetained(handle).toOpaque())
    }
    Sentence().copy(to: message, message_size)
    return 0
  } catch {
    error.sentence.copy(to: message, message_size)
    return error.code
  }
}

@implementation @_cdecl("vsmmu_emulated_destroy")
public func vsmmu_emulated_destroy(_ emulated: OpaquePointer?) {
  guard let emulated else { return }
  let handle = Unmanaged<EmulatedHandle>.fromOpaque(UnsafeRawPointer(emulated))
  handle._withUnsafeGuaranteedRef { $0.host.shutDown() }
  handle.release()
}

extension Need {
  /// An SMMU or a device, but for what `PhysicalSMMU` reserves by itself.
  fileprivate static var part: Int { 1 << 10 }
}

/// What all but the SMMUs takes.
private func needed(
  by config: UnsafePointer<vsmmu_emulated_config>?
) throws(Refusal) -> Int {
  var copy = vsmmu_emulated_config()
  if config != nil { try copyIn(config, named: "config", least: 8, into: &copy) }
  let parts = Int(copy.smmu_count) + Int(copy.device_count) + Int(copy.cpus)
  return Need.call + min(parts, 1 << 13) * Need.part
}

extension EmulatedConfiguration {
  /// NULL is all defaults.
  fileprivate init(_ config: UnsafePointer<vsmmu_emulated_config>?) throws(Refusal) {
    self.init()
    guard let config else { return }
    var copy = vsmmu_emulated_config()
    try copyIn(config, named: "config", least: 8, into: &copy)
    guard let version = EmulatedKernelVersion(rawValue: copy.kernel) else {
      throw .invalid("config.kernel is no VSMMU_EMULATED_LINUX_*")
    }
    self.version = version
    if copy.smmu_count > 0 { smmus = try Self.smmus(copy) }
    if copy.device_count > 0 { devices = try Self.devices(copy) }
    if copy.cpus > 0 { cpus = Int(copy.cpus) }
    if copy.vmid_bits > 0 { vmidBits = Int(copy.vmid_bits) }
    pinLimit = Int(copy.pin_limit)
    guard copy.reserved == 0 else { throw .invalid("config.reserved is not 0") }
    if let refusal { throw .invalid(refusal) }
  }

  private static var mostSMMUs: UInt32 { 64 }
  private static var mostDevices: UInt32 { 4096 }

  private static func smmus(
    _ config: vsmmu_emulated_config
  ) throws(Refusal) -> [PhysicalConfiguration] {
    guard config.smmu_count <= mostSMMUs else { throw .invalid("config.smmu_count is above 64") }
    var place = UnsafeRawPointer(config.smmus)
    var smmus: [PhysicalConfiguration] = []
    for _ in 0..<config.smmu_count {
      var copy = vsmmu_emulated_smmu()
      try next(&place, named: "config.smmus", into: &copy)
      var smmu = PhysicalConfiguration()
      smmu.flags = PhysicalConfiguration.Flags(rawValue: copy.flags)
      smmu.extraIDR0 = copy.extra_idr0
      smmu.extraIDR3 = copy.extra_idr3
      if copy.features != nil {
        guard try smmu.features.apply(copy.features).isEmpty else {
          throw .invalid("features: auto is for a guest's SMMU, which a host's decides")
        }
      }
      smmus.append(smmu)
    }
    return smmus
  }

  private static func devices(_ config: vsmmu_emulated_config) throws(Refusal) -> [Device] {
    guard config.device_count <= mostDevices else {
      throw .invalid("config.device_count is above 4096")
    }
    var place = UnsafeRawPointer(config.devices)
    var devices: [Device] = []
    for _ in 0..<config.device_count {
      var copy = vsmmu_emulated_device()
      try next(&place, named: "config.devices", into: &copy)
      devices.append(
        Device(
          smmu: Int(copy.smmu), stream: copy.stream, pasidBits: Int(copy.pasid_bits),
          flags: Device.Flags(rawValue: copy.flags), barBits: Int(copy.bar_bits)))
    }
    return devices
  }

  /// An element of a caller's array, whose own size says where the next one is.
  private static func next<T>(
    _ place: inout UnsafeRawPointer?, named name: StaticString, into copy: inout T
  ) throws(Refusal) {
    try copyIn(place?.assumingMemoryBound(to: T.self), named: name, least: 8, into: &copy)
    guard let element = place else { return }
    let size = Int(element.load(as: UInt32.self))
    guard size % MemoryLayout<T>.alignment == 0 else {
      throw .invalid("the size of an element would misalign the next one")
    }
    place = element + size
  }
}
