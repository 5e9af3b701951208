// SPDX-License-Identifier: MIT
import CVSMMU
import Glibc

/// A guest with assigned devices, and their VMM, on an emulated host whose SMMU has ATS and CMDQ-V
/// and whose kernel fails now and then. Devices 0 to 2 are streams 0 to 2 at first; number 2 does
/// not answer CMD_ATC_INV, and number 3 is at another SMMU.
struct FuzzedHost {
  let emulated: OpaquePointer
  private let host: OpaquePointer
  private let kvm: Int32
  var guest: FuzzedDevice
  /// By device: what names it while it is attached.
  private(set) var names = [UInt64?](repeating: nil, count: 4)
  private var orders: [UInt32] = []
  private var purse = 4
  private var hasLooked = false

  static let silent = 2
  /// That the hardware took from direct queues, in all inputs.
  nonisolated(unsafe) static var directCommands: UInt64 = 0
  static let queues = World.ram + 0x1c000
  private static let barBase: UInt64 = 0x4000_0000

  init?(_ input: inout Input) {
    let choice = input.byte()
    guard let emulated = Self.machine(choice) else { return nil }
    self.emulated = emulated
    kvm = vsmmu_emulated_open(emulated, "/dev/kvm")
    var kernel = vsmmu_kernel()
    kernel.size = UInt32(MemoryLayout<vsmmu_kernel>.size)
    vsmmu_emulated_kernel(emulated, &kernel)
    var config = vsmmu_host_config()
    config.size = UInt32(MemoryLayout<vsmmu_host_config>.size)
    var host: OpaquePointer?
    let opened = withUnsafePointer(to: kernel) { pointer in
      config.kernel = pointer
      return vsmmu_host_open(&config, &host, nil, 0)
    }
    require(opened == 0, "no host")
    self.host = host!
    guard let guest = FuzzedDevice(on: host!, &input) else {
      vsmmu_host_close(host)
      vsmmu_emulated_destroy(emulated)
      return nil
    }
    self.guest = guest
    for device in 0..<Int(choice >> 4 & 3) { attach(device, stream: UInt32(device), flags: 0) }
    self.guest.prepare(input.byte())
    if choice & 0x40 != 0 { startQueues(log2: 4) }
  }

  private static func machine(_ choice: UInt8) -> OpaquePointer? {
    var smmus = [vsmmu_emulated_smmu](repeating: .init(), count: 2)
    var devices = [vsmmu_emulated_device](repeating: .init(), count: 4)
    var config = vsmmu_emulated_config()
    config.size = UInt32(MemoryLayout<vsmmu_emulated_config>.size)
    config.kernel = UInt32(choice & 3) % 3
    config.smmu_count = 2
    config.device_count = 4
    for i in smmus.indices {
      smmus[i].size = UInt32(MemoryLayout<vsmmu_emulated_smmu>.size)
      smmus[i].flags = i == 1 ? 0 : choice & 12 == 12 ? 64 : 64 | 128
    }
    for i in devices.indices {
      devices[i].size = UInt32(MemoryLayout<vsmmu_emulated_device>.size)
      devices[i].smmu = i == 3 ? 1 : 0
      devices[i].stream = UInt32(8 * (i + 1))
      devices[i].flags = i == silent ? 3 : i == 1 ? 0 : 1
      devices[i].bar_bits = 12
    }
    var emulated: OpaquePointer?
    let status = "ATS=1".withCString { features in
      smmus[0].features = features
      return smmus.withUnsafeBufferPointer { smmus in
        devices.withUnsafeBufferPointer { devices in
          (config.smmus, config.devices) = (smmus.baseAddress, devices.baseAddress)
          return vsmmu_emulated_create(&config, &emulated, nil, 0)
        }
      }
    }
    require(status == 0, "no machine")
    return emulated
  }

  // MARK: Steps

