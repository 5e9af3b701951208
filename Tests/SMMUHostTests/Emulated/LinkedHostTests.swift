// SPDX-License-Identifier: MIT
import CKernel
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUHost

/// Whose VMID a device's stage 2 has, by what KVM was told before BIND.
@Suite struct LinkedHostTests {
  /// A VM with a VFIO device of KVM's.
  private func machine(_ bench: EmulatedBench) -> (vm: Int32, link: Int32) {
    let kvm = bench.open("/dev/kvm")
    let vm = bench.result { () throws(Errno) -> Int64 in
      try bench.host.control(kvm, KVM_REQUEST_CREATE_VM.number, nil)
    }
    var device = kvm_device(type: KVM_DEVICE_TYPE_VFIO, fd: 0, flags: 0)
    #expect(bench.control(Int32(vm), KVM_REQUEST_CREATE_DEVICE.number, &device) == 0)
    return (Int32(vm), Int32(bitPattern: device.fd))
  }

  private func add(_ bench: EmulatedBench, _ link: Int32, _ fd: Int32) -> Int64 {
    var fd = fd
    return withUnsafeMutableBytes(of: &fd) { bytes in
      var attribute = kvm_attribute()
      attribute.group = KVM_VFIO_FILE
      attribute.attr = UInt64(KVM_VFIO_FILE_ADD)
      attribute.addr = UInt64(UInt(bitPattern: bytes.baseAddress!))
      return bench.control(link, KVM_REQUEST_SET_DEVICE_ATTR.number, &attribute)
    }
  }

  private func bind(_ bench: EmulatedBench, _ fd: Int32) -> UInt32 {
    var bind = vfio_bind_iommufd()
    bind.iommufd = bench.iommu
    #expect(bench.vfio(fd, VFIO_REQUEST_BIND_IOMMUFD, &bind) == 0)
    return bind.out_devid
  }

  @Test(
    "A VM's number is in the STE if it knew the device before BIND, on kernels that link them",
    arguments: [EmulatedKernelVersion.linked, .linux73])
  func association(_ version: EmulatedKernelVersion) throws {
    let bench = EmulatedBench(version)
    let (vm, link) = machine(bench)
    let fd = bench.open("/dev/vfio/devices/vfio0")
    #expect(add(bench, link, fd) == 0)
    #expect(add(bench, link, bench.iommu) == -22)
    let device = bind(bench, fd)
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
    let (vm, link) = machine(bench)
    let fd = bench.open("/dev/vfio/devices/vfio0")
    let device = bind(bench, fd)
    #expect(add(bench, link, fd) == 0)
    let parent = UInt32(bench.hwpt(device, bench.ioas(), flags: 1))
    #expect(bench.viommu(device, parent) > 0)
    #expect(try bench.host.vmid(ofVM: vm) == 0)
  }

  @Test("A device of one VM is not put behind the stage 2 of another")
  func foreign() {
    let bench = EmulatedBench(.linked)
    let fds = [bench.open("/dev/vfio/devices/vfio0"), bench.open("/dev/vfio/devices/vfio1")]
    for fd in fds { #expect(add(bench, machine(bench).link, fd) == 0) }
    let first = bind(bench, fds[0])
    let second = bind(bench, fds[1])
    let parent = UInt32(bench.hwpt(first, bench.ioas(), flags: 1))
    let viommu = UInt32(bench.viommu(first, parent))
    let table = UInt32(bench.nested(second, viommu, 9))
    #expect(bench.attach(fds[1], table) == -22)
    #expect(bench.attach(fds[0], table) == 0)
    #expect(bench.host.check().count == 0)
  }

  @Test("VMIDs run out: ENOSPC, and everything is as it was")
  func exhaustion() {
    var configuration = EmulatedConfiguration()
    configuration.units[0].flags = 32
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
    configuration.units.append(EmulatedConfiguration.Unit())
    configuration.engines[1].unit = 1
    configuration.engines[1].stream = 8
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
    for (flags, parents, viommus) in [(4, -95, -22), (1, 1, -95), (1 | 2, 1, 1)]
      as [(
        UInt32, Int64, Int64
      )]
    {
      var configuration = EmulatedConfiguration()
      configuration.units[0].flags = flags
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
    configuration.engines[1].stream = 8
    #expect(configuration.refusal != nil)
    configuration.engines[1].stream = 1 << 20
    #expect(configuration.refusal != nil)
    configuration.engines[1] = .init(unit: 1, stream: 1)
    #expect(configuration.refusal != nil)
    configuration = EmulatedConfiguration()
    configuration.cpus = 1025
    #expect(configuration.refusal != nil)
    configuration = EmulatedConfiguration()
    configuration.vmidBits = 9
    #expect(configuration.refusal != nil)
  }
}
