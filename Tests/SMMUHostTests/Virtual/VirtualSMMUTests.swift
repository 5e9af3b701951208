// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUEmulated
@testable import SMMUHost

/// A device that comes, stays and goes: what the vSMMU is then, and after each failure.
@Suite struct VirtualSMMUTests {
  @Test("The registers follow a device, and what was asked for is back when it has gone")
  func follows() throws {
    let bench = try VirtualBench(.full)
    let before = bench.snapshot
    try bench.attach(8)
    #expect(bench.virtual.smmu.features.stage2 == false)
    #expect(bench.virtual.currentReport.devices.count == 1)
    #expect(bench.state(of: 8) == .bypass)
    try bench.virtual.detach(8)
    #expect(bench.snapshot == before)
    #expect(bench.virtual.smmu.features == .full)
  }

  /// All calls of a first attachment. The HWPTs are the nest parent, abort and bypass.
  static let steps: [(UInt32, UInt32)] = [
    (VFIO_REQUEST_BIND_IOMMUFD.number, 1), (IOMMUFD_GET_HW_INFO.number, 1),
    (IOMMUFD_HWPT_ALLOC.number, 1), (IOMMUFD_VIOMMU_ALLOC.number, 1),
    (IOMMUFD_HWPT_ALLOC.number, 2), (IOMMUFD_HWPT_ALLOC.number, 3),
    (IOMMUFD_VDEVICE_ALLOC.number, 1), (IOMMUFD_IOAS_IOVA_RANGES.number, 1),
    (VFIO_REQUEST_ATTACH_PT.number, 1),
  ]

  @Test("A first device that fails at any call changes nothing", arguments: steps)
  func failsFirst(_ request: UInt32, _ nth: UInt32) throws {
    let bench = try VirtualBench(.full)
    let before = bench.snapshot
    bench.fail(request, nth: nth)
    #expect(bench.refusal { () throws(Refusal) in try bench.attach(8) }?.errno == .enomem)
    #expect(bench.snapshot == before)
    #expect(bench.virtual.smmu.features == .full)
    #expect(bench.emulated.check().count == 0)
    try bench.attach(8)
    #expect(bench.state(of: 8) == .bypass)
  }

  @Test(
    "A second device that fails leaves the first as it was",
    arguments: [
      VFIO_REQUEST_BIND_IOMMUFD.number, IOMMUFD_GET_HW_INFO.number,
      IOMMUFD_VDEVICE_ALLOC.number, IOMMUFD_IOAS_IOVA_RANGES.number,
      VFIO_REQUEST_ATTACH_PT.number,
    ])
  func failsSecond(_ request: UInt32) throws {
    let bench = try VirtualBench()
    try bench.attach(8)
    let before = bench.snapshot
    bench.fail(request)
    #expect(
      bench.refusal { () throws(Refusal) in try bench.attach(4, device: 1) }?.errno == .enomem)
    #expect(bench.snapshot == before)
    #expect(bench.state(of: 8) == .bypass)
    try bench.attach(4, device: 1)
    #expect(bench.virtual.streams.assigned.map(\.stream) == [4, 8])
  }

  @Test("A device whose host cannot do what the guest has seen leaves nothing behind")
  func frozen() throws {
    let bench = try VirtualBench(.full)
    bench.virtual.freeze()
    let before = bench.snapshot
    let refusal = bench.refusal { () throws(Refusal) in try bench.attach(8) }
    #expect(refusal?.errno == .eopnotsupp)
    #expect(refusal?.sentence.text.hasPrefix("the guest has seen IDR") == true)
    #expect(bench.snapshot == before)
  }

  @Test("Frozen registers stay when devices come and go")
  func stays() throws {
    let bench = try VirtualBench()
    try bench.attach(8)
    let seen = bench.virtual.smmu.features
    bench.virtual.freeze()
    try bench.attach(4, device: 1)
    try bench.virtual.detach(8)
    try bench.virtual.detach(4)
    #expect(bench.virtual.smmu.features == seen)
    #expect(bench.virtual.currentReport.isFrozen)
  }

  @Test("A StreamID has one device, of either kind")
  func oneDevice() throws {
    let bench = try VirtualBench()
    try bench.virtual.addStream(3)
    try bench.attach(8)
    let before = bench.snapshot
    for stream in [3, 8] as [StreamID] {
      #expect(
        bench.refusal { () throws(Refusal) in try bench.attach(stream, device: 1) }?.errno
          == .eexist)
      #expect(
        bench.refusal { () throws(Refusal) in try bench.virtual.addStream(stream) }?.errno
          == .eexist)
    }
    #expect(
      bench.refusal { () throws(Refusal) in try bench.virtual.renumber(8, to: 3) }?.errno
        == .eexist)
    #expect(
      bench.refusal { () throws(Refusal) in try bench.virtual.renumber(9, to: 10) }?.errno
        == .enoent)
    #expect(bench.snapshot == before)
    try bench.virtual.renumber(8, to: 8)
    try bench.virtual.renumber(8, to: 2)
    #expect(bench.virtual.streams.assigned.map(\.stream) == [2])
    try bench.virtual.removeStream(3)
    try bench.virtual.addStream(8)
  }

  @Test("Without a host there is nothing to attach to, and the report is of what was asked")
  func hostless() throws {
    let machine = GuestMachine()
    let bench = try VirtualBench()
    let virtual = try VirtualSMMU.make(
      .full, options: Options(), machine: machine, listener: bench.listener)
    let path: StaticString = "/dev/vfio/devices/vfio0"
    let start = UnsafeRawPointer(path.utf8Start).assumingMemoryBound(to: CChar.self)
    let refusal = bench.refusal { () throws(Refusal) in try virtual.attach(.path(start), as: 8) }
    #expect(refusal?.errno == .einval)
    #expect(refusal?.sentence.text == "the vSMMU has no host (config.host, vsmmu_set_host)")
    #expect(bench.refusal { () throws(Refusal) in try virtual.detach(8) }?.errno == .einval)
    #expect(virtual.currentReport.chosen == .full)
  }

  @Test("A host counts its vSMMUs, and has nothing of theirs when they have gone")
  func users() throws {
    let bench = try VirtualBench()
    #expect(bench.host.isUsed)
    try bench.attach(8)
    bench.virtual.leave()
    #expect(!bench.host.isUsed)
    #expect(bench.virtual.nesting == nil)
    #expect(bench.virtual.streams.assignedCount == 0)
    let left = bench.emulated.counters
    #expect(left.objects == 0 && left.mappings == 0 && left.files == 1)
    bench.virtual.leave()
    #expect(!bench.host.isUsed)
  }

  @Test("A lent iommufd is duplicated, or there is no host")
  func lent() throws {
    let bench = try VirtualBench()
    let iommufd = try bench.emulated.open("/dev/iommu")
    let files = bench.emulated.counters.files
    let knowledge = Host.Knowledge()
    func open() throws(Refusal) -> Host {
      try Host.open(bench.injector, fd: iommufd, knowing: knowledge)
    }
    #expect(bench.injector.add(FailureRule(.duplicate, effect: .error(.emfile))))
    #expect(bench.refusal { () throws(Refusal) in _ = try open() }?.errno == .emfile)
    #expect(bench.emulated.counters.files == files)
    do {
      let host = try open()
      #expect(host.fd != iommufd && bench.emulated.counters.files == files + 1)
      try bench.emulated.close(iommufd)
      _ = try IOMMUFD(kernel: bench.emulated, fd: host.fd).allocateAddressSpace()
    }
    #expect(bench.emulated.counters.files == files - 1)
  }

  @Test("RAM that the host does not map is not the guest's either")
  func memory() throws {
    let bench = try VirtualBench()
    let more = GuestMachine()
    let address: UInt64 = 0x8000_0000
    func add() throws(Refusal) {
      try bench.virtual.addMemory(address, length: more.ramSize, host: more.host)
    }
    bench.fail(IOMMUFD_IOAS_MAP.number)
    #expect(bench.refusal(add)?.errno == .enomem)
    #expect(bench.virtual.smmu.memoryLength(at: address) == nil)
    try add()
    #expect(bench.emulated.counters.mappings == 2)
    #expect(bench.refusal(add)?.errno == .eexist)
    bench.fail(IOMMUFD_IOAS_UNMAP.number, .ebusy)
    let remove = { () throws(Refusal) in try bench.virtual.removeMemory(address) }
    #expect(bench.refusal(remove)?.errno == .ebusy)
    #expect(bench.virtual.smmu.memoryLength(at: address) == more.ramSize)
    try remove()
    #expect(bench.emulated.counters.mappings == 1)
    #expect(bench.refusal(remove)?.errno == .enoent)
  }
}

