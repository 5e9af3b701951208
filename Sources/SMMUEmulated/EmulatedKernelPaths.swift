// SPDX-License-Identifier: MIT
import SMMUBase

/// Making the host, and opening what it has.
extension EmulatedKernelState {
  static func make(_ configuration: EmulatedConfiguration) -> EmulatedKernelState? {
    let hypervisor = Hypervisor(
      cpus: configuration.cpus, vmidBits: configuration.vmidBits,
      pinLimit: configuration.pinLimit, isLinked: configuration.version == .linked)
    var smmus: [PhysicalSMMU] = []
    for smmu in configuration.smmus {
      guard let smmu = PhysicalSMMU.make(smmu, hypervisor) else { return nil }
      smmus.append(smmu)
    }
    var devices: [EmulatedDevice] = []
    for device in configuration.devices {
      guard smmus[device.smmu].makeRoom(for: device.stream) else { return nil }
      devices.append(
        EmulatedDevice(
          smmus[device.smmu], stream: device.stream, pasidBits: device.pasidBits,
          bar: EmulatedBAR(bytes: 1 << UInt64(device.barBits))))
    }
    return EmulatedKernelState(
      configuration.version, hypervisor: hypervisor, smmus: smmus, devices: devices)
  }

  func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    if Self.rest(of: path, after: "/dev/iommu")?.pointee == 0 {
      return try descriptors.install(IOMMUFDFile(self))
    }
    if Self.rest(of: path, after: "/dev/kvm")?.pointee == 0 {
      return try descriptors.install(KVMFile(hypervisor))
    }
    guard let number = Self.rest(of: path, after: "/dev/vfio/devices/vfio"),
      let index = Self.number(number), index < devices.count
    else { throw .enoent }
    return try descriptors.install(VFIODeviceFile(self, devices[index]))
  }

  private static func rest(
    of path: UnsafePointer<CChar>, after prefix: StaticString
  ) -> UnsafePointer<CChar>? {
    prefix.withUTF8Buffer { buffer in
      for i in 0..<buffer.count where UInt8(bitPattern: path[i]) != buffer[i] { return nil }
      return path + buffer.count
    }
  }

  /// Decimal, without leading zeros, below a million.
  private static func number(_ text: UnsafePointer<CChar>) -> Int? {
    var value = 0
    var length = 0
    while text[length] != 0 {
      let digit = Int(text[length]) - 0x30
      guard (0...9).contains(digit), length < 6, !(length == 1 && value == 0) else { return nil }
      value = value * 10 + digit
      length += 1
    }
    return length > 0 ? value : nil
  }
}
