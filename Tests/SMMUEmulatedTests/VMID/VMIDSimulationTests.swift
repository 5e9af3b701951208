// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUEmulated

/// VMs come, run, get devices and die at random, on CPUs and SMMUs that run out of VMIDs. After
/// each step all invariants hold, each VM's number is what a plain list says, and each device reads
/// its own VM's memory.
@Suite struct VMIDSimulationTests {
  /// A VM, with the page that its devices see at address 0.
  final class Guest {
    let fd: Int32
    let vm: VirtualMachine
    var ownPins = 0
    /// Ends when the last device is gone, however dead the VM.
    var isAlive = true
    /// What it must be programmed with as long as it runs or is pinned.
    var number: VMID?

    init(_ fd: Int32, _ vm: VirtualMachine) {
      self.fd = fd
      self.vm = vm
    }
  }

  /// A stream with its stage 2, of a VM or of nobody.
  struct Attachment {
    let unit: Int
    let stream: StreamID
    let vmid: VMID
    let guest: Guest?
    let table: Stage2Table
    var marker: UInt64
  }

  final class World {
    let bench: KVMBench
    let memory = PhysicalPages(bytes: 1 << 16)
    var smmus: [PhysicalSMMU] = []
    var guests: [Guest] = []
    var running: [Int: Guest] = [:]
    var attachments: [Attachment] = []
    var random: SeededRandom
    var refusals = 0
    /// The first thing that was wrong.
    var problem: String?

    init(_ seed: UInt64, linked: Bool, cpus: Int, vmidBits: Int, pinLimit: Int) {
      random = SeededRandom(seed: seed)
      bench = KVMBench(linked: linked, cpus: cpus, vmidBits: vmidBits, pinLimit: pinLimit)
      for flags in [[], .vmid8, [.noBTM, .repeats]] as [PhysicalConfiguration.Flags] {
        var configuration = PhysicalConfiguration()
        configuration.flags = flags
        configuration.tlbEntries = 16
        smmus.append(PhysicalSMMU.make(configuration, bench.kvm)!)
      }
      for page in 0..<16 { memory.word(page << 12).value = UInt64(page) }
    }

    deinit { memory.deallocate() }

    private func must(_ condition: Bool, line: Int = #line) {
      if !condition && problem == nil { problem = "line \(line)" }
    }

    // MARK: Steps

    func step() {
      switch random.below(100) {
      case 0..<18: create()
      case 18..<30: kill()
      case 30..<52: load()
      case 52..<66: put()
      case 66..<72: pin()
      case 72..<77: unpin()
      case 77..<88: attach()
      case 88..<95: detach()
      default: move()
      }
      verify()
    }

    private func create() {
      guard guests.filter(\.isAlive).count < 400 else { return }
      let (fd, vm) = bench.makeVM()
      guests.append(Guest(fd, vm))
    }

    /// Most often a young one: the old ones keep their numbers.
    private func someone() -> Guest? {
      let alive = guests.filter(\.isAlive)
      guard !alive.isEmpty else { return nil }
      let young = alive[max(0, alive.count - 1 - random.below(5))]
      return random.chance(60) ? young : random.pick(alive)
    }

    private func kill() {
      guard let guest = someone() else { return }
      guest.isAlive = false
      guest.ownPins = 0
      for (cpu, other) in running where other === guest { running[cpu] = nil }
      bench.files.close(guest.fd)
    }

    private func load() {
      guard let guest = someone() else { return }
      let cpu = random.below(bench.kvm.loaded.count)
      do throws(Errno) {
        // A scheduler takes the last one off first.
        if running[cpu] != nil && random.chance(80) {
          running[cpu] = nil
          try bench.kvm.put(cpu)
        }
        try bench.kvm.load(guest.vm, on: cpu)
        running[cpu] = guest
        if guest.number == nil { guest.number = guest.vm.vmid }
      } catch {
        must(error == .ebusy)
        refusals += 1
      }
    }

