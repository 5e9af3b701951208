// SPDX-License-Identifier: MIT

/// A register of CMDQ-V, NVIDIA's extension by which a guest drives command queues of its own. IHI
/// 0070 knows nothing of it; names and places are those on which the drivers and devices that are
/// public agree. All have 32 bits; a pair of two is accessed with 64 too.
public enum DirectRegister: Equatable, Sendable {
  case config, parameters, status
  /// One bit for each virtual interface.
  case interfaceErrors(Int)
  case interruptMask(Int)
  /// One bit for each queue of the SMMU's.
  case queueErrors(Int)
  /// Which interface has a queue.
  case allocation(Int)
  case interfaceConfig, interfaceStatus
  case streamMatch(Int)
  case streamReplacement(Int)
  /// One bit for each queue of the interface's.
  case interfaceQueueErrors(Int)
  /// Of a queue, on the page that a hypervisor may map into a guest.
  case queue(DirectQueueRegister, Int)
  /// Of a queue, on the other page: words 0 and 1 are BASE, 2 and 3 CONS_INDX_BASE.
  case memory(word: Int, Int)
}

/// A register of a queue that its user may access.
public enum DirectQueueRegister: Int, Sendable {
  case cons = 0x0
  case prod = 0x4
  case config = 0x8
  case status = 0xc
  case gerror = 0x10
  case gerrorn = 0x14
}

/// The frame that a guest with one virtual interface sees.
public enum DirectFrameMap {
  /// Pages of 64 KiB: configuration, all queues' two, the interface's two.
  public static var size: UInt64 { 5 * pageSize }
  public static var pageSize: UInt64 { 0x10000 }
  /// Bytes from the registers of one queue to those of the next.
  public static var stride: Int { 0x80 }
  public static var mostQueueBits: Int { 7 }
  /// Pairs of SID_MATCH and SID_REPLACE.
  public static var mostStreamBits: Int { 4 }
  /// StreamIDs that SID_MATCH can name.
  public static var streamIDBits: Int { 20 }

  /// What is at an offset that is a multiple of 4, nil if that is nothing.
  public static func register(at offset: UInt64) -> DirectRegister? {
    let place = Int(truncatingIfNeeded: offset % pageSize)
    let (queue, within) = (place / stride, place % stride)
    // An interface's view of its queues is at the same places as that of all queues.
    switch offset / pageSize {
    case 0: return configuration(place)
    case 1, 3:
      guard queue < 1 << mostQueueBits else { return nil }
      return DirectQueueRegister(rawValue: within).map { .queue($0, queue) }
    case 2, 4:
      guard queue < 1 << mostQueueBits, within < 16 else { return nil }
      return .memory(word: within / 4, queue)
    default: return nil
    }
  }

  private static func configuration(_ place: Int) -> DirectRegister? {
    switch place {
    case 0x0: .config
    case 0x4: .parameters
    case 0x8: .status
    case 0x14..<0x1c: .interfaceErrors((place - 0x14) / 4)
    case 0x1c..<0x24: .interruptMask((place - 0x1c) / 4)
    case 0x24..<0x34: .queueErrors((place - 0x24) / 4)
    case 0x200..<0x400: .allocation((place - 0x200) / 4)
    case 0x1000: .interfaceConfig
    case 0x1004: .interfaceStatus
    case 0x1040..<0x1080: .streamMatch((place - 0x1040) / 4)
    case 0x1080..<0x10c0: .streamReplacement((place - 0x1080) / 4)
    case 0x10c0..<0x10d0: .interfaceQueueErrors((place - 0x10c0) / 4)
    default: nil
    }
  }
}
