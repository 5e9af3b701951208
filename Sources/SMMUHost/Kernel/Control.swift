// SPDX-License-Identifier: MIT
import SMMUBase

/// ioctl(2) with a struct or number of the caller's, which the kernel may change. Not a method, as
/// Embedded Swift has no generic ones on existentials.
@discardableResult
func control<T>(
  _ kernel: any Kernel, fd: Int32, request: UInt32, argument: inout T
) throws(Errno) -> Int64 {
  // withUnsafeMutablePointer passes no typed errors on in Embedded Swift 6.3.
  var failure: Errno?
  var result: Int64 = 0
  withUnsafeMutablePointer(to: &argument) { pointer in
    do throws(Errno) {
      result = try kernel.control(
        fd, request: request, argument: UnsafeMutableRawPointer(pointer))
    } catch {
      failure = error
    }
  }
  if let failure { throw failure }
  return result
}
