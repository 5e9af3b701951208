// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUEmulated

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct KernelIOASTests {
  private let page: UInt64 = 4096

  @Test("Page tables and devices narrow what is usable, for as long as they are there")
  func ranges() {
    let bench = NestedBench(.linux73)
    let reach: UInt64 = 0xffff_ffff_ffff
    #expect(bench.base.ranges(bench.ioas).0 == [0, reach])
    #expect(bench.base.ranges(bench.ioas).alignment == 4096)
    #expect(bench.attach(bench.nested(9)) == 0)
    #expect(bench.base.ranges(bench.ioas).0 == [0, 0x7ff_ffff, 0x810_0000, reach])
    let short = bench.base.ranges(bench.ioas, capacity: 1)
    #expect(short.result == -90 && short.count == 2 && short.0 == [0, 0x7ff_ffff])
    #expect(bench.base.map(bench.ioas, 0x800_0000, bench.memory, page) == -22)
    #expect(bench.base.detach(bench.fd) == 0)
    #expect(bench.base.map(bench.ioas, 0x800_0000, bench.memory, page) == 0)
    #expect(bench.attach(bench.nested(9)) == -98)
    #expect(bench.base.map(bench.ioas, reach + 1, bench.memory, page) == -22)
    #expect(bench.base.host.check().count == 0)
  }

  @Test("Without a page table any alignment will do; then none of it is left")
  func alignment() {
    let bench = EmulatedBench(.linux73)
    let (_, device) = bench.device()
    let ioas = bench.ioas()
    #expect(bench.ranges(ioas).alignment == 1)
    let memory = bench.memory(8192)
    #expect(bench.map(ioas, 0x1001, memory + 3, 5) == 0)
    #expect(bench.hwpt(device, ioas) == -98)
    #expect(bench.unmap(ioas, 0x1001, 5) == 0)
    #expect(bench.hwpt(device, ioas) > 0)
    #expect(bench.map(ioas, 0x1001, memory, page) == -22)
    #expect(bench.map(ioas, 0x1000, memory + 1, page) == -22)
    #expect(bench.map(ioas, 0x1000, memory, page + 1) == -22)
    #expect(bench.map(ioas, 0x1000, memory, page) == 0)
  }

  @Test("The kernel chooses addresses where it may")
  func choice() {
    let bench = EmulatedBench(.linux73)
    let ioas = bench.ioas()
    let memory = bench.memory(8192)
    func choose(_ length: UInt64) -> Int64 {
      var request = iommufd_ioas_map()
      (request.ioas_id, request.flags, request.length) = (ioas, 6, length)
      request.user_va = UInt64(UInt(bitPattern: memory))
      let result = bench.iommu(IOMMUFD_IOAS_MAP, &request)
      return result < 0 ? result : Int64(request.iova)
    }
    func allow(_ ranges: [UInt64]) -> Int64 {
      var ranges = ranges
      return ranges.withUnsafeMutableBytes { bytes in
        var request = iommufd_ioas_allow_iovas()
        (request.ioas_id, request.num_iovas) = (ioas, UInt32(bytes.count / 16))
        request.allowed_iovas = bytes.baseAddress.map { UInt64(UInt(bitPattern: $0)) } ?? 0
        return bench.iommu(IOMMUFD_IOAS_ALLOW_IOVAS, &request)
      }
    }
    #expect(choose(4096) == 0x1000)
    #expect(choose(8192) == 0x2000)
    #expect(bench.unmap(ioas, 0x1000, page) == 0)
    #expect(choose(8192) == 0x4000)
    #expect(choose(4096) == 0x1000)
    #expect(allow([0x2_0000, 0x2_1fff, 0x1_0000, 0x1_0fff]) == 0)
    #expect(choose(8192) == 0x2_0000)
    #expect(choose(4096) == 0x1_0000)
    #expect(choose(4096) == -28)
    #expect(allow([5, 5]) == -22)
    #expect(allow([0, 9, 9, 20]) == -22)
    #expect(allow([]) == 0)
    #expect(choose(4096) == 0x6000)
  }

  @Test("Copies share memory and rights; a file can be mapped, and outlives its descriptor")
  func copies() throws {
    let bench = NestedBench(.linux73)
    var path = Array("/dev/shm/vsmmuXXXXXX".utf8CString)
    let fd = mkstemp(&path)
    #expect(ftruncate(fd, 8192) == 0 && unlink(path) == 0)
    let other = bench.base.ioas()
    var file = iommufd_ioas_map_file()
    (file.flags, file.ioas_id, file.fd, file.start) = (5, other, fd, 4096)
    (file.length, file.iova) = (4096, 0x9000)
    #expect(bench.base.iommu(IOMMUFD_IOAS_MAP_FILE, &file) == 0)
    var word: UInt64 = 0xabcd
    #expect(pwrite(fd, &word, 8, 4096) == 8)
    Glibc.close(fd)
    var copy = iommufd_ioas_copy()
    (copy.flags, copy.src_ioas_id, copy.dst_ioas_id) = (7, other, bench.ioas)
    (copy.src_iova, copy.dst_iova, copy.length) = (0x9000, 0x1_0000, 4096)
    #expect(bench.base.iommu(IOMMUFD_IOAS_COPY, &copy) == -1)
    copy.flags = 5
    #expect(bench.base.iommu(IOMMUFD_IOAS_COPY, &copy) == 0)
    #expect(bench.base.destroy(other) == 0)
    #expect(bench.attach(bench.nested(9)) == 0)
    #expect(bench.read(0x1_0000) == (0xabcd, .ok))
    #expect(bench.write(0x1_0000, 1) == .abort)
    // Not the closed one, whose number another test may have by now.
    file.fd = -1
    #expect(bench.base.iommu(IOMMUFD_IOAS_MAP_FILE, &file) == -2)
    file.ioas_id = bench.ioas
    #expect(bench.base.iommu(IOMMUFD_IOAS_MAP_FILE, &file) == -9)
  }

  @Test("Memory that is none is EFAULT once a table needs it, in the middle of a copy too")
  func noMemory() {
    let bench = NestedBench(.linux73)
    let other = bench.base.ioas()
    let holed = mmap(nil, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
    #expect(munmap(holed + 4096, 4096) == 0)
    defer { munmap(holed, 3 * 4096) }
    func map(_ ioas: UInt32, _ iova: UInt64, _ address: UInt64, _ length: UInt64) -> Int64 {
      var request = iommufd_ioas_map()
      (request.flags, request.ioas_id, request.iova) = (7, ioas, iova)
      (request.user_va, request.length) = (address, length)
      return bench.base.iommu(IOMMUFD_IOAS_MAP, &request)
    }
    func copy(_ from: UInt64, _ length: UInt64) -> Int64 {
      var request = iommufd_ioas_copy()
      (request.flags, request.src_ioas_id, request.dst_ioas_id) = (7, other, bench.ioas)
      (request.src_iova, request.dst_iova, request.length) = (from, 0x2_0000, length)
      return bench.base.iommu(IOMMUFD_IOAS_COPY, &request)
    }
    let hole = UInt64(UInt(bitPattern: holed))
    #expect(map(bench.ioas, 0x2_0000, 0, 0x4000) == -14)
    #expect(map(bench.ioas, 0x2_0000, hole, 0x3000) == -14)
    #expect(map(bench.ioas, 0x2_0000, hole, 0x2000) == -14)
    // Without a table no one looks.
    #expect(map(other, 0x10_0000, 0, 0x4000) == 0)
    #expect(map(other, 0x20_0000, hole, 0x3000) == 0)
    for page in 0..<UInt64(4) { #expect(copy(0x10_0000 + page * 4096, 4096) == -14) }
    #expect(copy(0x20_0000, 0x3000) == -14)
    #expect(copy(0x20_1000, 4096) == -14)
    #expect(copy(0x20_2000, 4096) == 0)
    #expect(bench.base.hwpt(bench.device, other, flags: 1) == -14)
    #expect(bench.base.host.check().count == 0)
  }

  @Test("A mapping beyond its file's end is EINVAL once a table needs its pages")
  func beyondFile() {
    let bench = NestedBench(.linux73)
    var path = Array("/dev/shm/vsmmuXXXXXX".utf8CString)
    let fd = mkstemp(&path)
    // The last page is there, as its first byte is.
    #expect(ftruncate(fd, 8193) == 0 && unlink(path) == 0)
    defer { Glibc.close(fd) }
    let other = bench.base.ioas()
    func map(_ ioas: UInt32, _ iova: UInt64, _ start: UInt64, _ length: UInt64) -> Int64 {
      var file = iommufd_ioas_map_file()
      (file.flags, file.ioas_id, file.fd, file.start) = (7, ioas, fd, start)
      (file.length, file.iova) = (length, iova)
      return bench.base.iommu(IOMMUFD_IOAS_MAP_FILE, &file)
    }
    func copy(_ from: UInt64, _ length: UInt64, to iova: UInt64) -> Int64 {
      var request = iommufd_ioas_copy()
      (request.flags, request.src_ioas_id, request.dst_ioas_id) = (7, other, bench.ioas)
      (request.src_iova, request.dst_iova, request.length) = (from, iova, length)
      return bench.base.iommu(IOMMUFD_IOAS_COPY, &request)
    }
    #expect(map(bench.ioas, 0x10_0000, 0, 0x4000) == -22)
    #expect(map(bench.ioas, 0x10_0000, 0x3000, 0x1000) == -22)
    #expect(map(bench.ioas, 0x10_0000, 0, 0x3000) == 0)
    #expect(map(other, 0x20_0000, 0, 0x4000) == 0)
    #expect(copy(0x20_3000, 0x1000, to: 0x20_0000) == -22)
    #expect(copy(0x20_1000, 0x2000, to: 0x20_0000) == 0)
    #expect(bench.base.hwpt(bench.device, other, flags: 1) == -22)
    // Longer now, and looked at now.
    #expect(ftruncate(fd, 0x4000) == 0)
    #expect(bench.base.hwpt(bench.device, other, flags: 1) > 0)
    #expect(bench.attach(bench.nested(9)) == 0)
    #expect(bench.write(0x20_1000, 5) == .ok)
    #expect(bench.read(0x10_2000) == (5, .ok))
  }

  @Test("A file without pages has none in the middle of a copy either")
  func noPages() {
    let bench = NestedBench(.linux73)
    let other = bench.base.ioas()
    var file = iommufd_ioas_map_file()
    (file.flags, file.ioas_id, file.fd) = (7, other, bench.base.iommu)
    (file.length, file.iova) = (0x4000, 0x9000)
    #expect(bench.base.iommu(IOMMUFD_IOAS_MAP_FILE, &file) == 0)
    var copy = iommufd_ioas_copy()
    (copy.flags, copy.src_ioas_id, copy.dst_ioas_id) = (7, other, bench.ioas)
    (copy.src_iova, copy.dst_iova, copy.length) = (0xa000, 0x1_0000, 0x1000)
    #expect(bench.base.iommu(IOMMUFD_IOAS_COPY, &copy) == -22)
  }

  @Test("A read-only or unmapped page stops a device")
  func rights() {
    let bench = NestedBench(.linux73)
    let memory = bench.base.memory(8192)
    #expect(bench.base.map(bench.ioas, 0x2000, memory, page, flags: 5) == 0)
    #expect(bench.base.map(bench.ioas, 0x3000, memory + 4096, page, flags: 3) == 0)
    #expect(bench.attach(bench.nested(9)) == 0)
    #expect(bench.read(0x2000).kind == .ok)
    #expect(bench.write(0x2000, 1) == .abort)
    #expect(bench.read(0x3000).kind == .abort)
    #expect(bench.write(0x3000, 1) == .ok)
    #expect(bench.base.unmap(bench.ioas, 0, .max) == 0)
    #expect(bench.write(0x3000, 1) == .abort)
    #expect(bench.base.host.counters.mappings == 0)
  }

  @Test("An IOAS can be attached at an SMMU with either stage alone", arguments: [false, true])
  func oneStage(hasStage1: Bool) {
    var configuration = EmulatedConfiguration()
    if hasStage1 {
      configuration.smmus[0].features[.idr0, IDR0.s2p] = 0
      configuration.smmus[0].features[.idr0, IDR0.vmw] = 0
    } else {
      configuration.smmus[0].features[.idr0, IDR0.s1p] = 0
      configuration.smmus[0].features[.idr3, IDR3.had] = 0
    }
    let bench = EmulatedBench(configuration)
    let ioas = bench.ioas()
    let memory = bench.memory(4096)
    memory.storeBytes(of: 0xabc, as: UInt64.self)
    let (fd, id) = bench.device(0)
    #expect(bench.map(ioas, 0x10_0000, memory, page) == 0)
    #expect(bench.hwpt(id, ioas, flags: 1) == -95)
    #expect(bench.attach(fd, ioas) == 0)
    var word: UInt64 = 0
    let answer = bench.host.dma(
      of: 0, access: Access(stream: 0, address: 0x10_0000), data: &word, length: 8)
    #expect(answer?.kind == .ok && word == 0xabc)
  }

  @Test("What Linux could not drive is no SMMU of this host")
  func refusals() {
    func refusal(_ register: IdentificationRegister, _ field: Field, _ value: UInt32) -> Bool {
      var configuration = EmulatedConfiguration()
      configuration.smmus[0].features[register, field] = value
      return configuration.refusal != nil
    }
    for bits in 0...19 as ClosedRange<UInt32> {
      #expect(refusal(.idr1, IDR1.cmdqs, bits) == (bits < 7))
      #expect(!refusal(.idr1, IDR1.eventqs, bits))
    }
    for endianness in [0, 2, 3] as [UInt32] {
      #expect(refusal(.idr0, IDR0.ttendian, endianness) == (endianness == 3))
    }
    #expect(refusal(.idr5, IDR5.gran4K, 0))
    #expect(!refusal(.idr5, IDR5.gran16K, 0) && !refusal(.idr5, IDR5.gran64K, 0))
  }

  @Test("Devices that are attached to one IOAS share the table that the kernel makes")
  func automatic() {
    let bench = EmulatedBench(.linux73)
    let ioas = bench.ioas()
    let (first, _) = bench.device(0)
    let (second, _) = bench.device(1)
    #expect(bench.attach(first, ioas) == 0)
    let objects = bench.host.counters.objects
    #expect(bench.attach(second, ioas) == 0)
    #expect(bench.host.counters.objects == objects)
    #expect(bench.host.counters.hwpts == 0)
    #expect(bench.detach(first) == 0)
    #expect(bench.host.counters.objects == objects)
    #expect(bench.close(second) == 0)
    #expect(bench.host.counters.objects == objects - 2)
    #expect(bench.destroy(ioas) == 0)
    #expect(bench.host.check().count == 0)
  }
}
