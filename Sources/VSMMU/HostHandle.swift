// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUAtomics
import SMMUBase
import SMMUHost
import VSMMUShared

/// What a `vsmmu_host_t *` points to: a kernel, shared by the vSMMUs that use it.
final class HostHandle {
  let host: Host
  let config: vsmmu_host_config
  private let mutex: Mutex
  private var users = 0

  init(_ host: Host, _ config: vsmmu_host_config, _ mutex: Mutex) {
    self.host = host
    self.config = config
    self.mutex = mutex
  }

  deinit {
    host.close()
    mutex.destroy()
  }

  func addUser() { mutex.locked { users += 1 } }
  func removeUser() { mutex.locked { users -= 1 } }
  var isUsed: Bool { mutex.locked { users != 0 } }
}

extension HostError {
  var refusal: Refusal { Refusal(-errno.code, sentence) }
}

/// Runs what the host side may refuse.
func hosted<R>(_ body: () throws(HostError) -> R) throws(Refusal) -> R {
  do throws(HostError) { return try body() } catch { throw error.refusal }
}

extension HostHandle {
  static func open(_ config: vsmmu_host_config) throws(Refusal) -> HostHandle {
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
    guard let mutex = Mutex() else { throw Self.noMemory }
    do throws(Refusal) {
      let kernel = try kernel(config)
      let fd = config.flags & VSMMU_HOST_IOMMUFD != 0 ? config.iommufd : nil
      let host = try hosted { () throws(HostError) in try Host.open(kernel, fd: fd) }
      return HostHandle(host, config, mutex)
    } catch {
      mutex.destroy()
      throw error
    }
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
