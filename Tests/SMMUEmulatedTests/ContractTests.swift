// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUSpec
import Testing

@testable import SMMUEmulated

private let einval: Int64 = -22
private let enoent: Int64 = -2
private let eio: Int64 = -5
private let e2big: Int64 = -7
private let ebusy: Int64 = -16
private let eexist: Int64 = -17
private let eopnotsupp: Int64 = -95
private let etimedout: Int64 = -110

/// What a real kernel, Linux 7.2.13 on QEMU's SMMUv3, answered to the same calls.
@Suite struct EmulatedContractTests {
  @Test("BIND happens once")
  func bind() {
    let bench = EmulatedBench(.linux72)
    let (fd, id) = bench.device()
    #expect(id == 1)
    var bind = vfio_bind_iommufd()
    bind.iommufd = bench.iommu
    #expect(bench.vfio(fd, VFIO_REQUEST_BIND_IOMMUFD, &bind) == einval)
  }

  @Test("GET_HW_INFO copies what fits and tells how much there is")
  func information() {
    let bench = EmulatedBench(.linux72)
    let (_, id) = bench.device()
    var data = [UInt32](repeating: 0xffff_ffff, count: 12)
    func info(_ length: UInt32, _ flags: UInt32, _ type: UInt32, _ device: UInt32) -> (
      Int64, UInt32
    ) {
      data.withUnsafeMutableBytes { bytes in
        var request = iommufd_hw_info()
        request.flags = flags
        request.dev_id = device
        request.data_len = length
        request.data_uptr = UInt64(UInt(bitPattern: bytes.baseAddress!))
        request.data_type = type
        let result = bench.iommu(IOMMUFD_GET_HW_INFO, &request)
        return (result, request.data_len)
      }
    }
    #expect(info(8, 0, 0, id) == (0, 40))
    #expect(data[0] == 0 && data[2] == 0xffff_ffff)
    #expect(info(0, 0, 0, id) == (0, 40))
    #expect(info(48, 0, 0, id) == (0, 40))
    #expect(data[2] & 3 == 3 && data[10] == 0 && data[11] == 0)
    #expect(info(40, 1, 2, id).0 == 0)
    #expect(info(40, 1, 3, id).0 == eopnotsupp)
    #expect(info(40, 1, 1, id).0 == eopnotsupp)
    #expect(info(40, 0, 0, 99).0 == enoent)
    #expect(info(40, 2, 0, id).0 == eopnotsupp)
  }

  @Test("An IOAS maps anywhere until a device is attached")
  func addressSpace() {
    let bench = EmulatedBench(.linux72)
    let ioas = bench.ioas()
    #expect(bench.ranges(ioas).0 == [0, .max])
    let memory = bench.memory(4 << 20)
    #expect(bench.map(ioas, 0x4000_0000, memory, 4 << 20) == 0)
    #expect(bench.map(ioas, 0x4000_0000, memory, 4 << 20) == eexist)
    #expect(bench.map(ioas, 0x800_0000, memory, 4096) == 0)
    #expect(bench.unmap(ioas, 0x800_0000, 4096) == 0)
  }

  @Test("HWPT_ALLOC and VIOMMU_ALLOC take what suits them")
  func parents() {
    let bench = EmulatedBench(.linux72)
    let (_, device) = bench.device()
    let ioas = bench.ioas()
    let plain = bench.hwpt(device, ioas)
    #expect(plain > 0)
    #expect(bench.viommu(device, UInt32(plain)) == einval)
    #expect(bench.hwpt(device, ioas, flags: 3) == eopnotsupp)
    #expect(bench.hwpt(device, ioas, flags: 9) == eopnotsupp)
    let parent = bench.hwpt(device, ioas, flags: 1)
    #expect(parent > 0)
    let id = UInt32(parent)
    #expect(bench.viommu(device, id, type: 0) == eopnotsupp)
    #expect(bench.viommu(device, id, type: 2) == eopnotsupp)
    #expect(bench.viommu(device, id, flags: 1) == eopnotsupp)
    #expect(bench.viommu(device, id) > 0)
    #expect(bench.viommu(device, id) > 0)
    #expect(bench.nested(device, id, 0b1001) == eopnotsupp)
  }

  @Test("A nested HWPT wants an STE of sixteen bytes")
  func nestedData() {
    let bench = NestedBench(.linux72)
    #expect(bench.nested(0b1001, type: 0) == einval)
    #expect(bench.nested(0b1001, type: 1) == einval)
    #expect(bench.nested(0b1001, length: 8) == einval)
    #expect(bench.nested(0b1001, length: 32) == einval)
  }

  static let entries: [(low: UInt64, high: UInt64, isFine: Bool)] = [
    (0x4001_000b, 0, true), (0xffff_ffff_ffff_fffe, .max, true), (1, 0, true), (9, 0, true),
    (3, 0, false), (5, 0, false), (7, 0, false), (13, 0, false), (15, 0, false),
    (0x4001_001b | 4 << 59, 0, true), (0x4001_000b, 0xfd, true), (0x4001_000b, 1 << 27, true),
    (0x4001_000b, 1 << 28, true), (0x4001_000b, 2 << 28, false), (0x4001_000b, 2 << 30, false),
    (0x4001_000b, 1 << 44, false), (0x4001_000b, 1 << 19, false), (0x4001_000b, 1 << 18, false),
    (0x4001_000b, 1 << 13, false), (0x4001_000b, 1 << 12, false),
  ]

  @Test("Of a guest's STE only permitted fields pass", arguments: entries)
  func virtualSTE(_ entry: (low: UInt64, high: UInt64, isFine: Bool)) {
    let bench = NestedBench(.linux72)
    let result = bench.nested(entry.low, entry.high)
    #expect(entry.isFine ? result > 0 : result == eio)
  }

