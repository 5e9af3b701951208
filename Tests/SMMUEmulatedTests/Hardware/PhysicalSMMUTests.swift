// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUEmulated

@Suite struct PhysicalSMMUTests {
  @Test("An aborting stream is silent, one that was never there is not")
  func silence() throws {
    let bench = try Bench()
    bench.smmu.install(.abort, for: 8)
    #expect(bench.read(8, Bench.ipa).1.kind == .abort)
    #expect(bench.read(9, Bench.ipa).1.kind == .abort)
    #expect(bench.events().isEmpty)
    #expect(bench.read(0x800, Bench.ipa).1.event == .badStreamID)
    #expect(bench.events().count == 1)
  }

  @Test("DMA reaches process memory through stage 2, in both directions")
  func stage2() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 8)
    bench.memory.word(0x1238).value = 0x1122_3344_5566_7788
    #expect(bench.read(8, Bench.ipa + 0x1238).0 == 0x1122_3344_5566_7788)
    #expect(bench.write(8, Bench.ipa + 0x3_0000, 77).kind == .ok)
    #expect(bench.memory.word(0x3_0000).value == 77)
    #expect(bench.entry(of: 8)[StreamTableEntry.s2vmid] == UInt64(bench.vmid))
  }

  @Test("A fault becomes an event with the StreamID, the IPA and S2")
  func fault() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 0x1234)
    #expect(bench.read(0x1234, 0x4000).1.event == .translation)
    let events = bench.events()
    #expect(events.count == 1)
    #expect(events.first?[EventRecord.number] == 0x10)
    #expect(events.first?[EventRecord.streamID] == 0x1234)
    #expect(events.first?.flag(EventRecord.s2) == true)
    #expect(events.first?[EventRecord.inputAddr] == 0x4000)
    #expect(bench.events().isEmpty)
  }

  @Test("More events than the queue holds are lost; later ones are not")
  func overflow() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 8)
    for i in 0..<600 as Range<UInt64> { _ = bench.read(8, i << 12) }
    #expect(bench.events().count == 512)
    _ = bench.read(8, 0x5000)
    #expect(bench.events().count == 1)
  }

  @Test("What was unmapped stays reachable until the TLBI, and no longer")
  func stale() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 8)
    #expect(bench.read(8, Bench.ipa).1.kind == .ok)
    bench.second.unmap(Bench.ipa, length: 4096)
    #expect(bench.read(8, Bench.ipa).1.kind == .ok)
    try bench.smmu.issue([bench.forgetPage(Bench.ipa)])
    #expect(bench.read(8, Bench.ipa).1.kind == .abort)
    #expect(bench.read(8, Bench.ipa + 4096).1.kind == .ok)
  }

  @Test("A command that the SMMU does not know times out; those around it take effect")
  func illegalCommand() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 8)
    _ = bench.read(8, Bench.ipa)
    _ = bench.read(8, Bench.ipa + 4096)
    bench.second.unmap(Bench.ipa, length: 8192)
    // CFGI_CD with SSec.
    let illegal = CommandWords(0x05 | 1 << 10 | 8 << 32, 1)
    do throws(Errno) {
      try bench.smmu.issue([
        bench.forgetPage(Bench.ipa), illegal, bench.forgetPage(Bench.ipa + 4096),
      ])
      Issue.record("no error")
    } catch {
      #expect(error == .etimedout)
    }
    #expect(bench.read(8, Bench.ipa).1.kind == .abort)
    #expect(bench.read(8, Bench.ipa + 4096).1.kind == .abort)
    try bench.smmu.issue([bench.forgetPage(Bench.ipa)])
  }

  @Test("A batch larger than the command queue goes in pieces")
  func largeBatch() throws {
    let bench = try Bench()
    let before = bench.smmu.commandCount
    try bench.smmu.issue(Array(repeating: bench.forgetPage(Bench.ipa), count: 1000))
    #expect(bench.smmu.commandCount - before == 1001)
  }

  @Test("With the erratum a TLBI takes effect when it comes the second time")
  func repeats() throws {
    var configuration = PhysicalConfiguration()
    configuration.flags = .repeats
    let bench = try Bench(configuration)
    #expect(bench.smmu.information.flags == 1)
    bench.smmu.install(bench.entry(), for: 8)
    _ = bench.read(8, Bench.ipa)
    bench.second.unmap(Bench.ipa, length: 4096)
    // Batches of other users between do not count.
    try bench.smmu.issue([bench.forgetPage(Bench.ipa)])
    try bench.smmu.issue([bench.forgetPage(Bench.ipa + 4096)])
    #expect(bench.read(8, Bench.ipa).1.kind == .ok)
    try bench.smmu.issue([bench.forgetPage(Bench.ipa)])
    #expect(bench.read(8, Bench.ipa).1.kind == .abort)
    // The driver repeats its own.
    bench.smmu.install(.abort, for: 8)
    #expect(bench.read(8, Bench.ipa + 4096).1.kind == .abort)
    bench.smmu.install(bench.entry(), for: 8)
    #expect(bench.read(8, Bench.ipa + 4096).1.kind == .ok)
  }

  @Test("Flags and extra bits show in the raw registers, errata in IIDR")
  func information() throws {
    var configuration = PhysicalConfiguration()
    configuration.flags = [.noFWB, .vmid8, .noNesting]
    configuration.extraIDR0 = 2 << 6
    configuration.extraIDR3 = 1 << 7
    let smmu = try Bench(configuration).smmu
    #expect(smmu.information.idr.0 >> 6 & 3 == 2)
    #expect(smmu.information.idr.0 >> 18 & 1 == 0)
    #expect(smmu.information.idr.3 >> 8 & 1 == 0)
    #expect(smmu.information.idr.3 >> 7 & 1 == 1)
    #expect(smmu.information.iidr == 0x483 << 20 | 1 << 16 | 0x43b)
    #expect(!smmu.canNest)
    configuration.flags = .noFWB
    #expect(try Bench(configuration).smmu.canNest)
    #expect(try !Bench(configuration).smmu.canHaveVIOMMU)
    configuration.flags = [.noFWB, .canWBS]
    #expect(try Bench(configuration).smmu.canHaveVIOMMU)
    configuration.features[.idr5, IDR5.oas] = 2
    let small = try Bench(configuration).smmu
    #expect(small.outputBits == 40)
    #expect(small.information.idr.5 & 7 == 2)
  }

  @Test("Addresses and lengths that no DMA has end in an abort")
  func hostile() throws {
    let bench = try Bench()
    bench.smmu.install(bench.entry(), for: 8)
    bench.smmu.install(bench.entry(), for: .max)
    #expect(bench.smmu.entry(of: .max)[StreamTableEntry.config] == 0)
    #expect(bench.read(.max, 0).1.kind == .abort)
    #expect(bench.read(8, .max).1.kind == .abort)
    var bypass = StreamTableEntry()
    bypass[StreamTableEntry.v] = 1
    bypass[StreamTableEntry.config] = 4
    bench.smmu.install(bypass, for: 9)
    for address in [0, 8, 1 << 48, .max - 7] as [UInt64] {
      #expect(bench.read(9, address).1.kind == .abort)
    }
    #expect(bench.read(9, bench.memory.address).1.kind == .ok)
  }
}

extension Bench {
  func entry(of stream: StreamID) -> StreamTableEntry { smmu.entry(of: stream) }
}
