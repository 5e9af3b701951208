// SPDX-License-Identifier: MIT
import CSupport

/// Another thread is waited for: gives it the processor.
public func relax() {
  #if EXPLORE
    if let explorer { return explorer.relax() }
  #endif
  vsmmu_support_yield()
}
