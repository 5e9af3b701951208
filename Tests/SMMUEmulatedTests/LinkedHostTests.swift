// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUEmulated

/// Whose VMID a device's stage 2 has, by what KVM was told before BIND.
@Suite struct LinkedHostTests {
  @Test(
    "A VM's number is in the STE if it knew the device before BIND, on kernels that link them",
    arguments: [EmulatedKernelVersion.linked, .linux73])
  func association(_ version: EmulatedKernelVersion) throws {
    let bench = EmulatedBench(version)
    let (vm, link) = bench.machine()
    let fd = bench.open("/dev/vfio/devices/vfio0")
    #expect(bench.add(fd, to: link) == 0)
    #expect(bench.add(bench.iommu, to: link) == -22)
    let device = bench.bind(fd)
    let parent = UInt32(bench.hwpt(device, bench.ioas(), flags: 1))
    let viommu = UInt32(bench.viommu(device, parent))
    #expect(bench.attach(fd, UInt32(bench.nested(device, viommu, 9))) == 0)
    let ours = try bench.host.vmid(ofDevice: 0)
    let kvms = try bench.host.vmid(ofVM: vm)
    #expect(ours != 0)
    #expect((ours == kvms) == (version == .linked))
    #expect(bench.host.counters.pins == (version == .linked ? 1 : 0))
    #expect(bench.host.check().count == 0)

    // The VM goes first; its number stays taken until the stage 2 is gone.
    #expect(bench.close(vm) == 0)
    #expect(bench.close(link) == 0)
    #expect(bench.host.check().count == 0)
    #expect(try bench.host.vmid(ofDevice: 0) == ours)
    #expect(bench.close(fd) == 0)
    #expect(bench.close(bench.iommu) == 0)
    #expect(bench.host.counters.pins == 0)
    #expect(bench.host.check().count == 0)
  }

  @Test("An association after BIND comes too late")
  func late() throws {
    let bench = EmulatedBench(.linked)
    let (vm, link) = bench.machine()
    let fd = bench.open("/dev/vfio/devices/vfio0")
    let device = bench.bind(fd)
    #expect(bench.add(fd, to: link) == 0)
    let parent = UInt32(bench.hwpt(device, bench.ioas(), flags: 1))
    #expect(bench.viommu(device, parent) > 0)
    #expect(try bench.host.vmid(ofVM: vm) == 0)
  }

