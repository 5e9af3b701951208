// SPDX-License-Identifier: MIT
import Foundation

/// Seconds of a processor that this thread spends in `body`: whatever else the machine does, they
/// are as many.
public func processorSeconds(_ body: () -> Void) -> Double {
  let before = threadSeconds()
  body()
  return threadSeconds() - before
}

/// Seconds of a processor that this thread has had.
public func threadSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
