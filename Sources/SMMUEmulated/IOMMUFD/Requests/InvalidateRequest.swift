// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec

extension IOMMUFDFile {
  /// IOMMU_HWPT_INVALIDATE. The count of entries goes back on errors too.
  func invalidate(_ argument: UnsafeMutableRawPointer?) throws(Errno) {
    var request = try UserStruct(argument, zeros: iommufd_hwpt_invalidate())
    kernel.invalidations &+= 1
    var done = 0
    do throws(Errno) {
      try carryOut(request.value, &done)
    } catch {
      request.value.entry_num = UInt32(clamping: done)
      request.copyOut()
      throw error
    }
    request.value.entry_num = UInt32(clamping: done)
    request.copyOut()
  }

  private func carryOut(
    _ request: iommufd_hwpt_invalidate, _ done: inout Int
  ) throws(Errno) {
    guard request.reserved == 0 else { throw .eopnotsupp }
    let (length, count) = (Int(request.entry_len), Int(request.entry_num))
    if count > 0 {
      guard request.data_uptr != 0, length > 0, length <= 4096, count <= 1 << 19 else {
        throw .einval
      }
    }
    switch objects[request.hwpt_id] {
    case .viommu(let viommu):
      guard request.data_type == IOMMUFD_INVALIDATE_ARM_SMMUV3, count > 0 else { throw .einval }
      let source = try UserMemory.pointer(request.data_uptr)
      try reserving(
        GuestCommand.needed(for: count), orThrow: Errno.enomem
      ) { () throws(Errno) in
        let commands = try copyIn(source, length: length, count: count)
        let rules = GuestCommand(viommu: viommu, validatesFields: kernel.version.validatesFields)
        try rules.issue(commands, &done)
      }
    case .nested: throw .eopnotsupp
    case nil: throw .enoent
    default: throw .einval
    }
  }

  /// Entries of any length; all are copied before the first is looked at.
  private func copyIn(
    _ source: UnsafeRawPointer, length: Int, count: Int
  ) throws(Errno) -> [CommandWords] {
    var commands: [CommandWords] = []
    commands.reserveCapacity(count)
    for i in 0..<count {
      var pair: (UInt64, UInt64) = (0, 0)
      try UserMemory.copyIn(source + i * length, size: length, to: &pair)
      commands.append(CommandWords(UInt64(littleEndian: pair.0), UInt64(littleEndian: pair.1)))
    }
    return commands
  }
}

extension GuestCommand {
  /// A queue's batch, but for the CMD_SYNC.
  private static var block: Int { 63 }

  /// Bytes for a copy of the commands, and for what the erratum holds back of each block.
  static func needed(for count: Int) -> Int {
    let command = MemoryLayout<CommandWords>.stride
    return count * command + (count / block + 1) * (4 * block * command + 256)
      + RepeatErratum.needed
  }

  /// Translates and issues commands in blocks. `done` is what Linux reports: on an error it counts
  /// commands that were translated, and of these the last block was not issued.
  func issue(_ commands: [CommandWords], _ done: inout Int) throws(Errno) {
    var waiting: [CommandWords] = []
    for command in commands {
      waiting.append(try host(command))
      done += 1
      guard waiting.count == Self.block || done == commands.count else { continue }
      do throws(Errno) {
        try viommu.smmu.issue(waiting)
      } catch {
        done -= 1
        throw error
      }
      waiting.removeAll(keepingCapacity: true)
    }
  }
}
