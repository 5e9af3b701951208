// SPDX-License-Identifier: MIT
import CVSMMU
import Glibc

/// A vSMMU takes a host and gives it back beside accesses: software's translations go on as they
/// are.
extension Change {
  static var hosts: [Change] {
    [
    Change(
      name: "set_host",
      prepare: { world in
        for page in 4..<8 as Range<UInt64> {
          world[0x6000 + page * 8] = World.old(page) | World.leaf
        }
        world.openHost()
      },
      apply: { world in
        world.expect(vsmmu_set_host(world.device, world.host, 0, 0))
        world.expect(vsmmu_set_host(world.device, nil, 0, 0))
      },
      verdict: { $0.eventCount == 0 ? nil : "an event that nothing caused" },
      new: [.address(World.old(5))], isNoticed: false, limit: 200)
    ]
  }
}

extension World {
  /// A kernel that grants what is asked of it while there are no devices.
  func openHost() {
    var kernel = vsmmu_kernel()
    kernel.size = UInt32(MemoryLayout<vsmmu_kernel>.size)
    kernel.open = { _, _ in Glibc.open("/dev/null", O_RDWR) }
    kernel.close = { _, file in Glibc.close(file) }
    kernel.dup = { _, file in Glibc.dup(file) }
    kernel.ioctl = { _, _, request, argument in
      Scheduler.current?.pause()
      // IOMMU_IOAS_ALLOC tells which one it is.
      if request == 0x3b81 { argument?.storeBytes(of: 1, toByteOffset: 8, as: UInt32.self) }
      return 0
    }
    kernel.read = { _, _, _, _ in Int64(-EAGAIN) }
    kernel.write = { _, _, _, _ in Int64(-EINVAL) }
    kernel.poll = { _, _ in 0 }
    kernel.mmap = { _, _, _, _, _ in -ENODEV }
    kernel.munmap = { _, _, _ in -EINVAL }
    var config = vsmmu_host_config()
    config.size = UInt32(MemoryLayout<vsmmu_host_config>.size)
    withUnsafePointer(to: kernel) { pointer in
      config.kernel = pointer
      expect(vsmmu_host_open(&config, &host, nil, 0))
    }
  }
}
