// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUEmulated

@Suite struct GuestCommandTests {
  struct Row: Sendable {
    let low: UInt64
    let high: UInt64
    let isFine: Bool
    init(_ low: UInt64, _ high: UInt64, _ isFine: Bool) {
      (self.low, self.high, self.isFine) = (low, high, isFine)
    }
  }

  private static let sid: UInt64 = 8 << 32
  private static let range: UInt64 = 1 << 10
  static let rows = [
    Row(0x12 | 7 << 48 | 9 << 32, 0x1001, true), Row(0x12 | 1 << 8, 0x1000, false),
    Row(0x12, 0x1002, false), Row(0x12 | 3 << 12, 0x1000 | range, true),
    Row(0x12 | 3 << 12, 0x1000, false), Row(0x12 | 3 << 20, 0x1000, false),
    Row(0x12, 0x1000 | 2 << 8, false), Row(0x12, 0x1000 | range, false),
    Row(0x12, 0x1000 | range | 2 << 8, true), Row(0x12, 0x1000 | 2 << 10 | 1 << 8, false),
    Row(0x12, 0x1000 | 2 << 10 | 2 << 8, true), Row(0x12 | 1 << 25, 0x1000 | range, false),
    Row(0x13, 0x1000, true), Row(0x13 | 7 << 48, 0x1000, false), Row(0x11 | 7 << 48, 0, true),
    Row(0x11, 1, false), Row(0x10 | 3 << 32, 0, true), Row(0x10 | 1 << 48, 0, false),
    Row(0x30, 0, true), Row(0x30 | 1 << 32, 0, false), Row(0x30, 1, false),
    Row(5 | sid | 9 << 12, 1, true), Row(5 | sid | 1 << 11, 0, false), Row(5 | sid, 2, false),
    Row(6 | sid, 0, true), Row(6 | sid | 1 << 12, 0, false), Row(6 | 7 << 32, 0, false),
    Row(0x40 | sid, 0, false),
  ]

  @Test("Since 7.3 every bit of a command is a field that it has", arguments: rows)
  func fields(_ row: Row) {
    let bench = NestedBench(.linux73, virtualID: 8)
    let answer = bench.base.invalidate(bench.viommu, row.low, row.high)
    #expect(answer == (row.isFine ? (0, 1) : (-5, 0)))
  }

  static let batches: [(count: Int, bad: Int, issued: UInt64)] = [
    (5, 3, 0), (64, 63, 63 + 1), (200, 130, 126 + 2),
  ]

  @Test("An error counts commands that were not issued", arguments: batches)
  func pathology(_ batch: (count: Int, bad: Int, issued: UInt64)) {
    let bench = NestedBench(.linux73, virtualID: 8)
    var commands = Array(repeating: CommandWords(0x12, 0x1000), count: batch.count)
    commands[batch.bad] = CommandWords(0x46, 0)
    let before = bench.base.host.counters.commands
    let answer = bench.base.invalidate(bench.viommu, commands)
    #expect(answer == (-5, UInt32(batch.bad)))
    #expect(bench.base.host.counters.commands - before == batch.issued)
  }

  @Test("A block at which the queue stops counts but for its last command")
  func timeout() {
    let bench = NestedBench(.linux72, virtualID: 8)
    var commands = Array(repeating: CommandWords(0x12, 0x1000), count: 200)
    commands[70] = CommandWords(5 | 1 << 10 | Self.sid, 1)
    #expect(bench.base.invalidate(bench.viommu, commands) == (-110, 125))
  }

  @Test("A guest's VMID and StreamID are the host's on the queue: it reaches its own alone")
  func rewriting() {
    let bench = NestedBench(.linux73, virtualID: 8)
    bench.writeContext()
    let page = NestedBench.ram + 0x10_0000
    bench.map(0x5000, to: page)
    #expect(bench.attach(bench.nested(NestedBench.stage1.0, NestedBench.stage1.1)) == 0)
    #expect(bench.read(0x5000).kind == .ok)
    bench.map(0x5000, to: nil)
    // The guest names VMID 0x55.
    #expect(bench.base.invalidate(bench.viommu, 0x11 | 7 << 48 | 0x55 << 32) == (0, 1))
    #expect(bench.read(0x5000).kind == .abort)
    // A context that was changed is seen after CFGI_CD of the guest's StreamID.
    bench.map(0x5000, to: page)
    #expect(bench.read(0x5000).kind == .ok)
    bench[NestedBench.context] = 0
    _ = bench.base.invalidate(bench.viommu, 0x10)
    #expect(bench.read(0x5000).kind == .ok)
    #expect(bench.base.invalidate(bench.viommu, 5 | Self.sid, 1) == (0, 1))
    #expect(bench.read(0x5000).kind == .abort)
  }

  @Test("An SMMU that wants TLBI and CFGI twice stays stale after one ioctl, not after two")
  func erratum() {
    var configuration = EmulatedConfiguration()
    configuration.smmus[0].flags = .repeats
    let bench = NestedBench(configuration, virtualID: 8)
    bench.writeContext()
    bench.map(0x5000, to: NestedBench.ram)
    #expect(bench.attach(bench.nested(NestedBench.stage1.0, NestedBench.stage1.1)) == 0)
    #expect(bench.read(0x5000).kind == .ok)
    bench.map(0x5000, to: nil)
    for kind in [Translation.Kind.ok, .abort] {
      #expect(bench.base.invalidate(bench.viommu, 0x10) == (0, 1))
      #expect(bench.read(0x5000).kind == kind)
    }
    // The kernel itself repeats what it sends.
    bench.map(0x5000, to: NestedBench.ram)
    #expect(bench.read(0x5000).kind == .ok)
    #expect(bench.base.unmap(bench.ioas, NestedBench.ram, 4 << 20) == 0)
    #expect(bench.read(0x5000).kind == .abort)
  }
}
