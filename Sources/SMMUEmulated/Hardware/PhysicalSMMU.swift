// SPDX-License-Identifier: MIT
import CKernel
import SMMUAtomics
import SMMUBase
import SMMUModel
import SMMUSpec

/// A physical SMMU with the kernel's driver for it: stream table, queues and VMIDs. Calls come with
/// the host's lock held, but for DMA and `takeEvents`.
final class PhysicalSMMU {
  let configuration: PhysicalConfiguration
  let vmids: StreamVMIDs
  private let smmu: SMMU
  private let table: PhysicalStreamTable
  private let commands: CommandIssuer
  private let events: EventReader
  private var erratum = RepeatErratum()
  private struct Endpoint {
    /// It holds this object, and outlives it as far as anything here is called.
    unowned(unsafe) let device: EmulatedDevice
  }
  /// The devices that have ATS.
  private var endpoints: [Endpoint] = []
  /// Of guests. `hasInterfaces`: there is one, for DMA to know without the lock.
  private var interfaces: [PhysicalInterface] = []
  private let hasInterfaces = Atomic(false)
  private(set) var directCommandCount: UInt64 = 0
  /// Register accesses are serialised, and `takeEvents` comes without the host's lock.
  private let registers: Mutex

  /// nil without memory. `kvm` is where VMIDs come from on a kernel that links both, and whose
  /// broadcasts reach it.
  static func make(_ configuration: PhysicalConfiguration, _ kvm: Hypervisor) -> PhysicalSMMU? {
    guard let registers = Mutex() else { return nil }
    guard let reserve = Reserve(bytes: needed(configuration)) else {
      registers.destroy()
      return nil
    }
    defer { reserve.giveBack() }
    return reserve.covering {
      let smmu = PhysicalSMMU(
        configuration, kvm: kvm.isLinked ? kvm.vmids : nil, registers: registers)
      kvm.add(smmu)
      return smmu
    }
  }

  /// Bytes for the model with its caches, the stream table, and queues, sets of VMIDs and objects.
  private static func needed(_ configuration: PhysicalConfiguration) -> Int {
    let table = PhysicalStreamTable.rootBytes(configuration.working)
    return configuration.tlbEntries * 32 + 2 * table + (3 << 19)
  }

  /// Makes a place for a stream's STE; false without memory.
  func makeRoom(for stream: StreamID) -> Bool {
    guard let reserve = Reserve(bytes: PhysicalStreamTable.leafNeed + EmulatedNeed.call) else {
      return false
    }
    defer { reserve.giveBack() }
    reserve.covering { _ = table.make(stream) }
    return true
  }

  private init(_ configuration: PhysicalConfiguration, kvm: VMIDAllocator?, registers: Mutex) {
    self.configuration = configuration
    self.registers = registers
    let features = configuration.working
    var model = Options()
    model.tlbEntries = configuration.tlbEntries
    smmu = SMMU(features, options: model, machine: PhysicalMachine())
    vmids = StreamVMIDs(
      bits: features.vmid16 ? 16 : 8, canBroadcast: configuration.canBroadcast, kvm: kvm)
    table = PhysicalStreamTable(features)
    commands = CommandIssuer(smmu)
    events = EventReader(smmu)
    start()
  }

  deinit { registers.destroy() }

  // MARK: Bring-up

