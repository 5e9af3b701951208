// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import TestSupport
import Testing

@testable import SMMUEmulated

@Suite struct BARRevocationTests {
  private let bar: UInt64 = 0x9000_0000
  private let length: UInt64 = 8192

  /// A dma-buf of the first pages of a device's BAR.
  private func export(_ bench: EmulatedBench, _ fd: Int32) -> Int32 {
    var request = vfio_feature_dma_buf()
    request.flags = VFIO_FEATURE_GET | VFIO_FEATURE_DMA_BUF
    request.nr_ranges = 1
    request.range = vfio_bar_range(offset: 0, length: length)
    return Int32(bench.vfio(fd, VFIO_REQUEST_DEVICE_FEATURE, &request))
  }

  private func map(_ bench: EmulatedBench, _ ioas: UInt32, _ fd: Int32) -> Int64 {
    var request = iommufd_ioas_map_file()
    request.flags = 7
    request.ioas_id = ioas
    request.fd = fd
    request.length = length
    request.iova = bar
    return bench.iommu(IOMMUFD_IOAS_MAP_FILE, &request)
  }

  /// A table with the BAR of device 1 in it.
  private func peers() -> (bench: EmulatedBench, ioas: UInt32, peer: Int32) {
    let bench = EmulatedBench(.linux73)
    let (_, device) = bench.device()
    let (peer, _) = bench.device(1)
    let ioas = bench.ioas()
    #expect(bench.hwpt(device, ioas, flags: 1) > 0)
    let buffer = export(bench, peer)
    #expect(map(bench, ioas, buffer) == 0)
    #expect(bench.close(buffer) == 0)
    return (bench, ioas, peer)
  }

  @Test("A BAR that is revoked and stays mapped is a broken invariant")
  func invariant() {
    let (bench, ioas, _) = peers()
    #expect(bench.host.check().count == 0)
    bench.host.kernel.devices[1].bar.revoked()
    #expect(bench.host.check().count == 1)
    #expect(bench.host.check().sentence.text.contains("revoked"))
    // Not unmapped, as it is taken for a hole.
    #expect(bench.unmap(ioas, bar, length) == 0)
  }

  @Test("A device that is closed leaves a hole, and a mapping its dma-buf until it is unmapped")
  func closing() {
    let (bench, ioas, peer) = peers()
    let files = bench.host.counters.files
    #expect(bench.close(peer) == 0)
    #expect(bench.host.counters.files == files - 1)
    #expect(bench.host.check().count == 0)
    #expect(bench.map(ioas, bar, bench.memory(8192), length) == -17)
    #expect(bench.unmap(ioas, bar, length) == 0)
    #expect(bench.map(ioas, bar, bench.memory(8192), length) == 0)
    #expect(bench.host.check().count == 0)
  }
}
