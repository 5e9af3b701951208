// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec
import Testing

@testable import SMMUEmulated

/// DMA through a guest's stage 1 over the kernel's stage 2, as a real host does it.
@Suite struct NestedDMATests {
  private let page: UInt64 = NestedBench.ram + 0x10_0000
  private let iova: UInt64 = 0x12_3456_7000
  private let virtualID: UInt64 = 0x1234

  private func translating() -> (NestedBench, Int32) {
    let bench = NestedBench(.linux73, virtualID: virtualID)
    bench.writeContext()
    bench.map(iova, to: page)
    let queue = bench.base.eventQueue(bench.viommu, depth: 2)
    let stage1 = bench.nested(NestedBench.stage1.0, NestedBench.stage1.1)
    #expect(bench.attach(stage1) == 0)
    return (bench, queue.fd)
  }

  @Test("Stage 1 over stage 2; stale until it is invalidated")
  func invalidation() {
    let (bench, _) = translating()
    bench[page + 8] = 0xfeed
    #expect(bench.read(iova + 8) == (0xfeed, .ok))
    bench.map(iova, to: nil)
    #expect(bench.read(iova + 8) == (0xfeed, .ok))
    let command = CommandWords(0x12 | NestedBench.asid << 48, iova | 1)
    #expect(bench.base.invalidate(bench.viommu, [command]) == (0, 1))
    #expect(bench.read(iova + 8).kind == .abort)
    #expect(bench.base.host.check().count == 0)
  }

  @Test("A fault reaches the vEVENTQ in the guest's name, lost ones leave a header and a gap")
  func events() {
    let (bench, fd) = translating()
    let hole = iova + 0x1000
    #expect(bench.base.poll(fd) == 0)
    for i in 0..<4 { #expect(bench.write(hole + UInt64(i) * 8, 1) == .abort) }
    #expect(bench.base.poll(fd) == 1)
    #expect(vsmmu_system_poll(fd) & 1 == 1)
    let (short, _) = bench.base.read(fd, 39)
    #expect(short == -22)
    let events = bench.events(fd)
    #expect(events.count == 3)
    #expect(events[0][1] == 0 && events[0][2] & 0xff == 0x10)
    #expect(events[0][2] >> 32 == virtualID && events[0][4] == hole)
    #expect(events[1][1] == 1)
    #expect(events[2] == [1, 3])
    #expect(bench.base.poll(fd) == 0)
    #expect(vsmmu_system_poll(fd) & 1 == 0)
    #expect(bench.write(hole, 1) == .abort)
    #expect(bench.events(fd).map { $0[1] } == [4])
  }

  @Test("Faults of stage 2 are the host's own affair")
  func stage2Fault() {
    let (bench, fd) = translating()
    bench.map(iova, to: NestedBench.ram + 0x1000_0000)
    #expect(bench.read(iova).kind == .abort)
    #expect(bench.base.poll(fd) == 0)
  }

  @Test("Bypass is stage 2 alone, abort is silent, detached is blocked")
  func otherPolicies() {
    let (bench, fd) = translating()
    bench[page] = 0xbeef
    #expect(bench.attach(bench.nested(0b1001)) == 0)
    #expect(bench.read(page) == (0xbeef, .ok))
    #expect(bench.read(0x1000).kind == .abort)
    #expect(bench.attach(bench.nested(1)) == 0)
    #expect(bench.read(page).kind == .abort)
    #expect(bench.base.detach(bench.fd) == 0)
    #expect(bench.read(page).kind == .abort)
    #expect(bench.base.poll(fd) == 0)
    #expect(bench.base.attach(bench.fd, bench.ioas) == 0)
    #expect(bench.read(page) == (0xbeef, .ok))
    #expect(bench.base.host.check().count == 0)
  }

  @Test("What is unmapped from the IOAS is out of reach at once, however small or large")
  func unmap() {
    let (bench, _) = translating()
    #expect(bench.read(iova).kind == .ok)
    #expect(bench.base.unmap(bench.ioas, NestedBench.ram, UInt64(NestedBench.ramBytes)) == 0)
    #expect(bench.read(iova).kind == .abort)
    #expect(bench.base.map(bench.ioas, NestedBench.ram, bench.memory, 4 << 20) == 0)
    let extra = bench.base.memory(4096)
    #expect(bench.base.map(bench.ioas, 0x7000_0000, extra, 4096, flags: 5) == 0)
    bench.map(iova, to: 0x7000_0000)
    _ = bench.base.invalidate(bench.viommu, 0x30)
    #expect(bench.read(iova).kind == .ok)
    #expect(bench.write(iova, 1) == .abort)
    #expect(bench.base.unmap(bench.ioas, 0x7000_0000, 4096) == 0)
    #expect(bench.read(iova).kind == .abort)
  }
}
