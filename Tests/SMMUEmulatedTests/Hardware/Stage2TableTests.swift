// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUEmulated

@Suite struct Stage2TableTests {
  /// What the SMMU makes of an IPA: the physical address and the size of the leaf.
  private func look(
    _ bench: Bench, _ table: Stage2Table, _ ipa: UInt64, _ flags: AccessFlags = []
  ) -> Translation {
    bench.second = table
    bench.smmu.install(bench.entry(), for: 8)
    do throws(Errno) { try bench.smmu.issue([Command.tlbiS12VMAll(bench.vmid).words]) } catch {}
    var word: UInt64 = 0
    return bench.smmu.dmaRead(Access(stream: 8, flags: flags, address: ipa), into: &word, length: 8)
  }

  @Test("Every address size has its start level, concatenated where 16 tables suffice")
  func sizes() throws {
    let bench = try Bench()
    for bits in [32, 36, 40, 42, 43, 44, 48] {
      let table = Stage2Table(outputBits: bits)
      let top: UInt64 = 1 << UInt64(bits)
      for ipa in [0, top / 2, top - 4096] {
        table.map(
          ipa, to: bench.memory.address, length: 4096, readable: true, writable: true)
        #expect(look(bench, table, ipa).kind == .ok, "\(bits) bits, \(ipa)")
      }
      #expect(look(bench, table, top).kind == .abort)
      table.map(top, to: bench.memory.address, length: 4096, readable: true, writable: true)
      table.map(top - 4096, to: bench.memory.address, length: 8192, readable: true, writable: true)
      table.unmap(.max, length: 4096)
    }
  }

  @Test("A gigabyte is a block only where the start level has such")
  func gigabytes() throws {
    let bench = try Bench()
    for bits in [32, 36, 48] {
      let table = Stage2Table(outputBits: bits)
      table.map(1 << 31, to: 1 << 40, length: 1 << 30, readable: true, writable: true)
      // What is at that address is never looked at: the access ends at a page that is unmapped.
      table.unmap(1 << 31 + 0x7000, length: 4096)
      #expect(look(bench, table, 1 << 31 + 0x7000).kind == .abort)
      table.map(
        1 << 31 + 0x7000, to: bench.memory.address, length: 4096, readable: true, writable: true)
      #expect(look(bench, table, 1 << 31 + 0x7000).pageBits == 12)
    }
  }

  @Test("Memory that comes and goes in pieces of other sizes takes no more tables each time")
  func reuse() throws {
    let bench = try Bench(bytes: 1 << 23)
    let table = Stage2Table(outputBits: 40)
    let block: UInt64 = 1 << 21
    let memory = (bench.memory.address + block - 1) & ~(block - 1)
    var counts: Set<Int> = []
    for _ in 0..<20 {
      table.map(0, to: memory, length: 4096, readable: true, writable: true)
      table.unmap(0, length: 4096)
      table.map(0, to: memory, length: block, readable: true, writable: true)
      #expect(look(bench, table, block - 4096).address == memory + block - 4096)
      table.unmap(0, length: block)
      #expect(look(bench, table, 0).kind == .abort)
      counts.insert(table.tables.count)
    }
    #expect(counts.count == 1)
  }

  @Test("Readable and writable are S2AP")
  func permissions() throws {
    let bench = try Bench()
    let table = Stage2Table(outputBits: 40)
    table.map(0, to: bench.memory.address, length: 4096, readable: true, writable: false)
    table.map(4096, to: bench.memory.address, length: 4096, readable: false, writable: true)
    bench.second = table
    bench.smmu.install(bench.entry(), for: 8)
    #expect(bench.read(8, 0).1.kind == .ok)
    #expect(bench.write(8, 0, 1).event == .permission)
    #expect(bench.read(8, 4096).1.event == .permission)
    #expect(bench.write(8, 4096, 1).kind == .ok)
  }

  @Test("Blocks where both addresses allow them; a hole in one leaves the rest")
  func blocks() throws {
    let bench = try Bench(bytes: 1 << 23)
    let start = (bench.memory.address + 0x1f_ffff) & ~0x1f_ffff
    let table = Stage2Table(outputBits: 48)
    table.map(0x40_0000, to: start, length: 0x40_0000, readable: true, writable: true)
    func pageBits(_ ipa: UInt64) -> UInt8 { look(bench, table, ipa).pageBits }
    #expect(pageBits(0x40_0000) == 21)
    #expect(pageBits(0x60_1000) == 21)
    table.unmap(0x60_1000, length: 0x1000)
    #expect(pageBits(0x40_0000) == 21)
    #expect(pageBits(0x60_0000) == 12)
    #expect(look(bench, table, 0x60_1000).kind == .abort)
    #expect(look(bench, table, 0x60_2000).kind == .ok)
    table.map(0x60_1000, to: start, length: 0x1000, readable: true, writable: true)
    #expect(look(bench, table, 0x60_1000).kind == .ok)
    // 2 MiB of IPA, but no 2 MiB of memory.
    table.map(0x80_0000, to: start + 4096, length: 0x20_0000, readable: true, writable: true)
    #expect(pageBits(0x80_0000) == 12)
  }

  @Test("Random maps and unmaps leave what a list of pages says")
  func random() throws {
    var random = SeededRandom("Stage2TableTests.random", default: 20_261_121)
    let bench = try Bench()
    let table = Stage2Table(outputBits: 40)
    let pages: UInt64 = 2048
    let base: UInt64 = 0x10_0000_0000
    var expected = [UInt64?](repeating: nil, count: Int(pages))
    for _ in 0..<400 {
      let first = UInt64(random.below(Int(pages)))
      let count = min(UInt64(1 + random.below(random.chance(10) ? 1024 : 20)), pages - first)
      let range = Int(first)..<Int(first + count)
      if random.chance(60), expected[range].allSatisfy({ $0 == nil }) {
        let to = UInt64(random.below(Int(1024 - min(count, 1023)))) << 12
        table.map(
          base + first << 12, to: bench.memory.address + to, length: count << 12, readable: true,
          writable: true)
        for i in range { expected[i] = to + UInt64(i - Int(first)) << 12 }
      } else {
        table.unmap(base + first << 12, length: count << 12)
        for i in range { expected[i] = nil }
      }
    }
    for i in 0..<1024 as Range<UInt64> { bench.memory.word(Int(i << 12)).value = i << 12 }
    bench.second = table
    bench.smmu.install(bench.entry(), for: 8)
    for i in 0..<Int(pages) {
      let (word, answer) = bench.read(8, base + UInt64(i) << 12)
      #expect((answer.kind == .ok) == (expected[i] != nil))
      if let to = expected[i] { #expect(word == to, "seed \(random.seed), page \(i)") }
    }
  }
}