  @Test("A translating stream needs a vDEVICE; attaching again is nothing")
  func attachment() {
    let bench = NestedBench(.linux72)
    let bypass = bench.nested(0b1001)
    let stage1 = bench.nested(0x4001_000b)
    #expect(bench.attach(bypass) == 0)
    #expect(bench.attach(stage1) == enoent)
    #expect(bench.base.vdevice(bench.device, bench.viommu, 8) > 0)
    #expect(bench.base.vdevice(bench.device, bench.viommu, 9) == eexist)
    #expect(bench.attach(stage1) == 0)
    #expect(bench.attach(stage1) == 0)
    let other = bench.nested(0x4002_000b)
    #expect(bench.attach(other) == 0)
    #expect(bench.base.destroy(UInt32(other)) == ebusy)
    #expect(bench.base.destroy(UInt32(stage1)) == 0)
    #expect(bench.base.destroy(bench.viommu) == ebusy)
    #expect(bench.base.attach(bench.fd, UInt32(other), pasid: 1) == einval)
  }

  @Test("A vIOMMU has one vEVENTQ of a type")
  func eventQueues() {
    let bench = NestedBench(.linux72)
    #expect(bench.base.eventQueue(bench.viommu, depth: 0).result == einval)
    #expect(bench.base.eventQueue(bench.viommu, depth: 4, type: 0).result == eopnotsupp)
    let queue = bench.base.eventQueue(bench.viommu, depth: 4)
    #expect(queue.result == 0)
    #expect(bench.base.eventQueue(bench.viommu, depth: 4).result == eexist)
    #expect(bench.base.poll(queue.fd) == 0)
    #expect(bench.base.read(queue.fd, 4096).0 == 0)
    #expect(bench.base.destroy(queue.id) == ebusy)
    #expect(bench.base.close(queue.fd) == 0)
    #expect(bench.base.destroy(queue.id) == 0)
  }

  static let opcodes: [(opcode: UInt64, isFine: Bool)] = [
    (0x1, false), (0x2, false), (0x3, false), (0x4, false), (0x5, true), (0x6, true),
    (0x10, true), (0x11, true), (0x12, true), (0x13, true), (0x18, false), (0x20, false),
    (0x21, false), (0x22, false), (0x28, false), (0x2a, false), (0x30, true), (0x40, true),
    (0x41, false), (0x44, false), (0x45, false), (0x46, false), (0x50, false), (0x80, false),
  ]

  @Test("INVALIDATE knows eight opcodes", arguments: opcodes)
  func opcode(_ row: (opcode: UInt64, isFine: Bool)) {
    let bench = NestedBench(.linux72, virtualID: 8)
    let answer = bench.base.invalidate(bench.viommu, row.opcode | 8 << 32)
    #expect(answer == (row.isFine ? (0, 1) : (eio, 0)))
  }

  @Test("INVALIDATE and its array")
  func array() {
    let bench = NestedBench(.linux72, virtualID: 8)
    let command = CommandWords(0x12 | 8 << 32, 0)
    func answer(
      _ id: UInt32, length: Int = 16, type: UInt32 = 1, count: Int? = nil
    ) -> (Int64, UInt32) {
      bench.base.invalidate(id, [command], length: length, type: type, count: count)
    }
    #expect(answer(bench.viommu, count: 0) == (einval, 0))
    #expect(answer(bench.viommu, type: 7, count: 0) == (einval, 0))
    #expect(answer(bench.viommu, type: 0) == (einval, 0))
    #expect(answer(bench.viommu, length: 8) == (0, 1))
    #expect(answer(bench.viommu, length: 24) == (e2big, 0))
    #expect(answer(bench.parent) == (einval, 0))
    #expect(answer(UInt32(bench.nested(9))) == (eopnotsupp, 0))
    #expect(answer(999) == (enoent, 0))
    let many = Array(repeating: command, count: 300)
    #expect(bench.base.invalidate(bench.viommu, many) == (0, 300))
  }

  @Test("INVALIDATE checks opcodes alone, and the queue the rest")
  func unchecked() {
    let bench = NestedBench(.linux72, virtualID: 8)
    func answer(_ low: UInt64, _ high: UInt64) -> (Int64, UInt32) {
      bench.base.invalidate(bench.viommu, low, high)
    }
    #expect(answer(0x12 | 0x55 << 32, 0x1000) == (0, 1))
    #expect(answer(0x12 | 31 << 12 | 31 << 20, 1 << 10 | 3 << 8) == (0, 1))
    #expect(answer(0x5 | 5 << 12 | 8 << 32, 1) == (0, 1))
    #expect(answer(0x5 | 1 << 10 | 8 << 32, 1) == (etimedout, 0))
    #expect(answer(0x5 | 8 << 32, 0xff00) == (0, 1))
    // The queue goes on.
    #expect(answer(0x10, 0) == (0, 1))
  }

  @Test("A vDEVICE may go before its attachment does")
  func withoutVDevice() {
    let bench = NestedBench(.linux72)
    let vdevice = bench.base.vdevice(bench.device, bench.viommu, 8)
    let stage1 = bench.nested(0x4001_000b)
    #expect(bench.attach(stage1) == 0)
    #expect(bench.base.destroy(UInt32(vdevice)) == 0)
    #expect(bench.base.invalidate(bench.viommu, 0x5 | 8 << 32, 1) == (eio, 0))
    #expect(bench.base.destroy(UInt32(vdevice)) == enoent)
    #expect(bench.base.vdevice(bench.device, bench.viommu, 1 << 33) > 0)
    #expect(bench.base.close(bench.fd) == 0)
    #expect(bench.base.destroy(UInt32(stage1)) == 0)
    #expect(bench.base.host.check().count == 0)
  }
}
