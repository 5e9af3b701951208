// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel

/// Guest memory.
extension VirtualSMMU {
  /// A part of a file, behind guest memory.
  public struct FilePart {
    let file: Int32
    let offset: UInt64

    public init(_ file: Int32, offset: UInt64) {
      self.file = file
      self.offset = offset
    }
  }

  public var regionCount: Int { memory.count }

  /// Makes memory known to the model and, where there is a host, to stage 2: both or none.
  public func addMemory(
    _ address: UInt64, length: UInt64, host: UnsafeMutableRawPointer, of part: FilePart? = nil
  ) throws(Refusal) {
    do throws(MemoryError) {
      try smmu.addMemory(address, length: length, host: host)
    } catch {
      throw error.refusal
    }
    do throws(Refusal) {
      let region = try GuestRegion.make(address, length: length, host: host, of: part)
      do throws(Refusal) { try nesting?.map(region) } catch {
        region.close()
        throw error
      }
      memory.append(region)
    } catch {
      try? smmu.removeMemory(address)
      throw error
    }
  }

  /// Returns when no access uses it any more.
  public func removeMemory(_ address: UInt64) throws(Refusal) {
    guard let place = memory.firstIndex(where: { $0.address == address }) else {
      throw MemoryError.absent.refusal
    }
    try nesting?.unmap(address, length: memory[place].length)
    do throws(MemoryError) {
      try smmu.removeMemory(address)
    } catch {
      throw error.refusal
    }
    memory.remove(at: place).close()
  }
}

extension Nesting {
  func map(_ region: GuestRegion) throws(Refusal) {
    try requireOutsideWindow(region.address, length: region.length)
    if let part = region.part {
      try map(region.address, length: region.length, file: part.file, offset: part.offset)
    } else {
      try map(region.address, length: region.length, host: region.host)
    }
  }
}

extension MemoryError {
  fileprivate var refusal: Refusal {
    switch self {
    case .unaligned:
      Refusal(.einval, "address, length and host must be multiples of 4096, and length not 0")
    case .wraps: Refusal(.einval, "address + length passes the end of the address space")
    case .overlaps: Refusal(.eexist, "address overlaps a region that was added before")
    case .full: Refusal(.enomem, "512 RAM regions are registered already")
    case .absent: Refusal(.enoent, "address is no region's first address")
    }
  }
}