  mutating func step(_ input: inout Input) {
    switch input.below(16) {
    case 0: guest.writeRegister(&input)
    case 1, 2: guest.writeMemory(&input)
    case 3, 4: guest.command(&input)
    case 5: invalidateEndpoint(&input)
    case 6, 7: dma(&input)
    case 8, 9: writeFrame(&input)
    case 10: readFrame(&input)
    case 11: driveQueue(&input)
    case 12: moveDevice(&input)
    case 13: moveBAR(&input)
    case 14: disturb(&input)
    default: if spend() { compareWithHardware(&input) } else { dma(&input) }
    }
    let counters = counters
    require(counters.objects <= 160, "the guest makes the kernel's objects grow")
    require(counters.files <= 64, "the guest makes files grow")
  }

  private mutating func spend() -> Bool {
    purse -= 1
    return purse >= 0
  }

  var counters: vsmmu_emulated_counters {
    var counters = vsmmu_emulated_counters()
    counters.size = UInt32(MemoryLayout<vsmmu_emulated_counters>.size)
    vsmmu_emulated_get_counters(emulated, &counters)
    return counters
  }

  private func checkInvariants() {
    require(vsmmu_emulated_check(emulated, nil, 0) == 0, "an invariant of the host is broken")
  }

  /// Success, or one of these errors and a sentence; where failures were ordered, theirs too.
  private func requireClean(_ status: some BinaryInteger, _ errors: Int32...) {
    guard status < 0 else { return }
    var letter: CChar = 0
    require(vsmmu_error_message(guest.device, &letter, 1) > 0, "a refusal without words")
    let error = -Int32(status)
    require(
      errors.contains(error) || !orders.isEmpty && FuzzedHost.failures.contains(error),
      "an error that the header does not have")
  }

  private static let failures: [Int32] = [ENOMEM, EIO, ETIMEDOUT, ENOSPC]

  // MARK: The guest

  /// CMD_ATC_INV, of what Linux sends and of what it does not.
  private mutating func invalidateEndpoint(_ input: inout Input) {
    let shape = input.byte()
    var low: UInt64 = 0x40 | UInt64(input.byte() & 7) << 32
    var high = UInt64(input.byte() & 31) << 12 | (shape & 1 != 0 ? 52 : UInt64(shape >> 1 & 7))
    if shape & 0x10 != 0 { low |= 1 << 11 | UInt64(input.byte() & 7) << 12 }
    if shape & 0x20 != 0 { low |= 1 << 9 }
    if shape & 0x40 != 0 { (low, high) = (low ^ input.word() & ~0xff, high ^ input.word()) }
    guest.issue(low, high)
    if shape & 0x80 == 0 { guest.issue(0x46, 0) }
    guest.acknowledge()
  }

  private func dma(_ input: inout Input) {
    var access = guest.access(&input)
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    var buffer = [UInt8](repeating: 0x5a, count: Int(input.word(2)) % 0x1800)
    let count = UInt64(buffer.count), device = UInt32(input.below(4))
    let status =
      access.flags & 1 != 0
      ? vsmmu_emulated_dma_write(emulated, device, &access, &buffer, count, &result)
      : vsmmu_emulated_dma_read(emulated, device, &access, &buffer, count, &result)
    require(status == 0 || status == -EINVAL, "a DMA is refused")
    require(status != 0 || result.length <= count, "more was copied than asked for")
  }

  private static let frame: [UInt64] = [
    0x0, 0x4, 0x8, 0x14, 0x1c, 0x24, 0x200, 0x204, 0x208, 0x3fc, 0x1000, 0x1004, 0x1040, 0x1080,
    0x10c0, 0x2000, 0x10000, 0x10004, 0x10008, 0x10014, 0x10080, 0x10088, 0x20000, 0x20004, 0x20080,
    0x30000, 0x30004, 0x30008, 0x3000c, 0x30014, 0x30084, 0x30088, 0x40000, 0x40004, 0x40008,
    0x40080, 0x40084, 0x40088, 0x4fff8, 0x1c,
  ]

