// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUSpec

/// Zeroed memory of the emulated host, aligned to its size as tables and queues must be. Its
/// address is the physical one.
struct PhysicalPages {
  let pointer: UnsafeMutableRawPointer
  let bytes: Int

  /// `bytes` is a power of two.
  init(bytes: Int) {
    self.bytes = bytes
    pointer = .allocate(byteCount: bytes, alignment: max(bytes, 64))
    pointer.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
  }

  var address: UInt64 { UInt64(UInt(bitPattern: pointer)) }

  func deallocate() { pointer.deallocate() }

  /// The aligned 64-bit word at an offset in bytes.
  func word(_ offset: Int) -> PhysicalWord { PhysicalWord(address + UInt64(offset)) }
}

/// A little-endian 64-bit word in host memory that an SMMU may be reading.
struct PhysicalWord {
  private let pointer: UnsafeMutablePointer<Atomic<UInt64>>

  /// Of memory that this host allocated.
  init(_ address: UInt64) {
    pointer = UnsafeMutablePointer(bitPattern: UInt(truncatingIfNeeded: address))!
  }

  var value: UInt64 {
    get { UInt64(littleEndian: pointer.pointee.load(ordering: .acquiring)) }
    nonmutating set { pointer.pointee.store(newValue.littleEndian, ordering: .releasing) }
  }
}
