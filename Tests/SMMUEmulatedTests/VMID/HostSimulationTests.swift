// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUEmulated

/// Processes that run VMs with devices, by system calls alone, until they end or are killed: their
/// descriptors are closed in any order. Other VMs use up KVM's VMIDs meanwhile.
@Suite struct HostSimulationTests {
  /// One device each.
  final class Process {
    let device: Int
    let iommu: Int32
    var files: [Int32] = []
    var vm: Int32 = -1
    var vfio: Int32 = -1
    var devid: UInt32 = 0
    var ioas: UInt32 = 0
    var bypass: UInt32 = 0
    var abort: UInt32 = 0
    /// Its VMID is KVM's.
    var isLinked = false
    var isAttached = false
    /// The page that its device sees.
    var page = 0

    init(_ device: Int, _ iommu: Int32) {
      self.device = device
      self.iommu = iommu
      files = [iommu]
    }
  }

  final class World {
    static let iova: UInt64 = 0x1000_0000
    let host: EmulatedHost
    let memory = PhysicalPages(bytes: 1 << 18)
    var processes: [Process] = []
    var random: SeededRandom
    var problem: String?
    var exhausted = 0
    let cpus = 8

    init(_ seed: UInt64, _ version: EmulatedKernelVersion, pinLimit: Int) {
      random = SeededRandom(seed: seed)
      var configuration = EmulatedConfiguration()
      configuration.version = version
      configuration.cpus = cpus
      configuration.vmidBits = 8
      configuration.pinLimit = pinLimit
      // One that takes part, one with narrow VMIDs and the erratum of commands, one that may not.
      let flags: [PhysicalConfiguration.Flags] = [[], [.vmid8, .repeats], .noBTM]
      configuration.smmus = flags.map {
        var smmu = PhysicalConfiguration()
        smmu.flags = $0
        // More than a run fills; each check of all rules looks at every entry.
        smmu.tlbEntries = 256
        return smmu
      }
      configuration.devices = (0..<12).map {
        EmulatedConfiguration.Device(smmu: $0 % 3, stream: StreamID(8 + $0))
      }
      host = EmulatedHost.make(configuration)!
      for page in 0..<64 { memory.word(page << 12).value = UInt64(page) }
    }

    deinit {
      host.shutDown()
      memory.deallocate()
    }

    // MARK: Calls

    private func must(_ condition: Bool, line: Int = #line) {
      if !condition && problem == nil { problem = "line \(line)" }
    }

    private func result(_ body: () throws(Errno) -> Int64) -> Int64 {
      do throws(Errno) { return try body() } catch { return -Int64(error.code) }
    }

    private func open(_ path: String, _ process: Process) -> Int32 {
      let fd = Int32(result { () throws(Errno) -> Int64 in Int64(try host.open(path)) })
      must(fd >= 0)
      process.files.append(fd)
      return fd
    }

    private func call<T>(_ fd: Int32, _ request: UInt32, _ value: inout T) -> Int64 {
      withUnsafeMutableBytes(of: &value) { bytes in
        result { () throws(Errno) -> Int64 in
          try host.control(fd, request: request, argument: bytes.baseAddress)
        }
      }
    }

    /// The struct's first word becomes its size.
    private func sized<T>(_ fd: Int32, _ request: UInt32, _ value: inout T) -> Int64 {
      withUnsafeMutableBytes(of: &value) {
        $0.storeBytes(of: UInt32(MemoryLayout<T>.size), as: UInt32.self)
      }
      return call(fd, request, &value)
    }

    private func makeVM(_ process: Process) -> Int32 {
      let kvm = open("/dev/kvm", process)
      let vm = Int32(
        result { () throws(Errno) -> Int64 in
          try host.control(kvm, request: KVM_REQUEST_CREATE_VM.number, argument: nil)
        })
      must(vm >= 0)
      process.files.append(vm)
      return vm
    }

    // MARK: A process's life

