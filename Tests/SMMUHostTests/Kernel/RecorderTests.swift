// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUHost
import TestSupport
import Testing

/// Lines that a recorder told.
private final class Lines {
  var all: [String] = []
}

@Suite struct RecorderTests {
  let kernel = ScriptedKernel()
  private let lines = Lines()

  func recorder() -> Recorder {
    let lines = lines
    return Recorder.make(before: kernel, tell: { lines.all.append($0.text) })!
  }

  /// Makes an ioctl, whatever comes of it, and gives its line.
  func line<T>(_ request: UInt32, _ argument: inout T) -> String {
    let recorder = recorder()
    withUnsafeMutableBytes(of: &argument) { bytes in
      _ = try? recorder.control(5, request: request, argument: bytes.baseAddress)
    }
    return lines.all.last ?? ""
  }

  @Test("Plain calls look as strace prints them")
  func plain() throws {
    let recorder = recorder()
    _ = try recorder.open("/dev/iommu")
    _ = try? recorder.open("x")
    _ = try recorder.duplicate(3)
    _ = try recorder.poll(3)
    var word: UInt64 = 0
    kernel.onRead = { _, _ in .success(8) }
    _ = try recorder.read(3, into: &word, count: 8)
    _ = try recorder.write(3, from: &word, count: 8)
    let address = try recorder.map(3, offset: 0x1000, length: 4096)
    recorder.unmap(address, length: 4096)
    try recorder.close(3)
    try? recorder.close(-1)
    #expect(try !recorder.same(3, 4))
    #expect(lines.all.count == 11)
    #expect(lines.all[0] == #"open("/dev/iommu", O_RDWR|O_CLOEXEC) = 3"#)
    #expect(lines.all[1] == #"open("x", O_RDWR|O_CLOEXEC) = -1 ENOENT"#)
    #expect(lines.all[2] == "dup(3) = 4")
    #expect(lines.all[3] == "poll(3) = 0x5")
    #expect(lines.all[4].hasPrefix("read(3, 0x") && lines.all[4].hasSuffix(", 8) = 8"))
    #expect(
      lines.all[6] == "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0x1000) = 0x10000")
    #expect(lines.all[7] == "munmap(0x10000, 4096) = 0")
    #expect(lines.all[8] == "close(3) = 0")
    #expect(lines.all[9] == "close(-1) = -1 EBADF")
    #expect(lines.all[10] == "fcntl(3, F_DUPFD_QUERY, 4) = 0")
    #expect(recorder.count(of: .open) == 2)
    #expect(recorder.total == 11)
  }

  @Test("Fields of the caller come before =>, those of the kernel after")
  func fields() {
    kernel.onControl = { request, argument in
      if request == IOMMUFD_VDEVICE_ALLOC.rawValue {
        argument!.assumingMemoryBound(to: iommufd_vdevice_alloc.self).pointee.out_vdevice_id = 9
      }
      return .success(0)
    }
    var argument = iommufd_vdevice_alloc()
    argument.size = 24
    argument.viommu_id = 4
    argument.dev_id = 1
    argument.virt_id = 0x18
    #expect(
      line(IOMMUFD_VDEVICE_ALLOC.rawValue, &argument)
        == "ioctl(5, IOMMU_VDEVICE_ALLOC, {viommu_id=4, dev_id=1, virt_id=0x18 => "
        + "out_vdevice_id=9}) = 0")
    var destroy = iommufd_destroy(size: 8, id: 7)
    #expect(line(0x3b80, &destroy) == "ioctl(5, IOMMU_DESTROY, {id=7}) = 0")
  }

  @Test("A failed call shows its error and no output")
  func failure() {
    kernel.onControl = { _, _ in .failure(.ebusy) }
    var alloc = iommufd_ioas_alloc(size: 12, flags: 0, out_ioas_id: 77)
    #expect(line(0x3b81, &alloc) == "ioctl(5, IOMMU_IOAS_ALLOC, {flags=0x0}) = -1 EBUSY")
    kernel.onControl = { _, _ in .failure(Errno(code: 4242)) }
    #expect(line(0x3b81, &alloc).hasSuffix("= -1 errno 4242"))
  }

  @Test("An invalidation shows its commands, and how many were done though it failed")
  func invalidation() {
    kernel.onControl = { _, argument in
      argument!.assumingMemoryBound(to: iommufd_hwpt_invalidate.self).pointee.entry_num = 1
      return .failure(.eio)
    }
    var commands: [UInt64] = [0x11, 0, 0x5_0000_0012, 0x1000]
    let text = commands.withUnsafeMutableBufferPointer { buffer in
      var argument = iommufd_hwpt_invalidate()
      argument.size = 32
      argument.hwpt_id = 4
      argument.data_uptr = UInt64(UInt(bitPattern: buffer.baseAddress!))
      argument.data_type = 1
      argument.entry_len = 16
      argument.entry_num = 2
      return line(IOMMUFD_HWPT_INVALIDATE.rawValue, &argument)
    }
    #expect(
      text == "ioctl(5, IOMMU_HWPT_INVALIDATE, {hwpt_id=4, data_type=1, entry_len=16, "
        + "entry_num=2, data=[0x11, 0x0, 0x500000012, 0x1000] => entry_num=1}) = -1 EIO")
  }

  @Test("A nested HWPT shows the STE, the host's registers show after the call")
  func payloads() {
    kernel.onControl = { request, argument in
      if request == IOMMUFD_GET_HW_INFO.rawValue {
        let info = argument!.assumingMemoryBound(to: iommufd_hw_info.self)
        info.pointee.data_len = 40
        info.pointee.data_type = 2
        UnsafeMutablePointer<UInt32>(bitPattern: UInt(info.pointee.data_uptr))![0] = 0xab
      } else {
        argument!.assumingMemoryBound(to: iommufd_hwpt_alloc.self).pointee.out_hwpt_id = 6
      }
      return .success(0)
    }
    var ste: [UInt64] = [0xb, 0x1]
    let nested = ste.withUnsafeMutableBufferPointer { buffer in
      var argument = iommufd_hwpt_alloc()
      argument.size = 48
      argument.dev_id = 1
      argument.pt_id = 3
      argument.data_type = 2
      argument.data_len = 16
      argument.data_uptr = UInt64(UInt(bitPattern: buffer.baseAddress!))
      return line(IOMMUFD_HWPT_ALLOC.rawValue, &argument)
    }
    #expect(
      nested == "ioctl(5, IOMMU_HWPT_ALLOC, {flags=0x0, dev_id=1, pt_id=3, data_type=2, "
        + "fault_id=0, data=[0xb, 0x1] => out_hwpt_id=6}) = 0")
    // The caller has room for two words, and the kernel says that there are ten.
    var words: [UInt32] = [0, 0x33, 0x44]
    let info = words.withUnsafeMutableBufferPointer { buffer in
      var argument = iommufd_hw_info()
      argument.size = 40
      argument.dev_id = 1
      argument.data_len = 8
      argument.data_uptr = UInt64(UInt(bitPattern: buffer.baseAddress!))
      return line(IOMMUFD_GET_HW_INFO.rawValue, &argument)
    }
    #expect(
      info == "ioctl(5, IOMMU_GET_HW_INFO, {flags=0x0, dev_id=1, data_len=8 => data_len=40, "
        + "out_data_type=2, out_max_pasid_log2=0, out_capabilities=0x0, data=[0xab, 0x33]}) = 0")
  }

  @Test("Fields beyond the size that a struct says it has are not read")
  func shortStruct() {
    var argument = iommufd_hwpt_alloc()
    argument.size = 24
    argument.dev_id = 1
    #expect(
      line(IOMMUFD_HWPT_ALLOC.rawValue, &argument)
        == "ioctl(5, IOMMU_HWPT_ALLOC, {flags=0x0, dev_id=1, pt_id=0 => out_hwpt_id=0}) = 0")
  }

  @Test("Numbers, no argument, NULL and unknown requests")
  func otherArguments() throws {
    let recorder = recorder()
    _ = try recorder.control(5, request: 0xae03, argument: UnsafeMutableRawPointer(bitPattern: 165))
    _ = try recorder.control(5, request: 0x3b6f, argument: nil)
    _ = try recorder.control(5, request: 0x3b80, argument: nil)
    _ = try recorder.control(
      5, request: 0x1234, argument: UnsafeMutableRawPointer(bitPattern: 0x10))
    #expect(
      lines.all == [
        "ioctl(5, KVM_CHECK_EXTENSION, 165) = 0", "ioctl(5, VFIO_DEVICE_RESET) = 0",
        "ioctl(5, IOMMU_DESTROY, NULL) = 0", "ioctl(5, 0x1234, 0x10) = 0",
      ])
  }

  @Test("A line that is too long keeps its result")
  func longLine() {
    kernel.onControl = { _, _ in .failure(.eio) }
    var commands = [UInt64](repeating: .max, count: 600)
    let text = commands.withUnsafeMutableBufferPointer { buffer in
      var argument = iommufd_hwpt_invalidate()
      argument.size = 32
      argument.data_uptr = UInt64(UInt(bitPattern: buffer.baseAddress!))
      argument.entry_len = 16
      argument.entry_num = .max
      return line(IOMMUFD_HWPT_INVALIDATE.rawValue, &argument)
    }
    #expect(text.utf8.count <= 255)
    #expect(text.hasSuffix("... => entry_num=4294967295}) = -1 EIO"))
  }

  @Test("Of VFIO_DEVICE_FEATURE the range of the BAR is told, and the file that it makes")
  func feature() {
    kernel.onControl = { _, _ in .success(7) }
    var argument = vfio_feature_dma_buf()
    argument.argsz = 40
    argument.flags = VFIO_FEATURE_GET | VFIO_FEATURE_DMA_BUF
    argument.region_index = 2
    argument.nr_ranges = 1
    argument.range = vfio_bar_range(offset: 0x1000, length: 0x2000)
    #expect(
      line(VFIO_REQUEST_DEVICE_FEATURE.rawValue, &argument)
        == "ioctl(5, VFIO_DEVICE_FEATURE, {flags=0x1000b, region_index=2, nr_ranges=1, "
        + "offset=0x1000, length=0x2000}) = 7")
  }

  @Test("Every request has a name, and each counts for itself")
  func table() throws {
    let recorder = recorder()
    var block = [UInt64](repeating: 0, count: 8)
    let requests: [UInt32] =
      Array(0x3b80...0x3b95) + [0x3b6b, 0x3b6f, 0x3b75, 0x3b76, 0x3b77, 0x3b78]
      + [0xae00, 0xae01, 0xae03, 0xae41, 0xae80, 0xc00c_aee0, 0x4018_aee1]
    for request in requests { _ = try recorder.control(5, request: request, argument: &block) }
    #expect(lines.all.allSatisfy { !$0.hasPrefix("ioctl(5, 0x") })
    #expect(Set(lines.all.map { $0.prefix { $0 != "{" } }).count == requests.count)
    for request in requests { #expect(recorder.count(of: request) == 1) }
    #expect(recorder.count(of: .control) == UInt64(requests.count))
    recorder.resetCounters()
    #expect(recorder.total == 0 && recorder.count(of: 0x3b80) == 0)
  }
}
