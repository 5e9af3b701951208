// SPDX-License-Identifier: MIT
import CKernel

extension Errno {
  /// "EBUSY"; nil for a number that the host side never meets.
  public var name: StaticString? {
    switch self {
    case .eperm: "EPERM"
    case .enoent: "ENOENT"
    case .eintr: "EINTR"
    case .eio: "EIO"
    case .enxio: "ENXIO"
    case .e2big: "E2BIG"
    case .ebadf: "EBADF"
    case .eagain: "EAGAIN"
    case .enomem: "ENOMEM"
    case .eacces: "EACCES"
    case .efault: "EFAULT"
    case .ebusy: "EBUSY"
    case .eexist: "EEXIST"
    case .enodev: "ENODEV"
    case .einval: "EINVAL"
    case .emfile: "EMFILE"
    case .enotty: "ENOTTY"
    case .enospc: "ENOSPC"
    case .espipe: "ESPIPE"
    case .edeadlk: "EDEADLK"
    case .enosys: "ENOSYS"
    case .eproto: "EPROTO"
    case .eoverflow: "EOVERFLOW"
    case .ebadfd: "EBADFD"
    case .emsgsize: "EMSGSIZE"
    case .eopnotsupp: "EOPNOTSUPP"
    case .etimedout: "ETIMEDOUT"
    default: nil
    }
  }
}

extension Sentence {
  /// The error's name, or "errno 42".
  public mutating func append(_ error: Errno) {
    if let name = error.name { return append(name) }
    append("errno ")
    append(UInt64(error.code.magnitude))
  }
}
