// SPDX-License-Identifier: MIT
import CSupport

/// Memory for all that a call can allocate, taken before it begins: Swift's own allocations cannot
/// fail softly (vsmmu_reserve.h). Whoever asks for a number of bytes knows a bound of what follows,
/// each block with 16 bytes more and as many as its alignment; Tests/Memory proves the bounds.
public struct Reserve {
  private let raw: UnsafeMutableRawPointer

  /// nil if there is no memory.
  public init?(bytes: Int) {
    guard let raw = vsmmu_support_reserve(UInt64(max(0, bytes))) else { return nil }
    self.raw = raw
  }

  public func giveBack() { vsmmu_support_reserve_give_back(raw) }

  /// Runs what may draw on it.
  public func covering<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    vsmmu_support_reserve_open(raw)
    defer { vsmmu_support_reserve_close(raw) }
    return try body()
  }
}

/// Runs what allocates at most that many bytes; an error, and nothing done, where there are none.
public func reserving<R, E: Error>(
  _ bytes: Int, orThrow refusal: @autoclosure () -> E, _ body: () throws(E) -> R
) throws(E) -> R {
  guard let reserve = Reserve(bytes: bytes) else { throw refusal() }
  defer { reserve.giveBack() }
  return try reserve.covering(body)
}