  private static func place(_ input: inout Input) -> UInt64 {
    input.byte() & 7 == 0 ? input.word(3) % 0x5_0000 : input.pick(frame)
  }

  /// What a guest does in the frame never fails, and costs a few calls at most.
  private func writeFrame(_ input: inout Input) {
    let offset = Self.place(&input), width: UInt32 = input.pick([4, 8, 4, 8, 4, 1, 2, 8])
    let index = UInt64(input.byte())
    let value: UInt64 =
      switch index & 7 {
      case 0, 1: 1 | (index >> 3 & 1) << 1
      case 2, 3: Self.queues + (index >> 3 & 1) * 0x1000 | index >> 4 & 7
      case 4: 0
      default: guest.value(&input)
      }
    let before = counters.calls
    let status = vsmmu_direct_write(guest.device, offset, width, value)
    require(status == 0 || status == -ENODEV, "a write of the frame fails")
    require(counters.calls - before <= 16, "a write of the frame costs many calls")
  }

  private mutating func readFrame(_ input: inout Input) {
    let offset = Self.place(&input), width: UInt32 = input.pick([4, 8, 4, 1, 2])
    var value: UInt64 = 0
    let before = counters.calls, bytes = allocatedBytes()
    let status = vsmmu_direct_read(guest.device, offset, width, &value)
    require(status == 0 || status == -ENODEV, "a read of the frame fails")
    require(counters.calls == before, "a read of the frame calls the kernel")
    // The first look freezes what is offered; a refusal has a sentence.
    let isMade = status == 0 && hasLooked
    require(!isMade || allocatedBytes() == bytes, "a read of the frame allocates")
    hasLooked = status == 0
  }

  private var page: UnsafeMutableRawPointer? {
    var page: UnsafeMutableRawPointer?
    var length: UInt64 = 0
    return vsmmu_direct_page(guest.device, &page, &length) == 0 ? page : nil
  }

  /// What a guest does on the page without any exit, and in the memory of its queues.
  private func driveQueue(_ input: inout Input) {
    guard let page else { return }
    let shape = input.byte(), index = UInt64(shape & 1)
    let registers = page + Int(index) * 0x80
    if shape & 0xc0 == 0xc0 {
      let offset = Int(input.byte() & 31) * 4
      let value = UInt32(truncatingIfNeeded: guest.value(&input))
      registers.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
    } else {
      if shape & 0xc == 0 { startQueues(log2: UInt64(input.byte() & 7)) }
      if shape & 0xc == 4 { startQueues(log2: 4) }
      for _ in 0...Int(shape >> 4 & 3) { putCommand(&input, index, registers) }
    }
    let status = vsmmu_emulated_run_queues(emulated)
    require(status == 0, "the hardware stops")
    guard shape & 2 != 0 else { return }
    // What was wrong becomes a CMD_SYNC, and the error is acknowledged.
    let consumer = UInt64(registers.load(as: UInt32.self) & 15)
    World[Self.queues + 0x1000 * index + consumer * 16] = 0x46
    let errors = registers.load(fromByteOffset: 0x10, as: UInt32.self)
    registers.storeBytes(of: errors, toByteOffset: 0x14, as: UInt32.self)
  }

  /// As a driver does it.
  private func startQueues(log2: UInt64) {
    for index in 0..<2 as Range<UInt64> {
      let base = Self.queues + 0x1000 * index | log2
      for (offset, value) in [
        (0x0, 1), (0x200 + 4 * index, 1 | index << 1), (0x1000, 1), (0x40000 + 0x80 * index, base),
        (0x30008 + 0x80 * index, 1),
      ] { vsmmu_direct_write(guest.device, offset, offset >= 0x40000 ? 8 : 4, value) }
    }
  }