    private func put() {
      guard let cpu = running.keys.sorted().randomElement(using: &random) else { return }
      running[cpu] = nil
      do throws(Errno) { try bench.kvm.put(cpu) } catch { problem = "put: \(error.code)" }
    }

    private func pin() {
      guard let guest = someone() else { return }
      let result = bench.pin(guest.vm)
      if result > 0 {
        guest.ownPins += 1
        if guest.number == nil { guest.number = VMID(result) }
        must(VMID(result) == guest.number)
      } else {
        refusals += 1
        must(result == (bench.kvm.isLinked ? -28 : -22))
      }
    }

    private func unpin() {
      let pinned = guests.filter { $0.isAlive && $0.ownPins > 0 }
      guard let guest = pinned.randomElement(using: &random) else { return }
      guest.ownPins -= 1
      must(bench.unpin(guest.vm) == 0)
    }

    private func attach() {
      let unit = random.below(smmus.count)
      let smmu = smmus[unit]
      let stream = StreamID(random.below(200))
      guard !attachments.contains(where: { $0.unit == unit && $0.stream == stream }) else { return }
      let guest = random.chance(70) ? someone() : nil
      do throws(Errno) {
        let vmid = try smmu.takeVMID(for: guest?.vm)
        let table = Stage2Table(outputBits: smmu.outputBits)
        attachments.append(
          Attachment(
            unit: unit, stream: stream, vmid: vmid, guest: guest, table: table, marker: 0))
        if let guest, smmu.takesPartInBroadcast {
          if guest.number == nil { guest.number = vmid }
          must(vmid == guest.number)
          // One VM has one stage 2: the same page whatever the stream.
        }
        show(attachments.count - 1, random.below(16), isFirst: true)
        smmu.install(entry(attachments[attachments.count - 1]), for: stream)
      } catch {
        must(error == .enospc)
        refusals += 1
      }
    }

    private func entry(_ attachment: Attachment) -> StreamTableEntry {
      typealias S = StreamTableEntry
      var ste = S()
      (ste.words[2], ste.words[3]) = attachment.table.words
      ste[S.v] = 1
      ste[S.config] = 6
      ste[S.s2vmid] = UInt64(attachment.vmid)
      return ste
    }

    /// Maps a page for all streams that share the VMID, as they share the address space.
    private func show(_ index: Int, _ page: Int, isFirst: Bool) {
      let wanted = attachments[index]
      let others = attachments.indices.filter {
        attachments[$0].unit == wanted.unit && attachments[$0].vmid == wanted.vmid
      }
      let marker =
        isFirst
        ? others.first { $0 != index }.map { attachments[$0].marker } ?? UInt64(page) : UInt64(page)
      for other in isFirst ? [index] : others {
        attachments[other].table.unmap(0, length: 4096)
        attachments[other].table.map(
          0, to: memory.address + marker << 12, length: 4096, readable: true, writable: true)
        attachments[other].marker = marker
      }
    }

    private func detach() {
      guard let index = attachments.indices.randomElement(using: &random) else { return }
      let attachment = attachments.remove(at: index)
      let smmu = smmus[attachment.unit]
      smmu.install(.abort, for: attachment.stream)
      smmu.giveBack(attachment.vmid, of: attachment.guest?.vm)
    }

    /// Stage 2 changes; whoever changed it invalidates: the VM's CPU by a TLBI where that reaches
    /// the SMMU, else the SMMU's own driver.
    private func move() {
      guard let index = attachments.indices.randomElement(using: &random) else { return }
      let attachment = attachments[index]
      let smmu = smmus[attachment.unit]
      show(index, random.below(16), isFirst: false)
      let cpu = running.first { $0.value === attachment.guest }?.key
      do throws(Errno) {
        if let cpu, smmu.takesPartInBroadcast {
          try bench.kvm.invalidate(on: cpu) {
            .intermediate($0, AddressRange(first: 0, last: 4095))
          }
        } else {
          let command = CommandWords(0x2a | UInt64(attachment.vmid) << 32, 0)
          for _ in 0..<2 { try smmu.issue([command]) }
        }
      } catch {
        problem = "invalidation: \(error.code)"
      }
    }

