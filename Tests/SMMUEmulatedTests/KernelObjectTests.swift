// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec
import Testing

@testable import SMMUEmulated

@Suite struct KernelObjectTests {
  @Test("Ids come from 1 upwards, the lowest free one first, in one namespace")
  func ids() {
    let bench = EmulatedBench(.linux73)
    #expect(bench.ioas() == 1)
    let (_, device) = bench.device()
    #expect(device == 2)
    #expect(bench.ioas() == 3)
    #expect(bench.destroy(1) == 0)
    #expect(bench.destroy(1) == -2)
    #expect(bench.hwpt(device, 3) == 1)
    #expect(bench.destroy(3) == -16)
    #expect(bench.destroy(device) == -16)
    #expect(bench.destroy(0) == -2)
  }

  @Test("A vDEVICE that goes with its device leaves its id taken")
  func tombstone() {
    let bench = NestedBench(.linux73)
    let vdevice = bench.base.vdevice(bench.device, bench.viommu, 5)
    #expect(bench.base.close(bench.fd) == 0)
    #expect(bench.base.destroy(UInt32(vdevice)) == -2)
    // The device's id is free again, the vDEVICE's is not.
    #expect(bench.base.ioas() == bench.device)
    #expect(Int64(bench.base.ioas()) == vdevice + 1)
    #expect(bench.base.host.check().count == 0)
  }

  @Test("The end of an iommufd destroys everything, leaves first")
  func teardown() {
    let bench = NestedBench(.linux73, virtualID: 1)
    let queue = bench.base.eventQueue(bench.viommu, depth: 1)
    #expect(bench.attach(bench.nested(9)) == 0)
    var fault = iommufd_fault_alloc()
    #expect(bench.base.iommu(IOMMUFD_FAULT_QUEUE_ALLOC, &fault) == 0)
    #expect(bench.base.host.counters.objects == 8)
    #expect(bench.base.host.counters.files == 6)
    // Bound devices and open queues hold the iommufd.
    #expect(bench.base.close(bench.base.iommu) == 0)
    #expect(bench.base.host.counters.objects == 8)
    #expect(bench.base.close(queue.fd) == 0)
    #expect(bench.base.close(fault.out_fault_fd) == 0)
    #expect(bench.base.host.counters.objects == 8)
    #expect(bench.base.close(bench.fd) == 0)
    #expect(bench.base.host.counters.objects == 0)
    #expect(bench.base.host.counters.files == 2)
    #expect(bench.base.host.check().count == 0)
  }

  @Test("Descriptors of one file share it; the last one closes it")
  func duplicates() throws {
    let bench = EmulatedBench(.linux73)
    let ioas = bench.ioas()
    let other = try bench.host.duplicate(bench.iommu)
    #expect(other != bench.iommu)
    #expect(bench.close(bench.iommu) == 0)
    #expect(bench.close(bench.iommu) == -9)
    var request = iommufd_destroy()
    (request.size, request.id) = (8, ioas)
    #expect(bench.control(other, IOMMUFD_DESTROY.number, &request) == 0)
    #expect(bench.close(other) == 0)
    #expect(bench.host.counters.files == 0)
  }

  @Test("Paths are those of Linux")
  func paths() {
    let bench = EmulatedBench(.linux73)
    for path in ["/dev/iommu", "/dev/kvm", "/dev/vfio/devices/vfio1"] {
      #expect(bench.open(path) > 0)
    }
    for path in [
      "/dev/iommu2", "", "/dev/vfio/devices/vfio", "/dev/vfio/devices/vfio2", "/dev",
      "/dev/vfio/devices/vfio01", "/dev/vfio/devices/vfio1x", "/dev/vfio/devices/vfio1111111111",
    ] {
      #expect(bench.open(path) == -2)
    }
  }

  @Test("A failed call leaves no object and no descriptor")
  func failures() {
    let bench = NestedBench(.linux73, virtualID: 1)
    let before = bench.base.host.counters
    #expect(bench.nested(3) == -5)
    #expect(bench.base.hwpt(bench.device, bench.ioas, flags: 3) == -95)
    #expect(bench.base.eventQueue(99, depth: 1).result == -2)
    #expect(bench.base.vdevice(bench.device, bench.viommu, 2) == -17)
    let after = bench.base.host.counters
    #expect(after.objects == before.objects && after.files == before.files)
    #expect(after.hwpts == before.hwpts)
    #expect(bench.base.host.check().count == 0)
  }
}

/// Faults that are ordered, with a whole kernel behind them.
@Suite struct OrderedFaultTests {
  @Test("The nth ioctl of a kind fails once, and carries nothing out")
  func nth() {
    let bench = EmulatedBench(.linux73)
    #expect(
      bench.calls.add(
        FailureRule(.control, request: IOMMUFD_IOAS_ALLOC.number, nth: 2, effect: .error(.enomem))))
    var request = iommufd_ioas_alloc()
    for expected in [0, -12, 0] as [Int64] {
      #expect(bench.iommu(IOMMUFD_IOAS_ALLOC, &request) == expected)
    }
    #expect(bench.host.counters.objects == 2)
  }

  @Test("An invalidation that is to fail carries some entries out, and says how many")
  func partly() {
    let bench = NestedBench(.linux73, virtualID: 8)
    let request = IOMMUFD_HWPT_INVALIDATE.number
    let effect = FailureRule.Effect.partial(done: 2, reported: 2, error: .etimedout)
    #expect(bench.base.calls.add(FailureRule(.control, request: request, effect: effect)))
    let before = bench.base.host.counters.commands
    let commands = Array(repeating: CommandWords(0x10, 0), count: 5)
    #expect(bench.base.invalidate(bench.viommu, commands) == (-110, 2))
    // Two of them and the CMD_SYNC.
    #expect(bench.base.host.counters.commands == before + 3)
    #expect(bench.base.invalidate(bench.viommu, commands) == (0, 5))
  }

  @Test("An event that is lost before the reader leaves no header once another follows")
  func lostEvents() {
    let bench = NestedBench(.linux73, virtualID: 8)
    bench.writeContext()
    let queue = bench.base.eventQueue(bench.viommu, depth: 4)
    #expect(bench.attach(bench.nested(NestedBench.stage1.0, NestedBench.stage1.1)) == 0)
    #expect(bench.base.calls.add(FailureRule(.read, effect: .loseEvents(2))))
    #expect(bench.write(0x5000, 1) == .abort)
    #expect(bench.events(queue.fd) == [[1, 0]])
    #expect(bench.write(0x5000, 1) == .abort)
    #expect(bench.write(0x5000, 1) == .abort)
    #expect(bench.events(queue.fd).map { $0[1] } == [2])
  }
}