  /// The order of a driver: everything off, tables and queues, commands, a clean slate, events,
  /// interrupts, translation.
  private func start() {
    let start = PhysicalMachine.memoryStart
    do throws(MemoryError) {
      try smmu.addMemory(
        start, length: PhysicalMachine.memoryEnd - start,
        host: UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: start))!)
    } catch {
      return
    }
    smmu[.cr0] = 0
    smmu[.cr1] = 0xd75
    smmu[.cr2] = CR2.recinvsid.mask | (vmids.takesPart ? 0 : CR2.ptm.mask)
    smmu[.strtabBase] = table.base
    smmu[.strtabBaseConfig] = table.configuration
    smmu[.queue(.base, .command)] = commands.base
    smmu[.queue(.prod, .command)] = 0
    smmu[.queue(.cons, .command)] = 0
    smmu[.cr0] = CR0.cmdqen.mask
    submit([Command.cfgiAll.words, Command.tlbiNSNHAll.words])
    smmu[.queue(.base, .event)] = events.base
    smmu[.queue(.prod, .event)] = 0
    smmu[.queue(.cons, .event)] = 0
    smmu[.cr0] = CR0.cmdqen.mask | CR0.eventqen.mask
    smmu[.irqCtrl] = InterruptControl.eventq.mask | InterruptControl.gerror.mask
    smmu[.cr0] = CR0.cmdqen.mask | CR0.eventqen.mask | CR0.smmuen.mask
  }

  // MARK: What it is

  /// What IOMMU_GET_HW_INFO tells: the raw registers. A kernel before 7.3 shows no flags.
  var information: iommufd_hw_info_arm_smmuv3 { configuration.information }
  /// S1P and S2P, no erratum against it; a vIOMMU also needs S2FWB or CANWBS.
  var canNest: Bool {
    features.stage1 && features.stage2 && !configuration.flags.contains(.noNesting)
  }
  var canHaveVIOMMU: Bool {
    canNest && (features.forcedWriteBack || configuration.flags.contains(.canWBS))
  }
  /// It has ATS, and so has the root complex between it and devices.
  var supportsATS: Bool { features.ats && configuration.flags.contains(.rootATS) }
  var outputBits: Int { min(features.outputBits, 48) }
  /// As the ID registers show them, without extra bits.
  var features: Features { configuration.shown }
  /// PTM is 0: broadcast TLB maintenance reaches it.
  var takesPartInBroadcast: Bool { vmids.takesPart }

  /// Commands that it consumed.
  var commandCount: UInt64 { smmu.counters[.commands] }

  // MARK: VMIDs

  /// Takes a VMID for a stage 2: the pinned one of `vm` on a kernel that links them, else one of
  /// its own. ENOSPC if there is none.
  func takeVMID(for vm: VirtualMachine?) throws(Errno) -> VMID { try vmids.take(for: vm) }

  /// Gives it back after CFGI of all STEs, TLBI_S12_VMALL and SYNC were issued by this call. STEs
  /// name it no more.
  func giveBack(_ vmid: VMID, of vm: VirtualMachine?) {
    issueByDriver(.cfgiAll)
    issueByDriver(.tlbiS12VMAll(vmid))
    vmids.giveBack(vmid)
  }

  // MARK: Configuration

  /// Writes a stream's STE, invalidates its configuration and waits. A driver installs `.abort`
  /// when a device appears: only then are its transactions refused without an event.
  func install(_ ste: StreamTableEntry, for stream: StreamID) {
    guard let slot = table.make(stream) else { return }
    slot.update(to: ste) { issueByDriver(.cfgiSTE(stream, leaf: true)) }
  }

  /// Aborting if there is none.
  func entry(of stream: StreamID) -> StreamTableEntry {
    guard table.contains(stream), let slot = table.find(stream) else { return .abort }
    return slot.value
  }

  func eachEntry(_ body: (StreamTableSlot) -> Void) { table.each(body) }

  // MARK: Commands and events

  /// Issues commands and a CMD_SYNC, as one batch. ETIMEDOUT if the queue stopped at one of them.
  func issue(_ commands: [CommandWords]) throws(Errno) {
    guard submit(commands) else { throw .etimedout }
  }

  /// The driver's own command, which it repeats where the erratum demands it.
  private func issueByDriver(_ command: Command) {
    submit([command.words])
    if configuration.flags.contains(.repeats) { submit([command.words]) }
  }

  @discardableResult
  private func submit(_ batch: [CommandWords]) -> Bool {
    registers.locked { () -> Bool in
      guard configuration.flags.contains(.repeats) else { return carryOut(batch) }
      return carryOut(erratum.pass(batch, smmu.features))
    }
  }

  /// CMD_ATC_INV goes on to devices, each when what came before it is complete. An SMMU without ATS
  /// that meets one nevertheless has nobody to ask.
  private func carryOut(_ batch: [CommandWords]) -> Bool {
    let isATC = { (words: CommandWords) -> Bool in
      words[CommandWords.opcode] == UInt64(Opcode.atcInv.rawValue)
    }
    guard batch.contains(where: isATC) else { return commands.issue(batch) }
    let decoder = CommandDecoder(smmu.features)
    var waiting: [CommandWords] = []
    var isFine = true
    for words in batch {
      guard isATC(words) else {
        waiting.append(words)
        continue
      }
      guard smmu.features.ats else { continue }
      if !waiting.isEmpty { isFine = commands.issue(waiting) && isFine }
      waiting.removeAll(keepingCapacity: true)
      guard case .atcInv(let what)? = decoder.decode(words), invalidate(what) else {
        isFine = false
        continue
      }
    }
    if !waiting.isEmpty { isFine = commands.issue(waiting) && isFine }
    return isFine
  }

  // MARK: What devices keep

  func add(endpoint device: EmulatedDevice) { endpoints.append(Endpoint(device: device)) }

  /// The kernel takes translations by this stage 2 from the devices that keep some.
  func clearEndpoints(of vmid: VMID) {
    for endpoint in endpoints
    where entry(of: endpoint.device.stream)[StreamTableEntry.s2vmid] == UInt64(vmid) {
      endpoint.device.cache?.clear()
    }
  }

  /// Whether the device answers; one that has no ATS refuses, which completes it too (§3.9.1.5).
  private func invalidate(_ what: ATCInvalidation) -> Bool {
    for endpoint in endpoints where endpoint.device.stream == what.source.stream {
      return endpoint.device.invalidate(what)
    }
    return true
  }

  // MARK: Direct command queues

  /// An interface for a guest; ENOSPC if all are taken.
  func takeInterface(vmid: VMID) throws(Errno) -> PhysicalInterface {
    guard interfaces.count < PhysicalInterface.most else { throw .enospc }
    let interface = PhysicalInterface(vmid: vmid)
    registers.locked { interfaces.append(interface) }
    hasInterfaces.store(true, ordering: .releasing)
    return interface
  }

  func giveBack(_ interface: PhysicalInterface) {
    registers.locked { interfaces.removeAll { $0 === interface } }
    hasInterfaces.store(!interfaces.isEmpty, ordering: .releasing)
  }

  /// The kernel's accesses to an interface.
  func accessing<R>(_ body: () -> R) -> R { registers.locked(body) }

  /// There are some.
  var mayRunInterfaces: Bool { hasInterfaces.load(ordering: .acquiring) }

  /// What hardware does all the time: the queues of guests are consumed. Any thread, without the
  /// host's lock. True if one has stopped with an error.
  func runInterfaces() -> Bool {
    registers.locked { () -> Bool in
      var hasErrors = false
      for interface in interfaces {
        directCommandCount &+= interface.run(smmu.features) { carryOut($0) }
        hasErrors = hasErrors || interface.hasErrors
      }
      return hasErrors
    }
  }

  /// A CPU's TLBI, if the SMMU takes part: done, and no access uses what it removed.
  func broadcast(_ scope: TLBInvalidation) { registers.locked { smmu.broadcast(scope) } }

  /// For checks: the VMIDs with whose translations its TLB may still answer.
  func eachCachedVMID(_ body: (VMID) -> Void) { smmu.eachCachedVMID(body) }

  /// Events that were recorded since the last call, oldest first. Without the host's lock.
  func takeEvents(_ each: (EventRecord) -> Void) {
    let records = registers.locked { () -> [EventRecord] in events.take() }
    for record in records { each(record) }
  }

  // MARK: Transactions

  /// What an ATS request is told: recorded nowhere if it is refused.
  func translate(_ access: Access) -> Translation {
    let token = smmu.beginAccess()
    defer { smmu.endAccess(token) }
    return smmu.translate(access)
  }

  /// A device reads memory, on any thread and without the host's lock. The answer is that of
  /// `SMMU.transfer`.
  func dmaRead(
    _ access: Access, into data: UnsafeMutableRawPointer, length: UInt64
  ) -> Translation {
    var access = access
    access.flags.subtract([.write, .atomic])
    return transfer(access, data: data, length: length)
  }

  /// A device writes memory.
  func dmaWrite(
    _ access: Access, from data: UnsafeRawPointer, length: UInt64
  ) -> Translation {
    var access = access
    access.flags.formUnion(.write)
    return transfer(access, data: UnsafeMutableRawPointer(mutating: data), length: length)
  }

  private func transfer(
    _ access: Access, data: UnsafeMutableRawPointer, length: UInt64
  ) -> Translation {
    // The caller refuses a length that wraps; here it does at least no harm.
    let room = UInt64.max - access.address
    return smmu.transfer(access, data: data, length: min(length, room, UInt64(Int.max)))
  }
}