    // MARK: Truth

    private func isPinned(_ guest: Guest) -> Bool {
      guest.ownPins > 0
        || attachments.contains {
          $0.guest === guest && smmus[$0.unit].takesPartInBroadcast
        }
    }

    func verify() {
      for guest in guests {
        let keeps = isPinned(guest) || running.values.contains { $0 === guest }
        if keeps { must(guest.vm.vmid == guest.number) } else { guest.number = nil }
      }
      guests.removeAll { !$0.isAlive && !isPinned($0) }
      let owners = guests.compactMap { $0.number }
      must(Set(owners).count == owners.count)
      must(!owners.contains(0))
      for attachment in attachments.suffix(6) {
        var word: UInt64 = .max
        let access = Access(stream: attachment.stream, address: 0)
        let answer = smmus[attachment.unit].dmaRead(access, into: &word, length: 8)
        must(answer.kind == .ok && word == attachment.marker)
      }
      let broken = bench.kvm.check()
      guard broken.count > 0, problem == nil else { return }
      broken.sentence.withCString { problem = String(cString: $0) }
    }
  }

  private func run(
    _ seed: UInt64, linked: Bool, cpus: Int, vmidBits: Int, pinLimit: Int = 0, steps: Int
  ) -> World {
    let world = World(
      seed, linked: linked, cpus: cpus, vmidBits: vmidBits, pinLimit: pinLimit)
    for step in 0..<steps {
      world.step()
      guard let problem = world.problem else { continue }
      Issue.record("\(problem); seed \(seed), step \(step), \(cpus) CPUs, linked \(linked)")
      break
    }
    return world
  }

  private static func seed(_ test: String, _ value: UInt64) -> UInt64 {
    SeededRandom(test, default: value).seed
  }

  @Test("8-bit VMIDs and more VMs than numbers: rollovers, exhaustion, no number shared")
  func crowded() {
    let seed = Self.seed("VMIDSimulationTests.crowded", 1)
    let world = run(seed, linked: true, cpus: 24, vmidBits: 8, steps: 3000)
    #expect(world.bench.kvm.vmids.rollovers >= 2)
    #expect(world.refusals > 0)
  }

  @Test("A low limit of pins")
  func limited() {
    let seed = Self.seed("VMIDSimulationTests.limited", 2)
    let world = run(seed, linked: true, cpus: 8, vmidBits: 8, pinLimit: 6, steps: 2000)
    #expect(world.bench.kvm.vmids.pinFailures > 0)
    #expect(world.bench.kvm.vmids.pinCount <= 6)
  }

  @Test("More CPUs than VMIDs: nothing can be pinned, VMs run as long as numbers last")
  func manyCPUs() {
    let seed = Self.seed("VMIDSimulationTests.manyCPUs", 3)
    let world = run(seed, linked: true, cpus: 300, vmidBits: 8, steps: 2000)
    #expect(world.attachments.isEmpty)
    #expect(world.bench.kvm.vmids.pinFailures > 0)
  }

  @Test("16-bit VMIDs")
  func wide() {
    let seed = Self.seed("VMIDSimulationTests.wide", 4)
    _ = run(seed, linked: true, cpus: 4, vmidBits: 16, steps: 1500)
  }

  @Test("Released kernels: each SMMU numbers for itself")
  func released() {
    let seed = Self.seed("VMIDSimulationTests.released", 5)
    let world = run(seed, linked: false, cpus: 8, vmidBits: 8, steps: 1500)
    #expect(world.bench.kvm.vmids.pinCount == 0)
  }
}
