// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec

/// What an emulated host consists of.
public struct EmulatedConfiguration {
  /// A DMA engine with one StreamID at one SMMU.
  public struct Device {
    /// Its index.
    public var smmu: Int
    public var stream: StreamID
    public var pasidBits: Int
    public var flags: Flags
    /// Of the addresses in its BAR.
    public var barBits: Int

    /// VSMMU_EMULATED_ATS and so on, with their bits.
    public struct Flags: OptionSet, Sendable {
      public let rawValue: UInt32

      public init(rawValue: UInt32) { self.rawValue = rawValue }

      public static var ats: Flags { Flags(rawValue: 1) }
      public static var silent: Flags { Flags(rawValue: 2) }
      public static var all: Flags { Flags(rawValue: 3) }
    }

    /// `barBits` 0: as many as most have.
    public init(
      smmu: Int, stream: StreamID, pasidBits: Int = 0, flags: Flags = [], barBits: Int = 0
    ) {
      self.smmu = smmu
      self.stream = stream
      self.pasidBits = pasidBits
      self.flags = flags
      self.barBits = barBits == 0 ? 16 : barBits
    }
  }

  public var version = EmulatedKernelVersion.linux73
  public var smmus = [PhysicalConfiguration()]
  public var devices = [Device(smmu: 0, stream: 8), Device(smmu: 0, stream: 16)]
  public var cpus = 4
  public var vmidBits = 16
  /// VMIDs that may be pinned; 0 = as many as the hardware allows.
  public var pinLimit = 0

  /// Not in the code of other targets, which would have the tables of ID registers with it.
  @inline(never)
  public init() {}

  /// What is wrong with it.
  public var refusal: StaticString? {
    if smmus.isEmpty { return "there is no SMMU" }
    if !(1...1024).contains(cpus) { return "config.cpus is not in 1...1024" }
    if vmidBits != 8 && vmidBits != 16 { return "config.vmid_bits is neither 8 nor 16" }
    if pinLimit < 0 { return "config.pin_limit is negative" }
    for smmu in smmus where !smmu.flags.isSubset(of: .all) {
      return "smmu.flags has a bit set that this library does not know"
    }
    for smmu in smmus {
      if let refusal = Self.refusal(of: smmu.features) { return refusal }
    }
    for i in devices.indices {
      if let refusal = refusal(of: devices[i], after: devices[..<i]) { return refusal }
    }
    return nil
  }

  /// An SMMU that Linux on arm64, little-endian and with pages of 4 KiB, cannot drive.
  private static func refusal(of features: Features) -> StaticString? {
    // A batch of 64 commands and its CMD_SYNC have to fit.
    guard features.commandQueueBits > 6 else {
      return "smmu.features has IDR1.CMDQS below 7, and Linux needs more than 64 commands"
    }
    guard features.endianness != 3 else {
      return "smmu.features has IDR0.TTENDIAN = 3, and the kernel's tables are little-endian"
    }
    guard features.supports(.size4K) else {
      return "smmu.features has IDR5.GRAN4K = 0, and the kernel's pages have 4 KiB"
    }
    return nil
  }

  private func refusal(of device: Device, after others: ArraySlice<Device>) -> StaticString? {
    guard smmus.indices.contains(device.smmu) else { return "device.smmu is no SMMU's index" }
    let bits = smmus[device.smmu].features.streamIDBits
    guard UInt64(device.stream) <= UInt64.ones(bits) else {
      return "device.stream is wider than the SMMU's IDR1.SIDSIZE"
    }
    // Linux's stream table reaches no further.
    guard device.stream >> 25 == 0 else { return "device.stream is not below 2^25" }
    guard (0...20).contains(device.pasidBits) else { return "device.pasid_bits is more than 20" }
    guard device.flags.isSubset(of: .all) else {
      return "device.flags has a bit set that this library does not know"
    }
    guard (12...32).contains(device.barBits) else { return "device.bar_bits is not in 12...32" }
    for other in others where other.smmu == device.smmu && other.stream == device.stream {
      return "two devices have the same StreamID at one SMMU"
    }
    return nil
  }
}
