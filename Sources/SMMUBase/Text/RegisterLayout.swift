// SPDX-License-Identifier: MIT
import SMMUSpec

extension IdentificationRegister {
  /// `fields`, but not a table of them wherever it is used.
  public var layout: [Field] { @inline(never) get { fields } }
}