    func start() {
      let busy = Set(processes.map(\.device))
      guard let device = (0..<12).filter({ !busy.contains($0) }).randomElement(using: &random)
      else { return }
      let iommu = Int32(result { () throws(Errno) -> Int64 in Int64(try host.open("/dev/iommu")) })
      let process = Process(device, iommu)
      processes.append(process)
      process.vfio = open("/dev/vfio/devices/vfio\(device)", process)
      if random.chance(75) { link(process) }
      var bind = vfio_bind_iommufd()
      bind.iommufd = iommu
      must(sized(process.vfio, VFIO_REQUEST_BIND_IOMMUFD.number, &bind) == 0)
      process.devid = bind.out_devid
      var ioas = iommufd_ioas_alloc()
      must(sized(iommu, IOMMUFD_IOAS_ALLOC.number, &ioas) == 0)
      process.ioas = ioas.out_ioas_id
      show(process, random.below(64), isFirst: true)
      nest(process)
    }

    /// KVM's VFIO device learns of the file before BIND.
    private func link(_ process: Process) {
      process.vm = makeVM(process)
      var device = kvm_device(type: KVM_DEVICE_TYPE_VFIO, fd: 0, flags: 0)
      must(call(process.vm, KVM_REQUEST_CREATE_DEVICE.number, &device) == 0)
      process.files.append(Int32(bitPattern: device.fd))
      var fd = process.vfio
      withUnsafeMutableBytes(of: &fd) { bytes in
        var attribute = kvm_attribute()
        attribute.group = KVM_VFIO_FILE
        attribute.attr = UInt64(KVM_VFIO_FILE_ADD)
        attribute.addr = UInt64(UInt(bitPattern: bytes.baseAddress!))
        let link = Int32(bitPattern: device.fd)
        must(call(link, KVM_REQUEST_SET_DEVICE_ATTR.number, &attribute) == 0)
      }
      process.isLinked = host.pinRequest != 0 && process.device % 3 == 0
    }

    /// Nest parent, vIOMMU, the two constant tables; ends early where no VMID is left.
    private func nest(_ process: Process) {
      var parent = iommufd_hwpt_alloc()
      parent.dev_id = process.devid
      parent.pt_id = process.ioas
      parent.flags = IOMMUFD_HWPT_NEST_PARENT
      let status = sized(process.iommu, IOMMUFD_HWPT_ALLOC.number, &parent)
      guard status == 0 else {
        must(status == -28)
        exhausted += 1
        return
      }
      var viommu = iommufd_viommu_alloc()
      viommu.type = IOMMUFD_VIOMMU_TYPE_ARM_SMMUV3
      viommu.dev_id = process.devid
      viommu.hwpt_id = parent.out_hwpt_id
      must(sized(process.iommu, IOMMUFD_VIOMMU_ALLOC.number, &viommu) == 0)
      process.bypass = nested(process, viommu.out_viommu_id, 9)
      process.abort = nested(process, viommu.out_viommu_id, 1)
    }

    private func nested(_ process: Process, _ viommu: UInt32, _ word: UInt64) -> UInt32 {
      var data: (UInt64, UInt64) = (word, 0)
      return withUnsafeMutableBytes(of: &data) { bytes in
        var request = iommufd_hwpt_alloc()
        request.dev_id = process.devid
        request.pt_id = viommu
        request.data_type = IOMMUFD_HWPT_DATA_ARM_SMMUV3
        request.data_len = 16
        request.data_uptr = UInt64(UInt(bitPattern: bytes.baseAddress!))
        must(sized(process.iommu, IOMMUFD_HWPT_ALLOC.number, &request) == 0)
        return request.out_hwpt_id
      }
    }

    private func show(_ process: Process, _ page: Int, isFirst: Bool = false) {
      if !isFirst {
        var unmap = iommufd_ioas_unmap()
        unmap.ioas_id = process.ioas
        unmap.iova = Self.iova
        unmap.length = 4096
        must(sized(process.iommu, IOMMUFD_IOAS_UNMAP.number, &unmap) == 0)
      }
      var map = iommufd_ioas_map()
      map.flags =
        IOMMUFD_MAP_FIXED_IOVA | IOMMUFD_MAP_READABLE | IOMMUFD_MAP_WRITEABLE
      map.ioas_id = process.ioas
      map.user_va = memory.address + UInt64(page) << 12
      map.length = 4096
      map.iova = Self.iova
      must(sized(process.iommu, IOMMUFD_IOAS_MAP.number, &map) == 0)
      process.page = page
    }

