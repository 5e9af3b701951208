// SPDX-License-Identifier: MIT
import CKernel

/// An error number of the kernel; positive.
public struct Errno: Error, Equatable, Sendable {
  public let code: Int32

  public init(code: Int32) { self.code = code }
  private init(_ constant: vsmmu_errno) { code = Int32(bitPattern: constant.rawValue) }

  public static var eperm: Errno { Errno(VSMMU_EPERM) }
  public static var enoent: Errno { Errno(VSMMU_ENOENT) }
  public static var eintr: Errno { Errno(VSMMU_EINTR) }
  public static var eio: Errno { Errno(VSMMU_EIO) }
  public static var enxio: Errno { Errno(VSMMU_ENXIO) }
  public static var e2big: Errno { Errno(VSMMU_E2BIG) }
  public static var ebadf: Errno { Errno(VSMMU_EBADF) }
  public static var eagain: Errno { Errno(VSMMU_EAGAIN) }
  public static var enomem: Errno { Errno(VSMMU_ENOMEM) }
  public static var eacces: Errno { Errno(VSMMU_EACCES) }
  public static var efault: Errno { Errno(VSMMU_EFAULT) }
  public static var ebusy: Errno { Errno(VSMMU_EBUSY) }
  public static var eexist: Errno { Errno(VSMMU_EEXIST) }
  public static var enodev: Errno { Errno(VSMMU_ENODEV) }
  public static var einval: Errno { Errno(VSMMU_EINVAL) }
  public static var emfile: Errno { Errno(VSMMU_EMFILE) }
  public static var enotty: Errno { Errno(VSMMU_ENOTTY) }
  public static var enospc: Errno { Errno(VSMMU_ENOSPC) }
  public static var espipe: Errno { Errno(VSMMU_ESPIPE) }
  public static var edeadlk: Errno { Errno(VSMMU_EDEADLK) }
  public static var enosys: Errno { Errno(VSMMU_ENOSYS) }
  public static var eproto: Errno { Errno(VSMMU_EPROTO) }
  public static var eoverflow: Errno { Errno(VSMMU_EOVERFLOW) }
  public static var ebadfd: Errno { Errno(VSMMU_EBADFD) }
  public static var emsgsize: Errno { Errno(VSMMU_EMSGSIZE) }
  public static var eopnotsupp: Errno { Errno(VSMMU_EOPNOTSUPP) }
  public static var etimedout: Errno { Errno(VSMMU_ETIMEDOUT) }
}