  private func putCommand(
    _ input: inout Input, _ index: UInt64, _ registers: UnsafeMutableRawPointer
  ) {
    let producer = registers.load(fromByteOffset: 4, as: UInt32.self)
    let slot = Self.queues + 0x1000 * index + UInt64(producer & 15) * 16
    let opcode: UInt64 = input.pick([0x11, 0x12, 0x12, 0x40, 0x46, 0x46, 0x46, 0x04, 0x30, 0xff])
    World[slot] = opcode | UInt64(input.byte() & 7) << 48 | UInt64(input.byte() & 3) << 32
    World[slot + 8] = UInt64(input.byte() & 31) << 12 | UInt64(input.byte() & 63)
    if input.byte() & 7 == 0 { World[slot] ^= input.word() }
    registers.storeBytes(of: (producer &+ 1) & 31, toByteOffset: 4, as: UInt32.self)
  }

  // MARK: The VMM

  private mutating func moveDevice(_ input: inout Input) {
    let device = input.below(4), stream = UInt32(input.byte() & 15)
    guard let name = names[device] else {
      return attach(device, stream: stream, flags: UInt32(input.byte() & 3 == 0 ? 4 : 0))
    }
    var info = vsmmu_device_info()
    info.size = UInt32(MemoryLayout<vsmmu_device_info>.size)
    switch input.below(6) {
    case 0, 1:
      let status = vsmmu_device_detach(guest.device, name)
      requireClean(status)
      if status == 0 { names[device] = nil }
    case 2: requireClean(vsmmu_device_renumber(guest.device, name, UInt64(stream)), EEXIST)
    case 3: requireClean(vsmmu_device_renumber(guest.device, name, .max), EEXIST)
    case 4: requireClean(vsmmu_device_reset(guest.device, name))
    default: requireClean(vsmmu_get_device_info(guest.device, name, &info))
    }
  }

  private mutating func attach(_ device: Int, stream: UInt32, flags: UInt32) {
    var config = vsmmu_device()
    config.size = UInt32(MemoryLayout<vsmmu_device>.size)
    (config.stream, config.flags) = (flags & 4 != 0 ? 0 : stream, flags)
    let before = counters
    let status = "/dev/vfio/devices/vfio\(device)".withCString { path in
      config.path = path
      return vsmmu_device_attach(guest.device, &config)
    }
    requireClean(status, EINVAL, EEXIST, EOPNOTSUPP, EBUSY, ENOSPC)
    if status == 0 { names[device] = 1 << 32 | UInt64(config.devid) }
    require(
      status == 0 || !orders.isEmpty || counters.objects <= before.objects,
      "a refused attachment leaves something behind")
  }

  private mutating func moveBAR(_ input: inout Input) {
    let device = input.below(3)
    let address = Self.barBase + UInt64(device) << 20
    var bar = vsmmu_bar()
    bar.size = UInt32(MemoryLayout<vsmmu_bar>.size)
    bar.device = names[device] ?? UInt64(device)
    (bar.length, bar.address) = (4096, address)
    switch input.below(5) {
    case 0:
      if input.byte() & 7 == 0 { bar.offset = guest.value(&input) }
      requireClean(
        vsmmu_bar_add(guest.device, &bar), EINVAL, ENOENT, EEXIST, ENODEV, ENOMEM, ENOTTY)
    case 1: requireClean(vsmmu_bar_remove(guest.device, address), ENOENT, EINVAL)
    case 2: requireClean(vsmmu_bar_renew(guest.device, address), ENOENT, ENODEV, EINVAL)
    default: vsmmu_emulated_set_decode(emulated, UInt32(device), UInt32(input.byte() & 1))
    }
  }

  /// Failures of the kernel, lost events, a host that goes and comes.
  private mutating func disturb(_ input: inout Input) {
    switch input.below(8) {
    case 0, 1: order(&input)
    case 2: drain()
    case 3: vsmmu_emulated_lose_events(emulated, UInt32(input.byte() & 3))
    case 4: requireClean(vsmmu_event_run(guest.device), ENODEV)
    case 5: exchangeHost()
    case 6: requireClean(vsmmu_stream_add(guest.device, 9), EEXIST, EOPNOTSUPP)
    default: requireClean(vsmmu_reset(guest.device))
    }
  }