    private func attach(_ process: Process) {
      guard process.bypass != 0 else { return }
      var request = vfio_attach_pt()
      let isOn = random.chance(70)
      request.pt_id = isOn ? process.bypass : process.abort
      must(sized(process.vfio, VFIO_REQUEST_ATTACH_PT.number, &request) == 0)
      process.isAttached = isOn
    }

    /// Every descriptor is closed; the kernel is sound after each.
    private func kill(_ process: Process) {
      processes.removeAll { $0 === process }
      for fd in process.files.shuffled(using: &random) {
        do throws(Errno) { try host.close(fd) } catch { must(false) }
        check()
      }
    }

    // MARK: Steps

    func step() {
      let process = processes.randomElement(using: &random)
      switch random.below(20) {
      case 0..<4: start()
      case 4..<6: if let process { kill(process) }
      case 6..<10: if let process { attach(process) }
      case 10..<12: if let process, process.ioas != 0 { show(process, random.below(64)) }
      case 12..<14: if let process { run(process) }
      case 14..<15: if let process { pin(process) }
      default: crowd()
      }
      check()
      for process in processes { verify(process) }
    }

    private func run(_ process: Process) {
      let cpu = random.below(cpus)
      do throws(Errno) { try host.putCPU(cpu) } catch { must(error == .einval) }
      guard process.vm >= 0 else { return }
      do throws(Errno) {
        try host.loadCPU(cpu, vm: process.vm)
        try host.invalidate(on: cpu) { .stage1($0) }
      } catch {
        must(error == .ebusy)
      }
    }

    private func pin(_ process: Process) {
      guard process.vm >= 0, host.pinRequest != 0 else { return }
      var number: UInt32 = 0
      if random.chance(50) {
        let status = call(process.vm, host.pinRequest, &number)
        must(status == 0 && number != 0 || status == -28 && number == 0)
      } else {
        let status = call(process.vm, host.unpinRequest, &number)
        must(status == 0 || status == -22)
      }
    }

    /// VMs that run once and end.
    private func crowd() {
      for _ in 0..<random.below(40) {
        let crowd = Process(-1, open("/dev/iommu", Process(-1, -1)))
        let vm = makeVM(crowd)
        let cpu = random.below(cpus)
        do throws(Errno) {
          try host.loadCPU(cpu, vm: vm)
          try host.putCPU(cpu)
        } catch {
          must(error == .ebusy)
        }
        for fd in crowd.files { do throws(Errno) { try host.close(fd) } catch { must(false) } }
      }
    }

    // MARK: Truth

    private func check() {
      let broken = host.check()
      guard broken.count > 0, problem == nil else { return }
      broken.sentence.withCString { problem = String(cString: $0) }
    }

    private func verify(_ process: Process) {
      var word: UInt64 = .max
      let access = Access(stream: 0, address: Self.iova)
      let answer = host.dma(of: process.device, access: access, data: &word, length: 8)
      must((answer?.kind == .ok) == process.isAttached)
      guard process.isAttached else { return }
      must(word == UInt64(process.page))
      guard process.isLinked else { return }
      do throws(Errno) {
        let vmid = try host.vmid(ofDevice: process.device)
        let kvms = try host.vmid(ofVM: process.vm)
        must(vmid != 0)
        must(vmid == kvms)
      } catch {
        must(false)
      }
    }

    func end() {
      while let process = processes.first { kill(process) }
      let left = host.counters
      must(left.files == 0 && left.objects == 0 && left.mappings == 0 && left.pins == 0)
    }
  }

  @Test(
    "Processes come and are killed while VMIDs roll over",
    arguments: [EmulatedKernelVersion.linked, .linked, .linux73, .linux72], [0, 5])
  func life(version: EmulatedKernelVersion, pinLimit: Int) {
    let start: UInt64 = version == .linked ? 100 : 200
    for seed in start..<(start + 5) {
      let world = World(seed, version, pinLimit: pinLimit)
      for step in 0..<120 {
        world.step()
        guard let problem = world.problem else { continue }
        Issue.record("\(problem); seed \(seed), step \(step), \(version), pins \(pinLimit)")
        return
      }
      world.end()
      #expect(world.problem == nil, "seed \(seed), at the end")
      let counters = world.host.counters
      if version == .linked {
        #expect(pinLimit == 0 ? counters.rollovers > 0 : counters.pinFailures > 0)
      }
    }
  }
}
