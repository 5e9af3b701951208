// SPDX-License-Identifier: MIT
// What several threads share is made of this module's parts alone: atomic words, fences, locks and
// waits. Users get those of the standard library. A build with EXPLORE has them ask a test's
// scheduler first (`Explorer`), which then decides who runs and what a load returns.
#if !EXPLORE
  @_exported import Synchronization
#endif
