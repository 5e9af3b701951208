// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec

@testable import SMMUEmulated

/// A client of an emulated host: system calls with results as Linux gives them, negative errno
/// included, and shortcuts for the usual way from /dev/iommu to a nested page table.
final class EmulatedBench {
  let host: EmulatedHost
  /// Stands before the host, for the failures that a test orders.
  let calls: FailureInjector
  private(set) var iommu: Int32 = -1
  private var pages: [UnsafeMutableRawPointer] = []

  init(_ configuration: EmulatedConfiguration = EmulatedConfiguration()) {
    host = EmulatedHost.make(configuration)!
    calls = FailureInjector.make(before: host)!
    iommu = open("/dev/iommu")
  }

  convenience init(_ version: EmulatedKernelVersion) {
    var configuration = EmulatedConfiguration()
    configuration.version = version
    self.init(configuration)
  }

  deinit {
    host.shutDown()
    for page in pages { page.deallocate() }
  }

  // MARK: System calls

  func result(_ body: () throws(Errno) -> Int64) -> Int64 {
    do throws(Errno) { return try body() } catch { return -Int64(error.code) }
  }

  func open(_ path: String) -> Int32 {
    Int32(result { () throws(Errno) -> Int64 in Int64(try host.open(path)) })
  }

  func close(_ fd: Int32) -> Int64 {
    result { () throws(Errno) -> Int64 in
      try host.close(fd)
      return 0
    }
  }

  func control<T>(_ fd: Int32, _ request: UInt32, _ value: inout T) -> Int64 {
    withUnsafeMutableBytes(of: &value) { bytes in
      result { () throws(Errno) -> Int64 in
        try calls.control(fd, request: request, argument: bytes.baseAddress)
      }
    }
  }

  /// On /dev/iommu; the struct's first word becomes its size.
  func iommu<T>(_ request: iommufd_request, _ value: inout T) -> Int64 {
    sized(&value)
    return control(iommu, request.number, &value)
  }

  /// On a VFIO device; the struct's first word becomes its size.
  func vfio<T>(_ fd: Int32, _ request: vfio_request, _ value: inout T) -> Int64 {
    sized(&value)
    return control(fd, request.number, &value)
  }

  private func sized<T>(_ value: inout T) {
    withUnsafeMutableBytes(of: &value) {
      $0.storeBytes(of: UInt32(MemoryLayout<T>.size), as: UInt32.self)
    }
  }

  func read(_ fd: Int32, _ count: Int) -> (Int64, [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: max(count, 1))
    let done = bytes.withUnsafeMutableBytes { buffer in
      result { () throws(Errno) -> Int64 in
        Int64(try calls.read(fd, into: buffer.baseAddress!, count: count))
      }
    }
    return (done, bytes)
  }

  func poll(_ fd: Int32) -> Int64 {
    result { () throws(Errno) -> Int64 in Int64(try host.poll(fd)) }
  }

  // MARK: Memory

  /// Zeroed, page aligned, freed with the bench.
  func memory(_ bytes: Int) -> UnsafeMutableRawPointer {
    let pointer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 1 << 16)
    pointer.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    pages.append(pointer)
    return pointer
  }
}

// MARK: Shortcuts: what they make, or a negative errno

extension EmulatedBench {
  /// Opens and binds a device; its file, and its id or 0. A VM is told of it in between.
  func device(_ index: Int = 0, link: Int32? = nil) -> (fd: Int32, id: UInt32) {
    let fd = open("/dev/vfio/devices/vfio\(index)")
    if let link { _ = add(fd, to: link) }
    return (fd, bind(fd))
  }

  func bind(_ fd: Int32) -> UInt32 {
    var bind = vfio_bind_iommufd()
    bind.iommufd = iommu
    return vfio(fd, VFIO_REQUEST_BIND_IOMMUFD, &bind) == 0 ? bind.out_devid : 0
  }

  /// A VM with a VFIO device of KVM's.
  func machine() -> (vm: Int32, link: Int32) {
    let kvm = open("/dev/kvm")
    let vm = result { () throws(Errno) -> Int64 in
      try host.control(kvm, request: KVM_REQUEST_CREATE_VM.number, argument: nil)
    }
    _ = close(kvm)
    var device = kvm_device(type: KVM_DEVICE_TYPE_VFIO, fd: 0, flags: 0)
    let made = control(Int32(vm), KVM_REQUEST_CREATE_DEVICE.number, &device)
    return (Int32(vm), made == 0 ? Int32(bitPattern: device.fd) : -1)
  }

  func add(_ fd: Int32, to link: Int32) -> Int64 {
    var fd = fd
    return withUnsafeMutableBytes(of: &fd) { bytes in
      var attribute = kvm_attribute()
      attribute.group = KVM_VFIO_FILE
      attribute.attr = UInt64(KVM_VFIO_FILE_ADD)
      attribute.addr = UInt64(UInt(bitPattern: bytes.baseAddress!))
      return control(link, KVM_REQUEST_SET_DEVICE_ATTR.number, &attribute)
    }
  }

  func ioas() -> UInt32 {
    var request = iommufd_ioas_alloc()
    _ = iommu(IOMMUFD_IOAS_ALLOC, &request)
    return request.out_ioas_id
  }

  func map(
    _ ioas: UInt32, _ iova: UInt64, _ memory: UnsafeMutableRawPointer, _ length: UInt64,
    flags: UInt32 = 7
  ) -> Int64 {
    var request = iommufd_ioas_map()
    request.ioas_id = ioas
    request.flags = flags
    request.iova = iova
    request.user_va = UInt64(UInt(bitPattern: memory))
    request.length = length
    return iommu(IOMMUFD_IOAS_MAP, &request)
  }

