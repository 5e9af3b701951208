// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUEmulated

/// Random clients: whatever they ask for in whatever order, counts add up, STEs say what the
/// attachments are, and the end of all files leaves nothing.
@Suite struct EmulatedSimulationTests {
  private static let versions = [EmulatedKernelVersion.linux73, .linux72, .linked]

  @Test("Random calls keep the rules")
  func randomCalls() {
    var successes = [Int](repeating: 0, count: RandomClient.kinds)
    for seed in UInt64(1)...120 {
      var client = RandomClient(seed, Self.versions[Int(seed % 3)])
      for step in 0..<500 {
        let (kind, isFine) = client.step()
        if isFine { successes[kind] += 1 }
        let broken = client.bench.host.check()
        guard broken.count == 0 else {
          Issue.record("seed \(seed), step \(step), kind \(kind): \(text(broken.sentence))")
          return
        }
      }
      client.closeAll()
      let left = client.bench.host.counters
      #expect(left.objects == 0 && left.files == 0 && left.pins == 0, "seed \(seed)")
      #expect(client.bench.host.check().count == 0, "seed \(seed)")
    }
    // Each kind of call was not only refused.
    #expect(successes.allSatisfy { $0 > 50 }, "\(successes)")
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
  static let kinds = 16

  init(_ seed: UInt64, _ version: EmulatedKernelVersion) {
    // Few VMIDs, so that they run out and are quick to check.
    var configuration = EmulatedConfiguration()
    (configuration.version, configuration.vmidBits) = (version, 8)
    configuration.smmus[0].flags = .vmid8
    // No DMA fills one; each check of all rules looks at every entry.
    configuration.smmus[0].tlbEntries = 16
    configuration.devices[0].pasidBits = 4
    bench = EmulatedBench(configuration)
    random = SeededRandom(seed: seed)
    memory = bench.memory(1 << 20)
  }

  private mutating func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
  private mutating func id() -> UInt32 { UInt32(pick(20)) }

  /// Mostly the id of an object that suits the call.
  private mutating func id(_ suits: (ObjectEntry) -> Bool) -> UInt32 {
    var ids: [UInt32] = []
    for file in bench.host.kernel.iommufds {
      file.objects.each { if suits($0), let object = $0.object { ids.append(object.id) } }
    }
    return ids.isEmpty || pick(4) == 0 ? id() : ids[pick(ids.count)]
  }

  private static func isIOAS(_ entry: ObjectEntry) -> Bool {
    if case .ioas = entry { true } else { false }
  }
  private static func isViommu(_ entry: ObjectEntry) -> Bool {
    if case .viommu = entry { true } else { false }
  }
  private static func isTable(_ entry: ObjectEntry) -> Bool {
    switch entry {
    case .paging, .nested, .ioas: true
    default: false
    }
  }

  private mutating func device() -> (fd: Int32, id: UInt32) {
    devices.isEmpty ? (-1, 0) : devices[pick(devices.count)]
  }

  /// One call, and whether it was granted.
  mutating func step() -> (kind: Int, isFine: Bool) {
    let kind = pick(Self.kinds)
    let b = id()
    let (fd, device) = device()
    switch kind {
    case 0: return (kind, pick(4) > 0 || bench.ioas() > 0)
    case 1: return (kind, open())
    case 2: return (kind, bench.hwpt(device, id(Self.isIOAS), flags: [0, 1, 1, 8][pick(4)]) > 0)
    case 3: return (kind, bench.viommu(device, id(Self.isTable)) > 0)
    case 4: return (kind, bench.vdevice(device, id(Self.isViommu), UInt64(b)) > 0)
    case 5:
      return (kind, bench.nested(device, id(Self.isViommu), [1, 9, 0x4001_000b, 0][pick(4)]) > 0)
    case 6, 7: return (kind, bench.attach(fd, id(Self.isTable)) == 0)
    case 8: return (kind, bench.attach(fd, id(Self.isTable), pasid: b) == 0)
    case 9: return (kind, bench.detach(fd) == 0)
    case 10, 11: return (kind, bench.destroy(id()) == 0)
    case 12: return (kind, queue(id(Self.isViommu)))
    case 13: return (kind, close())
    case 14: return (kind, remap(id(Self.isIOAS), UInt64(b)))
    default:
      let command = CommandWords(pick(2) == 0 ? 0x10 : 5 | UInt64(b) << 32, 0)
      return (kind, bench.invalidate(id(Self.isViommu), [command]).result == 0)
    }
  }

  private mutating func open() -> Bool {
    let device = bench.device(pick(2))
    guard device.id > 0 else { return bench.close(device.fd) != 0 }
    devices.append(device)
    return true
  }

  private mutating func queue(_ viommu: UInt32) -> Bool {
    let queue = bench.eventQueue(viommu, depth: 2)
    guard queue.result == 0 else { return false }
    queues.append(queue.fd)
    return true
  }

  private mutating func close() -> Bool {
    if pick(8) == 0, !devices.isEmpty {
      return bench.close(devices.remove(at: pick(devices.count)).fd) == 0
    }
    return !queues.isEmpty && bench.close(queues.remove(at: pick(queues.count))) == 0
  }

  private mutating func remap(_ ioas: UInt32, _ place: UInt64) -> Bool {
    let mapped = bench.map(ioas, place << 16, memory, 1 << 16)
    _ = bench.unmap(ioas, UInt64(pick(14)) << 16, 1 << 17)
    return mapped == 0
  }

  mutating func closeAll() {
    // In any order: who is needed lives on.
    var files = devices.map(\.fd) + queues + [bench.iommu]
    while !files.isEmpty { _ = bench.close(files.remove(at: pick(files.count))) }
  }
}
