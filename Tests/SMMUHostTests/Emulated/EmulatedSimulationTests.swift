// SPDX-License-Identifier: MIT
import CKernel
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUHost

/// Random clients: whatever they ask for in whatever order, counts add up, STEs say what the
/// attachments are, and the end of all files leaves nothing.
@Suite struct EmulatedSimulationTests {
  private static let versions = [EmulatedKernelVersion.linux73, .linux72, .linked]

  @Test("Random calls keep the rules", arguments: 1...12 as ClosedRange<UInt64>)
  func randomCalls(_ seed: UInt64) {
    var client = RandomClient(seed, Self.versions[Int(seed % 3)])
    for step in 0..<400 {
      client.step()
      let (count, sentence) = client.bench.host.check()
      guard count == 0 else {
        Issue.record("seed \(seed), step \(step): \(client.last): \(text(sentence))")
        return
      }
    }
    client.closeAll()
    let left = client.bench.host.counters
    #expect(left.objects == 0 && left.files == 0 && left.pins == 0, "seed \(seed)")
    #expect(client.bench.host.check().count == 0, "seed \(seed)")
  }

  private func text(_ sentence: Sentence) -> String {
    var text = ""
    sentence.withCString { text = String(cString: $0) }
    return text
  }

  @Test("Engines run while attachments and mappings change")
  func concurrency() async {
    let bench = NestedBench(.linux73, virtualID: 8)
    bench.writeContext()
    bench.map(0x5000, to: NestedBench.ram + 0x10_0000)
    let queue = bench.base.eventQueue(bench.viommu, depth: 8)
    let tables = [
      bench.nested(NestedBench.stage1.0, NestedBench.stage1.1), bench.nested(9), bench.nested(1),
    ]
    let host = Shared(bench)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          for _ in 0..<300 {
            _ = host.bench.read(0x5000)
            _ = host.bench.read(NestedBench.ram + 0x10_0000)
          }
        }
      }
      group.addTask {
        for i in 0..<150 {
          _ = host.bench.attach(tables[i % 3])
          _ = host.bench.base.unmap(host.bench.ioas, NestedBench.ram, 4 << 20)
          _ = host.bench.base.map(host.bench.ioas, NestedBench.ram, host.bench.memory, 4 << 20)
          _ = host.bench.base.invalidate(host.bench.viommu, 0x30)
          _ = host.bench.events(queue.fd)
        }
      }
    }
    #expect(bench.base.host.check().count == 0)
  }

  private struct Shared: @unchecked Sendable {
    let bench: NestedBench
    init(_ bench: NestedBench) { self.bench = bench }
  }
}

/// Calls with ids and descriptors that mostly exist.
private struct RandomClient {
  let bench: EmulatedBench
  private var random: SeededRandom
  private var devices: [(fd: Int32, id: UInt32)] = []
  private var queues: [Int32] = []
  private let memory: UnsafeMutableRawPointer
  private(set) var last = ""

  init(_ seed: UInt64, _ version: EmulatedKernelVersion) {
    bench = EmulatedBench(version)
    random = SeededRandom(seed: seed)
    memory = bench.memory(1 << 20)
  }

  private mutating func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
  private mutating func id() -> UInt32 { UInt32(pick(14)) }
  private mutating func device() -> (fd: Int32, id: UInt32) {
    devices.isEmpty ? (-1, 0) : devices[pick(devices.count)]
  }

  mutating func step() {
    let kind = pick(16)
    let (a, b) = (id(), id())
    let (fd, device) = device()
    last = "\(kind) \(a) \(b) \(fd) \(device)"
    switch kind {
    case 0: _ = bench.ioas()
    case 1: devices.append(bench.device(pick(2)))
    case 2: _ = bench.hwpt(device, a, flags: [0, 1, 1, 8][pick(4)])
    case 3: _ = bench.viommu(device, a)
    case 4: _ = bench.vdevice(device, a, UInt64(b))
    case 5: _ = bench.nested(device, a, [1, 9, 0x4001_000b, 0][pick(4)])
    case 6, 7: _ = bench.attach(fd, a)
    case 8: _ = bench.attach(fd, a, pasid: b)
    case 9: _ = bench.detach(fd)
    case 10: _ = bench.destroy(a)
    case 11:
      let queue = bench.eventQueue(a, depth: 2)
      if queue.result == 0 { queues.append(queue.fd) }
    case 12 where !queues.isEmpty: _ = bench.close(queues.remove(at: pick(queues.count)))
    case 13 where !devices.isEmpty && pick(4) == 0:
      _ = bench.close(devices.remove(at: pick(devices.count)).fd)
    case 14:
      _ = bench.map(a, UInt64(b) << 16, memory, 1 << 16)
      _ = bench.unmap(a, UInt64(b &* 7 % 14) << 16, 1 << 17)
    default: _ = bench.invalidate(a, [CommandWords(0x10, 0), CommandWords(5 | UInt64(b) << 32, 0)])
    }
  }

  mutating func closeAll() {
    // In any order: who is needed lives on.
    var files = devices.map(\.fd) + queues + [bench.iommu]
    while !files.isEmpty { _ = bench.close(files.remove(at: pick(files.count))) }
  }
}
