// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUBase

/// A kernel with an open /dev/iommu, for any number of vSMMUs.
public final class Host {
  public let kernel: any Kernel
  public let fd: Int32
  private let ownsFD: Bool
  private let mutex: Mutex
  /// What address spaces of vSMMUs have mapped: the next vSMMU of the VM copies it.
  private var mappings: [Mapping] = []

  /// Guest memory in an address space.
  struct Mapping {
    let addressSpace: UInt32
    let address: UInt64
    let length: UInt64
    let memory: UnsafeMutableRawPointer
  }

  /// `fd` nil: /dev/iommu is opened here.
  public static func open(_ kernel: any Kernel, fd: Int32?) throws(HostError) -> Host {
    guard let mutex = Mutex() else { throw HostError(.enomem, "no memory for a lock") }
    if let fd { return Host(kernel, fd, mutex, ownsFD: false) }
    let path: StaticString = "/dev/iommu"
    do throws(Errno) {
      let opened = try kernel.open(
        UnsafeRawPointer(path.utf8Start).assumingMemoryBound(to: CChar.self))
      return Host(kernel, opened, mutex, ownsFD: true)
    } catch {
      mutex.destroy()
      throw HostError(error, trying: "open /dev/iommu")
    }
  }

  private init(_ kernel: any Kernel, _ fd: Int32, _ mutex: Mutex, ownsFD: Bool) {
    self.kernel = kernel
    self.fd = fd
    self.mutex = mutex
    self.ownsFD = ownsFD
  }

  deinit { mutex.destroy() }

  /// Maps memory by `copy` where another address space has it, else by `map`, and keeps it in mind.
  /// One at a time: what is copied from must not go meanwhile.
  func map(
    _ mapping: Mapping, copy: (Mapping) throws(Errno) -> Void, map: () throws(Errno) -> Void
  ) throws(Errno) {
    try mutex.locked { () throws(Errno) in
      let bytes = 3 * (mappings.count + 8) * MemoryLayout<Mapping>.stride
      guard let reserve = Reserve(bytes: bytes) else { throw .enomem }
      defer { reserve.giveBack() }
      let other = mappings.first {
        $0.memory == mapping.memory && $0.length == mapping.length
          && $0.addressSpace != mapping.addressSpace
      }
      if let other { try copy(other) } else { try map() }
      reserve.covering { mappings.append(mapping) }
    }
  }

  func unmap(
    _ addressSpace: UInt32, _ address: UInt64, _ body: () throws(Errno) -> Void
  ) throws(Errno) {
    try mutex.locked { () throws(Errno) in
      try body()
      mappings.removeAll { $0.addressSpace == addressSpace && $0.address == address }
    }
  }

  func forgetMappings(of addressSpace: UInt32, _ body: () -> Void) {
    mutex.locked {
      mappings.removeAll { $0.addressSpace == addressSpace }
      body()
    }
  }

  public func close() {
    if ownsFD { try? kernel.close(fd) }
  }
}
