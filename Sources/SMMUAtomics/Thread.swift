// SPDX-License-Identifier: MIT
import CSupport

public enum Thread {
  /// The kernel's number of this thread.
  @inline(__always)
  public static var number: UInt32 {
    #if EXPLORE
      if let explorer { return explorer.threadNumber }
    #endif
    return vsmmu_support_thread()
  }

  /// Prepares for child processes; to be called before the first lock.
  public static func watchForks() { vsmmu_support_watch_forks() }
}

public enum Clock {
  /// Of the monotonic clock.
  public static var milliseconds: UInt64 { vsmmu_support_milliseconds() }
}