  func unmap(_ ioas: UInt32, _ iova: UInt64, _ length: UInt64) -> Int64 {
    var request = iommufd_ioas_unmap()
    request.ioas_id = ioas
    request.iova = iova
    request.length = length
    return iommu(IOMMUFD_IOAS_UNMAP, &request)
  }

  func hwpt(_ device: UInt32, _ table: UInt32, flags: UInt32 = 0) -> Int64 {
    var request = iommufd_hwpt_alloc()
    request.dev_id = device
    request.pt_id = table
    request.flags = flags
    let result = iommu(IOMMUFD_HWPT_ALLOC, &request)
    return result < 0 ? result : Int64(request.out_hwpt_id)
  }

  func nested(
    _ device: UInt32, _ table: UInt32, _ low: UInt64, _ high: UInt64 = 0, length: UInt32 = 16,
    type: UInt32 = 2, flags: UInt32 = 0
  ) -> Int64 {
    var data = [low, high, 0, 0]
    return data.withUnsafeMutableBytes { bytes in
      var request = iommufd_hwpt_alloc()
      request.dev_id = device
      request.pt_id = table
      request.flags = flags
      request.data_type = type
      request.data_len = length
      request.data_uptr = UInt64(UInt(bitPattern: bytes.baseAddress!))
      let result = iommu(IOMMUFD_HWPT_ALLOC, &request)
      return result < 0 ? result : Int64(request.out_hwpt_id)
    }
  }

  func viommu(_ device: UInt32, _ parent: UInt32, type: UInt32 = 1, flags: UInt32 = 0) -> Int64 {
    var request = iommufd_viommu_alloc()
    request.dev_id = device
    request.hwpt_id = parent
    request.type = type
    request.flags = flags
    let result = iommu(IOMMUFD_VIOMMU_ALLOC, &request)
    return result < 0 ? result : Int64(request.out_viommu_id)
  }

  func vdevice(_ device: UInt32, _ viommu: UInt32, _ virtualID: UInt64) -> Int64 {
    var request = iommufd_vdevice_alloc()
    request.dev_id = device
    request.viommu_id = viommu
    request.virt_id = virtualID
    let result = iommu(IOMMUFD_VDEVICE_ALLOC, &request)
    return result < 0 ? result : Int64(request.out_vdevice_id)
  }

  func eventQueue(
    _ viommu: UInt32, depth: UInt32, type: UInt32 = 1
  ) -> (result: Int64, fd: Int32, id: UInt32) {
    var request = iommufd_veventq_alloc()
    request.viommu_id = viommu
    request.type = type
    request.veventq_depth = depth
    let result = iommu(IOMMUFD_VEVENTQ_ALLOC, &request)
    return (result, request.out_veventq_fd, request.out_veventq_id)
  }

  func attach(_ fd: Int32, _ table: UInt32, pasid: UInt32? = nil) -> Int64 {
    var request = vfio_attach_pt()
    request.pt_id = table
    if let pasid {
      request.flags = 1
      request.pasid = pasid
    }
    return vfio(fd, VFIO_REQUEST_ATTACH_PT, &request)
  }

  func detach(_ fd: Int32) -> Int64 {
    var request = vfio_detach_pt()
    return vfio(fd, VFIO_REQUEST_DETACH_PT, &request)
  }

  func destroy(_ id: UInt32) -> Int64 {
    var request = iommufd_destroy()
    request.id = id
    return iommu(IOMMUFD_DESTROY, &request)
  }

  /// Returns the result and what came back as the count.
  func invalidate(
    _ id: UInt32, _ commands: [CommandWords], length: Int = 16, type: UInt32 = 1,
    count: Int? = nil
  ) -> (result: Int64, done: UInt32) {
    var words: [UInt64] = []
    for command in commands {
      var entry = [command.low, command.high] + [UInt64](repeating: 0, count: 2)
      if length == 24 { entry[2] = 1 }
      words += entry[..<max(1, length / 8)]
    }
    return words.withUnsafeMutableBytes { bytes in
      var request = iommufd_hwpt_invalidate()
      request.hwpt_id = id
      request.data_type = type
      request.data_uptr = bytes.baseAddress.map { UInt64(UInt(bitPattern: $0)) } ?? 8
      request.entry_len = UInt32(length)
      request.entry_num = UInt32(count ?? commands.count)
      let result = iommu(IOMMUFD_HWPT_INVALIDATE, &request)
      return (result, request.entry_num)
    }
  }

  func invalidate(
    _ id: UInt32, _ low: UInt64, _ high: UInt64 = 0
  ) -> (result: Int64, done: UInt32) {
    invalidate(id, [CommandWords(low, high)])
  }
}

extension EmulatedBench {
  /// The usable ranges as first, last, first ...; their number; the alignment; and the result.
  func ranges(
    _ ioas: UInt32, capacity: Int = 8
  ) -> ([UInt64], count: UInt32, alignment: UInt64, result: Int64) {
    var ranges = [UInt64](repeating: 0, count: 2 * capacity)
    let answer = ranges.withUnsafeMutableBytes { bytes in
      var request = iommufd_ioas_iova_ranges()
      request.ioas_id = ioas
      request.num_iovas = UInt32(capacity)
      request.allowed_iovas = bytes.baseAddress.map { UInt64(UInt(bitPattern: $0)) } ?? 0
      let result = iommu(IOMMUFD_IOAS_IOVA_RANGES, &request)
      return (request.num_iovas, request.out_iova_alignment, result)
    }
    let count = min(Int(answer.0), capacity)
    return (Array(ranges[..<(2 * count)]), answer.0, answer.1, answer.2)
  }
}
