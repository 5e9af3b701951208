// SPDX-License-Identifier: MIT
import SMMUEmulated
import SMMUHost
import TestSupport
import Testing

@Suite struct KernelThreadTests {
  @Test("Calls of several threads are all counted, and each order to fail is carried out once")
  func threads() async {
    nonisolated(unsafe) let injector = FailureInjector.make(before: ScriptedKernel())!
    nonisolated(unsafe) let recorder = Recorder.make(before: injector)!
    for nth in 1...10 as ClosedRange<UInt32> {
      #expect(
        injector.add(FailureRule(.control, request: 0x3b80, nth: nth * 700, effect: .error(.eio))))
    }
    let failures = await withTaskGroup(of: Int.self) { group in
      for thread in 0..<4 as Range<UInt32> {
        group.addTask {
          var failures = 0
          for i in 0..<2500 as Range<UInt32> {
            let request = i % 2 == 0 ? 0x3b80 : 0x3b81 + thread
            if (try? recorder.control(3, request: request, argument: nil)) == nil { failures += 1 }
            _ = try? recorder.poll(3)
          }
          return failures
        }
      }
      return await group.reduce(0, +)
    }
    #expect(recorder.count(of: .control) == 10_000)
    #expect(recorder.count(of: 0x3b80) == 5000)
    #expect(recorder.count(of: 0x3b84) == 1250)
    #expect(recorder.count(of: .poll) == 10_000)
    // 7 of the 10 orders were due within 5000 calls; a call that fails counts like any other.
    #expect(failures == 7 && injector.pending == 3)
  }
}
