// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUEmulated

@Suite struct StreamVMIDTests {
  private func makeSMMU(
    _ bench: KVMBench, _ flags: PhysicalConfiguration.Flags = []
  ) -> PhysicalSMMU {
    var configuration = PhysicalConfiguration()
    configuration.flags = flags
    configuration.tlbEntries = 64
    return PhysicalSMMU.make(configuration, bench.kvm)!
  }

  private func exhaust(_ smmu: PhysicalSMMU) -> (taken: [VMID], error: Errno) {
    var taken: [VMID] = []
    while true {
      do throws(Errno) { taken.append(try smmu.takeVMID(for: nil)) } catch { return (taken, error) }
    }
  }

  @Test("A released kernel numbers each SMMU's stages 2 from 1, whatever KVM does")
  func released() throws {
    let bench = KVMBench(linked: false)
    let smmu = makeSMMU(bench, .vmid8)
    #expect(!smmu.takesPartInBroadcast)
    let (_, vm) = bench.makeVM()
    try bench.kvm.load(vm, on: 0)
    #expect(try smmu.takeVMID(for: vm) == 1)
    #expect(try makeSMMU(bench).takeVMID(for: vm) == 1)
    let (taken, error) = exhaust(smmu)
    #expect(taken == Array(2...255))
    #expect(error == .enospc)
    smmu.giveBack(7, of: nil)
    #expect(try smmu.takeVMID(for: nil) == 7)
    #expect(bench.kvm.check().count == 0)
  }

  @Test("On a linked kernel a VM's stage 2 has KVM's number, on every SMMU that takes part")
  func linked() throws {
    let bench = KVMBench()
    let first = makeSMMU(bench)
    let second = makeSMMU(bench)
    #expect(first.takesPartInBroadcast)
    let (_, vm) = bench.makeVM()
    let (_, other) = bench.makeVM()
    try bench.kvm.load(other, on: 0)
    let vmid = try first.takeVMID(for: vm)
    try bench.kvm.load(vm, on: 1)
    #expect(vm.vmid == vmid)
    #expect(try second.takeVMID(for: vm) == vmid)
    #expect(try first.takeVMID(for: vm) == vmid)
    #expect(try first.takeVMID(for: other) == other.vmid)
    let own = try first.takeVMID(for: nil)
    #expect(own != vmid && own != other.vmid)
    #expect(bench.kvm.check().count == 0)
    first.giveBack(vmid, of: vm)
    first.giveBack(vmid, of: vm)
    #expect(bench.kvm.vmids.isPinned(vmid))
    second.giveBack(vmid, of: vm)
    #expect(!bench.kvm.vmids.isPinned(vmid))
    // Once too often changes nothing.
    second.giveBack(vmid, of: vm)
    #expect(bench.kvm.check().count == 0)
  }

  @Test("An erratum or narrower VMIDs keep an SMMU out; its numbers are still nobody else's")
  func outside() throws {
    let bench = KVMBench()
    let (_, vm) = bench.makeVM()
    try bench.kvm.load(vm, on: 0)
    for flags in [.noBTM, .vmid8] as [PhysicalConfiguration.Flags] {
      let smmu = makeSMMU(bench, flags)
      #expect(!smmu.takesPartInBroadcast)
      let vmid = try smmu.takeVMID(for: vm)
      #expect(vmid != vm.vmid && vmid != 0 && vmid <= 255)
    }
    #expect(makeSMMU(KVMBench(vmidBits: 8), .vmid8).takesPartInBroadcast)
    var configuration = PhysicalConfiguration()
    configuration.features[.idr0, IDR0.btm] = 0
    #expect(!PhysicalSMMU.make(configuration, bench.kvm)!.takesPartInBroadcast)
    #expect(bench.kvm.check().count == 0)
  }

  @Test("Exhaustion is ENOSPC, never number 0; what is given back can be had again")
  func exhaustion() throws {
    let bench = KVMBench(cpus: 4, vmidBits: 8)
    let smmu = makeSMMU(bench)
    let (taken, error) = exhaust(smmu)
    #expect(taken.count == 256 - 4 - 2)
    #expect(!taken.contains(0) && Set(taken).count == taken.count)
    #expect(error == .enospc)
    #expect(bench.kvm.vmids.pinFailures == 1)
    let (_, vm) = bench.makeVM()
    #expect(bench.pin(vm) == -28)
    // VMs still run.
    try bench.kvm.load(vm, on: 0)
    #expect(vm.vmid != 0)
    smmu.giveBack(taken[10], of: nil)
    #expect(try smmu.takeVMID(for: vm) == vm.vmid)
    #expect(bench.kvm.check().count == 0)
  }