  private func exchangeHost() {
    requireClean(vsmmu_set_host(guest.device, nil, 0, 0), EBUSY, ENODEV)
    requireClean(vsmmu_set_host(guest.device, host, 0, 0), EEXIST, EINVAL)
  }

  /// Of invalidations, HWPTs, attachments, direct queues, mappings and what is destroyed.
  private mutating func order(_ input: inout Input) {
    guard orders.count < 8 else { return drain() }
    let request: UInt32 = input.pick([
      0x3b8d, 0x3b8d, 0x3b89, 0x3b77, 0x3b77, 0x3b78, 0x3b94, 0x3b86, 0x3b80, 0x3b90, 0x3b91,
      0x3b8f,
    ])
    let error = input.pick(Self.failures)
    guard vsmmu_emulated_fail(emulated, request, 1 + UInt32(input.byte() & 1), error, 0) == 0 else {
      return
    }
    orders.append(request)
  }

  /// What was ordered and did not come yet happens to nobody's harm.
  mutating func drain() {
    for request in orders {
      for _ in 0..<20 { vsmmu_emulated_ioctl(emulated, kvm, request, nil) }
    }
    orders = []
  }

  // MARK: The end

  /// After a reset, whatever was before: the SMMU's own command queue works, and devices translate.
  mutating func destroy() {
    drain()
    checkInvariants()
    requireClean(vsmmu_reset(guest.device))
    World.clear()
    guest.prepare(0)
    require(finishCommands(), "the command queue does not work after a reset")
    for device in names.indices { requireTranslated(device) }
    checkInvariants()
    guest.destroy()
    require(vsmmu_host_close(host) == 0, "the host is still in use")
    vsmmu_emulated_close(emulated, kvm)
    let left = counters
    Self.directCommands += left.direct_commands
    require(left.objects == 0, "objects are left")
    require(left.files == 0, "files are left")
    require(left.mappings == 0, "mappings are left")
    vsmmu_emulated_destroy(emulated)
  }

  /// A device may have had no answer to what was asked of it before.
  private mutating func finishCommands() -> Bool {
    guest.producer = 0
    for _ in 0..<3 {
      if guest.invalidateEverything() { return true }
      guest.acknowledge()
      _ = vsmmu_run(guest.device, 0)
    }
    return false
  }

  private func requireTranslated(_ device: Int) {
    guard let stream = stream(of: device), stream < 8 else { return }
    World[FuzzedDevice.data + 0x3000] = 0x1234_5678_9abc
    let (kind, value) = read(device, 0x3000)
    require(kind == VSMMU_RESULT_OK, "a device is not translated after a reset")
    require(value == 0x1234_5678_9abc, "a device reads something else after a reset")
  }

  /// Its StreamID, if it has one.
  func stream(of device: Int) -> UInt32? {
    var info = vsmmu_device_info()
    info.size = UInt32(MemoryLayout<vsmmu_device_info>.size)
    guard let name = names[device], vsmmu_get_device_info(guest.device, name, &info) == 0,
      info.flags & UInt32(VSMMU_INFO_NUMBERED) != 0, info.flags & UInt32(VSMMU_INFO_FAILED) == 0
    else { return nil }
    return info.stream
  }

  func read(_ device: Int, _ address: UInt64) -> (kind: UInt32, value: UInt64) {
    var access = vsmmu_access()
    access.size = UInt32(MemoryLayout<vsmmu_access>.size)
    access.address = address
    var result = vsmmu_result()
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    var value: UInt64 = 0
    let status = vsmmu_emulated_dma_read(emulated, UInt32(device), &access, &value, 8, &result)
    require(status == 0, "a read by a device is refused")
    return (result.kind, value)
  }
}