  @Test("A device of one VM is not put behind the stage 2 of another")
  func foreign() {
    let bench = EmulatedBench(.linked)
    let fds = [bench.open("/dev/vfio/devices/vfio0"), bench.open("/dev/vfio/devices/vfio1")]
    for fd in fds { #expect(bench.add(fd, to: bench.machine().link) == 0) }
    let first = bench.bind(fds[0])
    let second = bench.bind(fds[1])
    let parent = UInt32(bench.hwpt(first, bench.ioas(), flags: 1))
    let viommu = UInt32(bench.viommu(first, parent))
    let table = UInt32(bench.nested(second, viommu, 9))
    #expect(bench.attach(fds[1], table) == -22)
    #expect(bench.attach(fds[0], table) == 0)
    #expect(bench.host.check().count == 0)
  }

  private static let cases: [(version: EmulatedKernelVersion, aset: UInt64, isStale: Bool)] = [
    (.linked, 0, false), (.linked, 1, true), (.linux73, 0, true),
  ]

  @Test(
    "A CPU's TLBI alone makes a device fault, where VMIDs are linked and ASIDs are shared",
    arguments: cases)
  func broadcast(
    _ row: (version: EmulatedKernelVersion, aset: UInt64, isStale: Bool)
  ) throws {
    let bench = NestedBench(row.version, virtualID: 8)
    bench.writeContext(aset: row.aset)
    bench.map(0x5000, to: NestedBench.ram)
    #expect(bench.attach(bench.nested(NestedBench.stage1.0, NestedBench.stage1.1)) == 0)
    #expect(bench.read(0x5000).kind == .ok)
    try bench.base.host.loadCPU(1, vm: bench.vm)
    bench.map(0x5000, to: nil)
    try bench.base.host.invalidate(on: 1) { vmid in
      .address(vmid, asid: ASID(NestedBench.asid), range: AddressRange(first: 0x5000, last: 0x5fff))
    }
    #expect(bench.read(0x5000).kind == (row.isStale ? .ok : .abort))
    try bench.base.host.putCPU(1)
    #expect(bench.base.host.check().count == 0)
  }

  @Test("VMIDs run out: ENOSPC, and everything is as it was")
  func exhaustion() {
    var configuration = EmulatedConfiguration()
    configuration.smmus[0].flags = .vmid8
    let bench = EmulatedBench(configuration)
    let (_, device) = bench.device()
    let ioas = bench.ioas()
    for _ in 0..<255 { #expect(bench.hwpt(device, ioas, flags: 1) > 0) }
    let before = bench.host.counters
    #expect(bench.hwpt(device, ioas, flags: 1) == -28)
    #expect(bench.host.counters.objects == before.objects)
    // A plain domain is a stage 1, which has no VMID.
    #expect(bench.hwpt(device, ioas) > 0)
    #expect(bench.destroy(100) == 0)
    #expect(bench.hwpt(device, ioas, flags: 1) == 100)
    #expect(bench.host.check().count == 0)
  }
}

@Suite struct SeveralUnitsTests {
  @Test("What belongs to one SMMU is of no use behind another")
  func foreign() {
    var configuration = EmulatedConfiguration()
    configuration.smmus.append(PhysicalConfiguration())
    configuration.devices[1].smmu = 1
    configuration.devices[1].stream = 8
    #expect(configuration.refusal == nil)
    let bench = EmulatedBench(configuration)
    let (fd, first) = bench.device(0)
    let (otherFD, second) = bench.device(1)
    let ioas = bench.ioas()
    let parent = UInt32(bench.hwpt(first, ioas, flags: 1))
    #expect(bench.viommu(second, parent) == -22)
    let viommu = UInt32(bench.viommu(first, parent))
    #expect(bench.vdevice(second, viommu, 8) == -22)
    #expect(bench.nested(second, viommu, 9) == -22)
    let table = UInt32(bench.nested(first, viommu, 9))
    #expect(bench.attach(otherFD, table) == -22)
    #expect(bench.attach(otherFD, parent) == -22)
    #expect(bench.attach(fd, table) == 0)
    #expect(bench.attach(otherFD, ioas) == 0)
    #expect(bench.host.check().count == 0)
  }

  @Test("Without nesting, or without coherent write-back, there is no vIOMMU")
  func without() {
    let cases: [(PhysicalConfiguration.Flags, parents: Int64, viommus: Int64)] = [
      (.noNesting, -95, -22), (.noFWB, 1, -95), ([.noFWB, .canWBS], 1, 1),
    ]
    for (flags, parents, viommus) in cases {
      var configuration = EmulatedConfiguration()
      configuration.smmus[0].flags = flags
      let bench = EmulatedBench(configuration)
      let (_, device) = bench.device()
      let parent = bench.hwpt(device, bench.ioas(), flags: 1)
      #expect(parents > 0 ? parent > 0 : parent == parents)
      guard parent > 0 else { continue }
      let viommu = bench.viommu(device, UInt32(parent))
      #expect(viommus > 0 ? viommu > 0 : viommu == viommus)
    }
  }

  @Test("A configuration that cannot be is refused in words")
  func refusals() {
    var configuration = EmulatedConfiguration()
    #expect(configuration.refusal == nil)
    configuration.devices[1].stream = 8
    #expect(configuration.refusal != nil)
    configuration.devices[1].stream = 1 << 20
    #expect(configuration.refusal != nil)
    configuration.devices[1] = .init(smmu: 1, stream: 1)
    #expect(configuration.refusal != nil)
    configuration = EmulatedConfiguration()
    configuration.cpus = 1025
    #expect(configuration.refusal != nil)
    configuration = EmulatedConfiguration()
    configuration.vmidBits = 9
    #expect(configuration.refusal != nil)
  }
}
