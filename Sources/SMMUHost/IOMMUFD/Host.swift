// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUBase

/// A kernel with an open /dev/iommu, for any number of vSMMUs.
public final class Host {
  let kernel: any Kernel
  let fd: Int32
  let knowledge: Knowledge
  let vms: LinkedVMs
  /// vSMMUs.
  private let users = Atomic<UInt32>(0)
  private let mutex: Mutex
  /// What address spaces of vSMMUs have mapped: the next vSMMU of the VM copies it.
  private var mappings: [Mapping] = []
  /// Nest parents of VMMs, once for each vSMMU that stands on it.
  private var parents: [UInt32] = []

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

  /// `fd`: an open /dev/iommu, to be duplicated; nil: it is opened here.
  public static func open(
    _ kernel: any Kernel, fd: Int32?, knowing knowledge: Knowledge
  ) throws(Refusal) -> Host {
    guard let vms = LinkedVMs.make(kernel), let mutex = Mutex() else {
      throw Refusal(.enomem, "no memory for a lock")
    }
    do throws(Errno) {
      let opened = if let fd { try kernel.duplicate(fd) } else { try open(kernel) }
      return Host(kernel, fd: opened, knowledge: knowledge, vms: vms, mutex: mutex)
    } catch {
      mutex.destroy()
      throw Refusal(
        error, trying: fd == nil ? "open /dev/iommu" : "duplicate the iommufd's descriptor")
    }
  }

  private static func open(_ kernel: any Kernel) throws(Errno) -> Int32 {
    let path: StaticString = "/dev/iommu"
    return try kernel.open(UnsafeRawPointer(path.utf8Start).assumingMemoryBound(to: CChar.self))
  }

  private init(
    _ kernel: any Kernel, fd: Int32, knowledge: Knowledge, vms: LinkedVMs, mutex: Mutex
  ) {
    self.kernel = kernel
    self.fd = fd
    self.knowledge = knowledge
    self.vms = vms
    self.mutex = mutex
  }

  deinit {
    try? kernel.close(fd)
    mutex.destroy()
  }

  func addUser() { users.wrappingAdd(1, ordering: .sequentiallyConsistent) }
  func removeUser() { users.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
  public var isUsed: Bool { users.load(ordering: .sequentiallyConsistent) != 0 }

  // MARK: Nest parents of VMMs

  /// A vSMMU is to stand on one, and may be not the first that does.
  func takeParent(_ hwpt: UInt32, isShared: Bool) throws(Refusal) {
    try mutex.locked { () throws(Refusal) in
      guard isShared || !parents.contains(hwpt) else {
        throw Refusal(
          .ebusy,
          """
          parent_hwpt is another vSMMU's, and so is its VMID: equal ASIDs of both would share TLB \
          entries; VSMMU_SHARED_VMID promises that there are none
          """
        )
      }
      parents.append(hwpt)
    }
  }

  func giveBackParent(_ hwpt: UInt32) {
    mutex.locked {
      if let place = parents.firstIndex(of: hwpt) { parents.remove(at: place) }
    }
  }

  /// More than one vSMMU stands on it.
  func isShared(parent hwpt: UInt32) -> Bool {
    mutex.locked {
      var count = 0
      for parent in parents where parent == hwpt { count += 1 }
      return count > 1
    }
  }

  // MARK: Guest memory

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
