// SPDX-License-Identifier: MIT
import CKernel

/// A kernel with an open /dev/iommu, for any number of vSMMUs.
public final class Host {
  public let kernel: any Kernel
  public let fd: Int32
  private let ownsFD: Bool
  /// vSMMUs that use it. Guarded by the caller.
  public var users = 0

  /// `fd` nil: /dev/iommu is opened here.
  public static func open(_ kernel: any Kernel, fd: Int32?) throws(HostError) -> Host {
    if let fd { return Host(kernel, fd, ownsFD: false) }
    let path: StaticString = "/dev/iommu"
    do throws(Errno) {
      let opened = try kernel.open(
        UnsafeRawPointer(path.utf8Start).assumingMemoryBound(to: CChar.self))
      return Host(kernel, opened, ownsFD: true)
    } catch {
      throw HostError(error, trying: "open /dev/iommu")
    }
  }

  private init(_ kernel: any Kernel, _ fd: Int32, ownsFD: Bool) {
    self.kernel = kernel
    self.fd = fd
    self.ownsFD = ownsFD
  }

  public func close() {
    if ownsFD { try? kernel.close(fd) }
  }
}
