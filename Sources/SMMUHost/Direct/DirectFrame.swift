// SPDX-License-Identifier: MIT
import CKernel
import SMMUSpec

/// The guest's frame of CMDQ-V: what it configures its queues by. The page on which it drives them
/// is the hardware's, and may be mapped into the guest; until then accesses to it come here too.
///
/// All that it can hold is made with it: a guest makes nothing grow.
final class DirectFrame {
  let shape: DirectShape
  private unowned(unsafe) let hardware: any DirectHardware
  private var config = DirectFrame.resetConfig
  private var interruptMask: UInt64 = 0
  private var interfaceConfig: UInt32 = 0
  /// Words of SID_MATCH, then of SID_REPLACE.
  private let streams: UnsafeMutablePointer<UInt32>
  private let queues: UnsafeMutablePointer<DirectQueue>
  /// The hardware has the queues before this one: it takes and gives back in order.
  private(set) var hardwareCount = 0
  /// The first queue whose memory is another one than the hardware's.
  private var firstMoved = Int.max
  /// Something was written on which it depends which queues the hardware has.
  private var isUnsettled = false

  private static var resetConfig: UInt32 { word(DirectConfig.enable) }

  init(_ shape: DirectShape, _ hardware: any DirectHardware) {
    self.shape = shape
    self.hardware = hardware
    streams = .allocate(capacity: 2 << shape.streamBits)
    queues = .allocate(capacity: 1 << shape.queueBits)
    clear()
  }

  deinit {
    streams.deallocate()
    queues.deallocate()
  }

  private var streamCount: Int { 1 << shape.streamBits }
  private var queueCount: Int { 1 << shape.queueBits }

  private func clear() {
    streams.initialize(repeating: 0, count: 2 * streamCount)
    queues.initialize(repeating: DirectQueue(), count: queueCount)
  }

  private static func word(_ field: Field) -> UInt32 { UInt32(truncatingIfNeeded: field.mask) }

  private var isOn: Bool {
    UInt64(config)[DirectConfig.enable] & UInt64(interfaceConfig)[DirectInterfaceConfig.enable] != 0
  }

  /// The guest has said all that the hardware must know of a queue.
  private func isReady(_ index: Int) -> Bool {
    let queue = queues[index]
    return isOn && queue.base != 0 && !queue.isRefused && queue.isAllocated(as: index)
  }
}

// MARK: Which queues the hardware has

extension DirectFrame {
  /// Gives back what is not to be there any more, and makes what is.
  private func settle() {
    guard isUnsettled else { return }
    isUnsettled = false
    var wanted = 0
    while wanted < queueCount && isReady(wanted) { wanted += 1 }
    giveBack(downTo: min(wanted, firstMoved))
    firstMoved = .max
    guard hardware.directPage != nil else { return refuse(from: 0, to: wanted) }
    while hardwareCount < wanted {
      let (index, queue) = (hardwareCount, queues[hardwareCount])
      guard hardware.makeDirectQueue(index, at: queue.address, length: queue.length) else {
        return refuse(from: index, to: index + 1)
      }
      hardwareCount += 1
      // What the guest wrote before the hardware had it.
      put(.cons, of: index, to: queue.cons)
      put(.prod, of: index, to: queue.prod)
      put(.config, of: index, to: queue.config)
    }
  }

  private func refuse(from first: Int, to end: Int) {
    for index in first..<max(first, end) { queues[index].refuse() }
  }

  /// A queue that goes because of one below it alone is to go on where it was.
  private func giveBack(downTo first: Int) {
    while hardwareCount > first {
      let index = hardwareCount - 1
      if isReady(index) && index != firstMoved { keep(index) } else { queues[index].stop() }
      hardware.giveBackDirectQueue(index)
      hardwareCount = index
    }
  }

  private func keep(_ index: Int) {
    queues[index].cons = look(.cons, index)
    queues[index].prod = look(.prod, index)
    queues[index].config = look(.config, index)
  }

  /// The hardware goes away; what the guest has set up stays.
  func withdraw() {
    for index in 0..<hardwareCount { keep(index) }
    while hardwareCount > 0 {
      hardwareCount -= 1
      hardware.giveBackDirectQueue(hardwareCount)
    }
  }

  /// There is hardware again.
  func resume() {
    for index in 0..<queueCount { queues[index].isRefused = false }
    isUnsettled = true
    settle()
  }

  func reset() {
    config = Self.resetConfig
    (interruptMask, interfaceConfig) = (0, 0)
    isUnsettled = true
    settle()
    clear()
  }
}

// MARK: The hardware's page

extension DirectFrame {
  private func place(_ register: DirectQueueRegister, _ index: Int) -> UnsafeMutableRawPointer? {
    guard index < hardwareCount, let page = hardware.directPage else { return nil }
    return page + DirectFrameMap.stride * index + register.rawValue
  }

  private func put(_ register: DirectQueueRegister, of index: Int, to value: UInt32) {
    if let place = place(register, index) { vsmmu_system_write32(place, value) }
  }

  private func look(_ register: DirectQueueRegister, _ index: Int) -> UInt32 {
    if let place = place(register, index) { return vsmmu_system_read32(place) }
    let queue = queues[index]
    return switch register {
    case .cons: queue.cons
    case .prod: queue.prod
    case .config: queue.config
    // It is on when the hardware says so.
    case .status: 0
    case .gerror: queue.gerror
    case .gerrorn: queue.gerrorn
    }
  }

  private func change(_ register: DirectQueueRegister, of index: Int, to value: UInt32) {
    switch register {
    case .status, .gerror: return
    case .cons, .prod, .config, .gerrorn: break
    }
    if index < hardwareCount { return put(register, of: index, to: value) }
    switch register {
    case .cons: queues[index].cons = value
    case .prod: queues[index].prod = value
    case .config: queues[index].config = value
    default: queues[index].gerrorn = value
    }
  }

