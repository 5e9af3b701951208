// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import Testing

@Suite struct ErrnoTests {
  @Test("Error numbers are those of Linux")
  func numbers() {
    #expect(Errno.eperm.code == 1)
    #expect(Errno.enoent.code == 2)
    #expect(Errno.eopnotsupp.code == 95)
    #expect(Errno.etimedout.code == 110)
  }
}