/// Where stage 2 comes from.
@Suite struct DomainTests {
  @Test("What cannot be had yet is refused in words, and leaves nothing")
  func refused() {
    do throws(Refusal) {
      _ = try VirtualBench(domain: .anchored)
      Issue.record("there is one")
    } catch {
      #expect(error.errno == .eopnotsupp)
      #expect(error.sentence.text == Domain.anchored.refusal.map { "\($0)" })
    }
    #expect(Domain.own(addressSpace: nil).refusal == nil)
  }

  @Test("A nest parent is one vSMMU's, but for those that have no ASID in common; none is made")
  func parents() throws {
    func domain(_ hwpt: UInt32, isShared: Bool = false) -> Domain {
      .parent(hwpt: hwpt, addressSpace: 1, isShared: isShared)
    }
    let bench = try VirtualBench(domain: domain(7))
    let nesting = try #require(bench.virtual.nesting)
    #expect(nesting.addressSpace == 1 && !nesting.ownsAddressSpace && !nesting.sharesVMID)
    #expect(bench.emulated.counters.objects == 0)
    let second = try VirtualSMMU.make(
      .linux, options: Options(), machine: bench.machine, listener: bench.listener)
    let refusal = bench.refusal { () throws(Refusal) in
      try second.join(bench.host, domain: domain(7))
    }
    #expect(refusal?.errno == .ebusy && second.nesting == nil)
    try second.join(bench.host, domain: domain(8))
    second.leave()
    try second.join(bench.host, domain: domain(7, isShared: true))
    #expect(nesting.sharesVMID && second.currentReport.sharesVMID)
    bench.virtual.leave()
    #expect(!second.currentReport.sharesVMID)
    second.leave()
    try second.join(bench.host, domain: domain(7))
  }

  @Test("The VMM's address space is neither filled nor destroyed here")
  func lent() throws {
    let bench = try VirtualBench()
    let space = try #require(bench.virtual.nesting?.addressSpace)
    let machine = GuestMachine()
    let second = try VirtualSMMU.make(
      .linux, options: Options(), machine: machine, listener: bench.listener)
    try second.join(bench.host, domain: .own(addressSpace: space))
    try second.addMemory(0x8000_0000, length: machine.ramSize, host: machine.host)
    #expect(bench.emulated.counters.mappings == 1)
    #expect(bench.emulated.counters.objects == 1)
    second.leave()
    #expect(bench.emulated.counters.objects == 1)
    #expect(bench.host.isUsed)
  }
}