  @Test("A number is given back only after its configuration and translations are gone")
  func release() throws {
    let bench = try Bench(linked: true)
    bench.smmu.install(bench.entry(), for: 8)
    #expect(bench.read(8, Bench.ipa).1.kind == .ok)
    // While the STE names it, the check would tell.
    #expect(bench.kvm.check().count == 0)
    bench.smmu.install(.abort, for: 8)
    bench.smmu.giveBack(bench.vmid, of: nil)
    #expect(bench.kvm.check().count == 0)
    var cached = 0
    bench.smmu.eachCachedVMID { _ in cached += 1 }
    #expect(cached == 0)
  }

  @Test("The check finds an STE, or a translation, of a number that was given back")
  func checkFinds() throws {
    let bench = try Bench(linked: true)
    bench.smmu.install(bench.entry(), for: 8)
    _ = bench.read(8, Bench.ipa)
    bench.smmu.giveBack(bench.vmid, of: nil)
    #expect(bench.kvm.check().count == 1)
    // The next access fetches again.
    _ = bench.read(8, Bench.ipa)
    #expect(bench.kvm.check().count == 2)
    #expect(bench.kvm.check().sentence.count > 0)
  }

  @Test("A guest's TLBI on a CPU reaches the SMMUs of its VM, and only those that take part")
  func broadcast() throws {
    for flags in [[], .noBTM] as [PhysicalConfiguration.Flags] {
      var configuration = PhysicalConfiguration()
      configuration.flags = flags
      let bench = try Bench(configuration, linked: true)
      let vm = VirtualMachine(bench.kvm)
      defer { vm.release() }
      bench.vmid = try bench.smmu.takeVMID(for: vm)
      bench.smmu.install(bench.entry(), for: 8)
      try bench.kvm.load(vm, on: 2)
      #expect((vm.vmid == bench.vmid) == flags.isEmpty)
      _ = bench.read(8, Bench.ipa)
      bench.second.unmap(Bench.ipa, length: 4096)
      try bench.kvm.invalidate(on: 2) { .intermediate($0, .all) }
      #expect((bench.read(8, Bench.ipa).1.kind == .abort) == flags.isEmpty)
      do throws(Errno) {
        try bench.kvm.invalidate(on: 3) { .vmid($0) }
        Issue.record("no error")
      } catch {
        #expect(error == .einval)
      }
    }
  }

  @Test("The end of a round of VMIDs empties the TLBs of those who take part, of no others")
  func rollover() throws {
    let bench = KVMBench(vmidBits: 8)
    let memory = PhysicalPages(bytes: 4096)
    defer { memory.deallocate() }
    let table = Stage2Table(outputBits: 48)
    table.map(0, to: memory.address, length: 4096, readable: true, writable: true)
    let smmus = [makeSMMU(bench), makeSMMU(bench, .noBTM)]
    for smmu in smmus {
      typealias S = StreamTableEntry
      var ste = S()
      (ste.words[2], ste.words[3]) = table.words
      ste[S.v] = 1
      ste[S.config] = 6
      ste[S.s2vmid] = UInt64(try smmu.takeVMID(for: nil))
      smmu.install(ste, for: 8)
    }
    func reads(_ smmu: PhysicalSMMU) -> Bool {
      var word: UInt64 = 0
      return smmu.dmaRead(Access(stream: 8, address: 0), into: &word, length: 8).kind == .ok
    }
    #expect(smmus.allSatisfy(reads))
    // No TLBI follows.
    table.unmap(0, length: 4096)
    #expect(smmus.allSatisfy(reads))
    while bench.kvm.vmids.rollovers == 0 {
      let (fd, vm) = bench.makeVM()
      try bench.kvm.load(vm, on: 0)
      bench.files.close(fd)
    }
    #expect(!reads(smmus[0]))
    #expect(reads(smmus[1]))
    #expect(bench.kvm.check().count == 0)
  }
}
