// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUBase
import SMMUHost
import VSMMUShared

/// What a `vsmmu_host_t *` points to is a `Host`.
extension Host {
  static func behind(_ handle: OpaquePointer) -> Host {
    Unmanaged<Host>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
  }

  static func open(_ config: vsmmu_host_config) throws(Refusal) -> Host {
    guard config.flags & ~VSMMU_HOST_IOMMUFD == 0 else {
      throw .invalid("config.flags has a bit set that this library does not know")
    }
    guard config.reserved == 0 else { throw .invalid("config.reserved is not 0") }
    guard config.flags & VSMMU_HOST_IOMMUFD == 0 || config.iommufd >= 0 else {
      throw .invalid("config.flags has VSMMU_HOST_IOMMUFD, but config.iommufd is negative")
    }
    guard (config.pin_request == 0) == (config.unpin_request == 0) else {
      throw .invalid("config.pin_request and config.unpin_request go together")
    }
    for bits in [config.vmid_bits, config.asid_bits] where bits != 0 && bits != 8 && bits != 16 {
      throw .invalid("config.vmid_bits or config.asid_bits is not 0, 8 or 16")
    }
    let fd = config.flags & VSMMU_HOST_IOMMUFD != 0 ? config.iommufd : nil
    return try open(try kernel(config), fd: fd, knowing: Knowledge(config))
  }

  /// Linux or the caller's, with a recorder before it if the caller listens.
  private static func kernel(_ config: vsmmu_host_config) throws(Refusal) -> any Kernel {
    let kernel: any Kernel =
      if let calls = config.kernel {
        try CallbackKernel.make(calls)
      } else {
        LinuxKernel.kernel()
      }
    guard let call = config.call else { return kernel }
    let opaque = config.opaque
    let recorder = Recorder.make(before: kernel) { (line) in
      line.withCString { call(opaque, $0) }
    }
    guard let recorder else { throw noMemory }
    return recorder.asKernel
  }

  private static var noMemory: Refusal {
    Refusal(vsmmu_support_enomem, Sentence("no memory for a lock"))
  }
}

/// A host and what a VMM has there for a vSMMU.
struct HostPlace {
  private let host: Host
  private let ioas: UInt32
  private let parent: UInt32

  init(_ host: OpaquePointer, ioas: UInt32, parent: UInt32) throws(Refusal) {
    guard parent == 0 || ioas != 0 else {
      throw .invalid("parent_hwpt is over an address space, but ioas is 0")
    }
    self.host = .behind(host)
    self.ioas = ioas
    self.parent = parent
  }

  func join(_ virtual: VirtualSMMU, sharesVMID: Bool) throws(Refusal) {
    try virtual.join(
      host,
      domain: parent == 0
        ? .own(addressSpace: ioas == 0 ? nil : ioas)
        : .parent(hwpt: parent, addressSpace: ioas, isShared: sharesVMID))
  }
}

extension Host.Knowledge {
  fileprivate init(_ config: vsmmu_host_config) {
    self.init()
    requests = VMLink.Requests(pin: config.pin_request, unpin: config.unpin_request)
    vmidBits = Int(config.vmid_bits)
    asidBits = Int(config.asid_bits)
  }
}
