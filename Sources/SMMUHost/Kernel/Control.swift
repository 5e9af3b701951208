// SPDX-License-Identifier: MIT

extension Kernel {
  /// ioctl(2) with a struct or number of the caller's, which the kernel may change.
  func control<T>(_ fd: Int32, _ request: UInt32, with argument: inout T) throws(Errno) {
    // withUnsafeMutablePointer passes no typed errors on in Embedded Swift 6.3.
    var failure: Errno?
    withUnsafeMutablePointer(to: &argument) { pointer in
      do throws(Errno) {
        try control(fd, request, UnsafeMutableRawPointer(pointer))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }
}
