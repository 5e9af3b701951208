// SPDX-License-Identifier: MIT
import CSupport

/// The turns of a wait that nobody rings for: of a few instructions of another thread, which may
/// have been stopped in their midst.
public struct Patience {
  private var turns: UInt32 = 0

  public init() {}

  public mutating func take() {
    #if EXPLORE
      if let explorer { return explorer.relax() }
    #endif
    vsmmu_support_relax(turns)
    turns &+= 1
  }
}