  /// Of 32 queues from 32 * `group` on: which have an error that the guest has not acknowledged.
  private func errors(_ group: Int) -> UInt32 {
    var map: UInt32 = 0
    for index in 32 * group..<max(32 * group, min(32 * group + 32, queueCount)) {
      let active = look(.gerror, index) ^ look(.gerrorn, index)
      if UInt64(active)[DirectQueueFields.errors] != 0 { map |= 1 &<< UInt32(index & 31) }
    }
    return map
  }

  private var hasError: Bool {
    for group in 0..<4 where errors(group) != 0 { return true }
    return false
  }

  /// The guest has not masked the interrupt of its interface.
  var interrupts: Bool { !interruptMask[0] }
}

// MARK: Accesses

extension DirectFrame {
  /// What is no register, or accessed as none may be, reads as 0.
  func read(at offset: UInt64, width: Int) -> UInt64 {
    guard width >= 4, offset % UInt64(width) == 0 else { return 0 }
    let low = UInt64(word(at: offset))
    return width == 8 ? low | UInt64(word(at: offset + 4)) << 32 : low
  }

  private func word(at offset: UInt64) -> UInt32 {
    switch DirectFrameMap.register(at: offset) {
    case nil: 0
    case .config: config
    case .parameters: parameters
    case .status: UInt32(truncatingIfNeeded: UInt64(config)[DirectConfig.enable])
    case .interfaceErrors(let group): group == 0 && hasError ? 1 : 0
    case .interruptMask(let group): UInt32(truncatingIfNeeded: interruptMask >> UInt64(32 * group))
    case .queueErrors(let group), .interfaceQueueErrors(let group): errors(group)
    case .allocation(let index): index < queueCount ? queues[index].allocation : 0
    case .interfaceConfig: interfaceConfig
    case .interfaceStatus: interfaceStatus
    case .streamMatch(let index): index < streamCount ? streams[index] : 0
    case .streamReplacement(let index): index < streamCount ? streams[streamCount + index] : 0
    case .queue(let register, let index): index < queueCount ? look(register, index) : 0
    case .memory(let part, let index): index < queueCount ? memory(part, index) : 0
    }
  }

  /// One interface, which is the guest's.
  private var parameters: UInt32 {
    var value: UInt64 = 0
    value[DirectParameters.version] = UInt64(shape.version)
    value[DirectParameters.queueBits] = UInt64(shape.queueBits)
    value[DirectParameters.streamBits] = UInt64(shape.streamBits)
    return UInt32(truncatingIfNeeded: value)
  }

  private var interfaceStatus: UInt32 {
    var value: UInt64 = 0
    value[DirectInterfaceStatus.enabled] = isOn ? 1 : 0
    value[DirectInterfaceStatus.error] = hasError ? 1 : 0
    return UInt32(truncatingIfNeeded: value)
  }

  private func memory(_ word: Int, _ index: Int) -> UInt32 {
    let value = word < 2 ? queues[index].base : queues[index].consumerBase
    return UInt32(truncatingIfNeeded: value >> UInt64(32 * (word & 1)))
  }

  /// What is no register, or accessed as none may be, is ignored.
  func write(_ value: UInt64, at offset: UInt64, width: Int) {
    guard width >= 4, offset % UInt64(width) == 0 else { return }
    write(UInt32(truncatingIfNeeded: value), at: offset)
    if width == 8 { write(UInt32(truncatingIfNeeded: value >> 32), at: offset + 4) }
    settle()
  }

  private func write(_ value: UInt32, at offset: UInt64) {
    switch DirectFrameMap.register(at: offset) {
    case .config:
      config = value & Self.word(DirectConfig.enable) | value & Self.word(DirectConfig.batching)
      isUnsettled = true
    case .interruptMask(let group): interruptMask[32 * group + 31, 32 * group] = UInt64(value)
    case .allocation(let index) where index < queueCount:
      let mask =
        Self.word(DirectAllocation.allocated) | Self.word(DirectAllocation.queue)
        | Self.word(DirectAllocation.interface)
      queues[index].allocation = value & mask
      changed(index)
    case .interfaceConfig:
      // HYP_OWN stays 0: the queues take what a guest may send.
      interfaceConfig =
        value & (Self.word(DirectInterfaceConfig.enable) | Self.word(DirectInterfaceConfig.vmid))
      isUnsettled = true
    case .streamMatch(let index) where index < streamCount:
      streams[index] =
        value & (Self.word(DirectStream.matchEnable) | Self.word(DirectStream.match))
    case .streamReplacement(let index) where index < streamCount:
      streams[streamCount + index] = value & Self.word(DirectStream.replacement)
    case .queue(let register, let index) where index < queueCount:
      change(register, of: index, to: value)
    case .memory(let word, let index) where index < queueCount:
      setMemory(word, of: index, to: value)
    default: break
    }
  }

  private func setMemory(_ word: Int, of index: Int, to value: UInt32) {
    let low = 32 * (word & 1)
    guard word < 2 else {
      queues[index].consumerBase[low + 31, low] = UInt64(value)
      return
    }
    var base = queues[index].base
    base[low + 31, low] = UInt64(value)
    base &= DirectQueueBase.address.mask | DirectQueueBase.log2Size.mask
    guard base != queues[index].base else { return }
    queues[index].base = base
    if index < hardwareCount { firstMoved = min(firstMoved, index) }
    changed(index)
  }

  /// What the kernel refused may be granted now.
  private func changed(_ index: Int) {
    queues[index].isRefused = false
    isUnsettled = true
  }
}
