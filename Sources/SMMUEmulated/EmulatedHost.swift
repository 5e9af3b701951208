// SPDX-License-Identifier: MIT
import SMMUAtomics
import SMMUBase
import SMMUModel
import SMMUSpec

/// A host in this process: the system calls of Linux on arm64 with iommufd, VFIO and KVM, over
/// physical SMMUs and devices that are emulated. Any thread may call.
///
/// One lock is around all of the kernel. DMA does not take it: it is as concurrent with system
/// calls as the hardware is.
public final class EmulatedHost {
  let kernel: EmulatedKernelState
  private let mutex: Mutex
  /// For calls that make nothing: no kernel refuses them for want of memory, and of what they draw
  /// they keep nothing.
  private let standby: Reserve

  /// nil without memory. The configuration has no refusal.
  public static func make(_ configuration: EmulatedConfiguration) -> EmulatedHost? {
    guard let mutex = Mutex() else { return nil }
    guard let standby = Reserve(bytes: EmulatedNeed.call) else {
      mutex.destroy()
      return nil
    }
    guard let kernel = EmulatedKernelState.make(configuration) else {
      mutex.destroy()
      standby.giveBack()
      return nil
    }
    return EmulatedHost(kernel, mutex: mutex, standby: standby)
  }

  private init(_ kernel: EmulatedKernelState, mutex: Mutex, standby: Reserve) {
    self.kernel = kernel
    self.mutex = mutex
    self.standby = standby
  }

  /// Closes what is open.
  public func shutDown() { locked { standby.covering { kernel.closeAll() } } }

  deinit {
    standby.covering { kernel.closeAll() }
    standby.giveBack()
    mutex.destroy()
  }

  func locked<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R { try mutex.locked(body) }

  /// Runs what makes something, with the host's lock held; ENOMEM, and nothing done, without
  /// memory.
  func lockedReserving<R>(_ body: () throws(Errno) -> R) throws(Errno) -> R {
    try mutex.locked { () throws(Errno) -> R in
      try reserving(EmulatedNeed.call(kernel), orThrow: Errno.enomem, body)
    }
  }

  /// One system call: of a lasting one something may stay.
  private func call<R>(
    isLasting: Bool = false, _ body: () throws(Errno) -> R
  ) throws(Errno) -> R {
    try mutex.locked { () throws(Errno) -> R in
      kernel.calls &+= 1
      guard isLasting else { return try standby.covering(body) }
      return try reserving(EmulatedNeed.call(kernel), orThrow: Errno.enomem, body)
    }
  }
}

// MARK: System calls

extension EmulatedHost: Kernel {
  public func open(_ path: UnsafePointer<CChar>) throws(Errno) -> Int32 {
    try call(isLasting: true) { () throws(Errno) -> Int32 in try kernel.open(path) }
  }

  public func close(_ fd: Int32) throws(Errno) {
    try call { () throws(Errno) -> Void in
      try kernel.descriptors.close(fd)
    }
  }

  @discardableResult
  public func control(
    _ fd: Int32, request: UInt32, argument: UnsafeMutableRawPointer?
  ) throws(Errno) -> Int64 {
    let isLasting = EmulatedNeed.isLasting(request) || request == pinRequest
    return try call(isLasting: isLasting) { () throws(Errno) -> Int64 in
      try kernel.descriptors.file(fd).control(request, argument)
    }
  }

  public func read(
    _ fd: Int32, into data: UnsafeMutableRawPointer, count: Int
  ) throws(Errno) -> Int {
    try call { () throws(Errno) -> Int in
      try kernel.descriptors.file(fd).read(into: data, count: max(0, count))
    }
  }

  public func write(
    _ fd: Int32, from data: UnsafeRawPointer, count: Int
  ) throws(Errno) -> Int {
    try call { () throws(Errno) -> Int in
      try kernel.descriptors.file(fd).write(from: data, count: max(0, count))
    }
  }

  public func poll(_ fd: Int32) throws(Errno) -> Int32 {
    try call { () throws(Errno) -> Int32 in try kernel.descriptors.file(fd).readiness }
  }

  public func duplicate(_ fd: Int32) throws(Errno) -> Int32 {
    try call(isLasting: true) { () throws(Errno) -> Int32 in try kernel.descriptors.duplicate(fd) }
  }

  public func same(_ fd: Int32, _ other: Int32) throws(Errno) -> Bool {
    try call { () throws(Errno) -> Bool in
      try kernel.descriptors.file(fd) === kernel.descriptors.file(other)
    }
  }

  public func map(
    _ fd: Int32, offset: UInt64, length: Int
  ) throws(Errno) -> UnsafeMutableRawPointer {
    try call(isLasting: true) { () throws(Errno) -> UnsafeMutableRawPointer in
      try kernel.descriptors.file(fd).map(offset: offset, length: length)
    }
  }

  public func unmap(_ address: UnsafeMutableRawPointer, length: Int) {
    _ = unmapPage(address, length: length)
  }

  /// munmap(2); false if nothing is mapped there.
  public func unmapPage(_ address: UnsafeMutableRawPointer, length: Int) -> Bool {
    locked { standby.covering { kernel.unmap(address, length: length) } }
  }
}

extension EmulatedHost {
  public var pinRequest: UInt32 { kernel.hypervisor.pinRequest }
  public var unpinRequest: UInt32 { kernel.hypervisor.unpinRequest }
}
