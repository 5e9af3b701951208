// SPDX-License-Identifier: MIT
import CKernel

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

  /// Where the same memory is mapped already.
  func mapping(of memory: UnsafeMutableRawPointer, _ length: UInt64) -> Mapping? {
    mutex.locked { mappings.first { $0.memory == memory && $0.length == length } }
  }

  func add(_ mapping: Mapping) { mutex.locked { mappings.append(mapping) } }

  func remove(_ addressSpace: UInt32, _ address: UInt64) {
    mutex.locked {
      mappings.removeAll { $0.addressSpace == addressSpace && $0.address == address }
    }
  }

  func removeAll(of addressSpace: UInt32) {
    mutex.locked { mappings.removeAll { $0.addressSpace == addressSpace } }
  }

  public func close() {
    if ownsFD { try? kernel.close(fd) }
  }
}
