// SPDX-License-Identifier: MIT
// A target that makes an `any Kernel` of a class gets its witness table once more, and with that
// the tables of all that the class calls. So users of this target have it made here.
import SMMUBase

extension LinuxKernel {
  @inline(never)
  public static func kernel() -> any Kernel { LinuxKernel() }
}

extension Recorder {
  public var asKernel: any Kernel { @inline(never) get { self } }
}
