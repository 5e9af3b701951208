// SPDX-License-Identifier: MIT
import CSupport

/// A pthread mutex: Embedded Swift has none of its own.
public struct Mutex {
  private let raw: UnsafeMutableRawPointer

  public init?() {
    guard let raw = vsmmu_support_mutex_create() else { return nil }
    self.raw = raw
  }

  public func destroy() { vsmmu_support_mutex_destroy(raw) }

  @inline(__always)
  public func locked<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    lock()
    defer { unlock() }
    return try body()
  }

  @inline(__always)
  private func lock() {
    #if EXPLORE
      if let explorer { return explorer.lock(raw) }
    #endif
    vsmmu_support_mutex_lock(raw)
  }

  @inline(__always)
  private func unlock() {
    #if EXPLORE
      if let explorer { return explorer.unlock(raw) }
    #endif
    vsmmu_support_mutex_unlock(raw)
  }
}
