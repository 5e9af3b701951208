// SPDX-License-Identifier: MIT
import CSupport
import CVSMMU
import SMMUHost

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
    throw .invalid("not yet")
  }
}
