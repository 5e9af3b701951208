// SPDX-License-Identifier: MIT
import Foundation
import SMMUBase
import SMMUModel
import SMMUSpec

@testable import SMMUEmulated

/// A physical SMMU with a stage 2 that maps one buffer, and streams that tests put behind it.
final class Bench {
  static let ipa: UInt64 = 0x8000_0000
  let kvm: Hypervisor
  let smmu: PhysicalSMMU
  let memory: PhysicalPages
  var second: Stage2Table
  var vmid: VMID = 0

  init(
    _ configuration: PhysicalConfiguration = PhysicalConfiguration(), linked: Bool = false,
    cpus: Int = 4, bytes: Int = 1 << 22
  ) throws(Errno) {
    kvm = Hypervisor(cpus: cpus, vmidBits: 16, pinLimit: 0, isLinked: linked)
    smmu = PhysicalSMMU.make(configuration, kvm)!
    memory = PhysicalPages(bytes: bytes)
    second = Stage2Table(outputBits: smmu.outputBits)
    second.map(
      Self.ipa, to: memory.address, length: UInt64(bytes), readable: true, writable: true)
    vmid = try smmu.takeVMID(for: nil)
  }

  deinit { memory.deallocate() }

  /// An STE whose stage 2 is this one; `stage1` is where the CD is, as an IPA.
  func entry(stage1: UInt64? = nil, vmid: VMID? = nil) -> StreamTableEntry {
    typealias S = StreamTableEntry
    var ste = S()
    (ste.words[2], ste.words[3]) = second.words
    ste[S.v] = 1
    ste[S.config] = stage1 == nil ? 6 : 7
    ste[S.s2vmid] = UInt64(vmid ?? self.vmid)
    ste[S.shcfg] = 1
    if let stage1 { ste[S.s1ContextPtr] = stage1 >> 6 }
    return ste
  }

  func read(_ stream: StreamID, _ address: UInt64) -> (UInt64, Translation) {
    var word: UInt64 = 0
    let answer = smmu.dmaRead(Access(stream: stream, address: address), into: &word, length: 8)
    return (word, answer)
  }

  func write(_ stream: StreamID, _ address: UInt64, _ word: UInt64) -> Translation {
    var word = word
    return smmu.dmaWrite(Access(stream: stream, address: address), from: &word, length: 8)
  }

  func events() -> [EventRecord] {
    var records: [EventRecord] = []
    smmu.takeEvents { records.append($0) }
    return records
  }

  /// TLBI_S2_IPA of one page.
  func forgetPage(_ ipa: UInt64) -> CommandWords {
    CommandWords(0x2a | UInt64(vmid) << 32, ipa & ~0xfff)
  }

  /// TLBI_NH_ALL.
  func forgetStage1() -> CommandWords { CommandWords(0x10 | UInt64(vmid) << 32, 0) }
}
