// SPDX-License-Identifier: MIT
import SMMUBase

/// What KVM needs of the kernel's descriptors.
protocol FileTable: AnyObject {
  /// A descriptor for a new file. EMFILE.
  func install(_ file: File) throws(Errno) -> Int32
  /// EBADF.
  func file(_ fd: Int32) throws(Errno) -> File
  /// It is an open VFIO character device.
  func isVFIODevice(_ file: File) -> Bool
}
