// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUBase

/// A kernel with an open /dev/iommu, for any number of vSMMUs.
public final class Host {
  let kernel: any Kernel
  let fd: Int32
  let knowledge: Knowledge
  private let ownsFD: Bool
  /// vSMMUs.
  private let users = Atomic<UInt32>(0)
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

  /// What a kernel and its machine have, and no call tells.
  public struct Knowledge {
    public var requests = VMLink.Requests(pin: 0, unpin: 0)
    /// Bits of KVM's VMIDs and of the guest CPUs' ASIDs, 8 or 16; 0 = not known.
    public var vmidBits = 0
    public var asidBits = 0

    public init() {}
  }

  /// `fd` nil: /dev/iommu is opened here.
  public static func open(
    _ kernel: any Kernel, fd: Int32?, knowing knowledge: Knowledge
  ) throws(Refusal) -> Host {
    guard let mutex = Mutex() else { throw Refusal(.enomem, "no memory for a lock") }
    if let fd { return Host(kernel, fd: fd, owned: false, knowledge: knowledge, mutex: mutex) }
    let path: StaticString = "/dev/iommu"
    do throws(Errno) {
      let opened = try kernel.open(
        UnsafeRawPointer(path.utf8Start).assumingMemoryBound(to: CChar.self))
      return Host(kernel, fd: opened, owned: true, knowledge: knowledge, mutex: mutex)
    } catch {
      mutex.destroy()
      throw Refusal(error, trying: "open /dev/iommu")
    }
  }

  private init(
    _ kernel: any Kernel, fd: Int32, owned ownsFD: Bool, knowledge: Knowledge, mutex: Mutex
  ) {
    self.kernel = kernel
    self.fd = fd
    self.knowledge = knowledge
    self.mutex = mutex
    self.ownsFD = ownsFD
  }

  deinit {
    if ownsFD { try? kernel.close(fd) }
    mutex.destroy()
  }

  func addUser() { users.wrappingAdd(1, ordering: .sequentiallyConsistent) }
  func removeUser() { users.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
  public var isUsed: Bool { users.load(ordering: .sequentiallyConsistent) != 0 }

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
    in addressSpace: UInt32, at address: UInt64, _ body: () throws(Errno) -> Void
  ) throws(Errno) {
    try mutex.locked { () throws(Errno) in
      try body()
      mappings.removeAll { $0.addressSpace == addressSpace && $0.address == address }
    }
  }

  func removeMappings(of addressSpace: UInt32, _ body: () -> Void) {
    mutex.locked {
      mappings.removeAll { $0.addressSpace == addressSpace }
      body()
    }
  }
}
