// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@testable import SMMUHost

@Suite struct InvalidationBatchTests {
  private func atc(_ stream: StreamID, page: UInt64 = 0) -> Command {
    .atcInv(ATCInvalidation(CommandSource(stream), address: page << 12, size: 0))
  }

  private func words(_ batch: InvalidationBatch, sparingATC: Bool = false) -> [CommandWords] {
    let (bytes, count) = batch.bytes(sparingATC: sparingATC)
    let words = bytes.assumingMemoryBound(to: UInt64.self)
    return (0..<count).map { CommandWords(words[2 * $0], words[2 * $0 + 1]) }
  }

  @Test("With a CMD_ATC_INV it holds no more than the kernel has done at once")
  func room() {
    var batch = InvalidationBatch()
    defer { batch.deallocate() }
    for _ in 0..<62 { batch.append(.tlbiNSNHAll) }
    #expect(batch.hasRoom(for: atc(1)))
    batch.append(.tlbiNSNHAll)
    #expect(batch.hasRoom(for: .tlbiNSNHAll) && !batch.hasRoom(for: atc(1)))
    while batch.count < 512 { batch.append(.tlbiNSNHAll) }
    #expect(!batch.hasRoom(for: .tlbiNSNHAll))
    batch.clear()
    batch.append(atc(1))
    while batch.count < 63 {
      #expect(batch.hasRoom(for: .tlbiNSNHAll))
      batch.append(.tlbiNSNHAll)
    }
    #expect(!batch.hasRoom(for: .tlbiNSNHAll))
    batch.discardATCInvalidations()
    #expect(batch.count == 62 && batch.hasRoom(for: .tlbiNSNHAll) && !batch.hasATCInvalidations)
  }

  @Test("What is repeated is all but CMD_ATC_INV, and the order stays")
  func order() {
    var batch = InvalidationBatch()
    defer { batch.deallocate() }
    let commands: [Command] = [.tlbiNHAll(0), atc(1, page: 5), .cfgiCDAll(1), atc(2), .tlbiNSNHAll]
    for command in commands { batch.append(command) }
    #expect(words(batch) == commands.map(\.words))
    #expect(words(batch, sparingATC: true) == [0, 2, 4].map { commands[$0].words })
    #expect(words(batch) == commands.map(\.words))
    batch.discardCommands(of: 1)
    #expect(words(batch) == [0, 3, 4].map { commands[$0].words })
    #expect(batch.hasATCInvalidations)
    batch.discardCommands(of: 2)
    #expect(words(batch) == [0, 4].map { commands[$0].words } && !batch.hasATCInvalidations)
  }
}
