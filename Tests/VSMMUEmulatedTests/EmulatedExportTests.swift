// SPDX-License-Identifier: MIT
import CVSMMU
import Testing
import VSMMUEmulated

/// The functions of vsmmuv3_emulated.h, as C calls them.
@Suite struct EmulatedExportTests {
  private func create(
    _ config: inout vsmmu_emulated_config
  ) -> (status: Int32, host: OpaquePointer?, message: String) {
    config.size = UInt32(MemoryLayout<vsmmu_emulated_config>.size)
    var host: OpaquePointer?
    var message = [CChar](repeating: 1, count: 256)
    let status = vsmmu_emulated_create(&config, &host, &message, message.count)
    return (status, host, Self.text(message))
  }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func withUnits(
    _ features: String, flags: UInt32 = 0, streams: [UInt32] = [8],
    _ body: ((status: Int32, host: OpaquePointer?, message: String)) -> Void
  ) {
    features.withCString { text in
      let size = UInt32(MemoryLayout<vsmmu_emulated_smmu>.size)
      var unit = vsmmu_emulated_smmu()
      (unit.size, unit.flags, unit.features) = (size, flags, text)
      var devices = streams.map { stream in
        var device = vsmmu_emulated_device()
        (device.size, device.stream) = (UInt32(MemoryLayout.size(ofValue: device)), stream)
        return device
      }
      withUnsafePointer(to: &unit) { unit in
        devices.withUnsafeMutableBufferPointer { devices in
          var config = vsmmu_emulated_config()
          (config.smmus, config.smmu_count) = (unit, 1)
          config.devices = UnsafePointer(devices.baseAddress)
          config.device_count = UInt32(devices.count)
          let made = create(&config)
          body(made)
          vsmmu_emulated_destroy(made.host)
        }
      }
    }
  }

  @Test("A host is made of what it is told, or refused with a sentence")
  func configurations() {
    var host: OpaquePointer?
    #expect(vsmmu_emulated_create(nil, &host, nil, 0) == 0)
    vsmmu_emulated_destroy(host)
    vsmmu_emulated_destroy(nil)
    #expect(vsmmu_emulated_create(nil, nil, nil, 0) == -22)
    withUnits("OAS=4") { #expect($0.status == 0 && $0.message.isEmpty) }
    withUnits("OAS=99") { #expect($0.status == -22 && $0.message.contains("OAS")) }
    withUnits("", flags: 256) { #expect($0.status == -22 && $0.message.contains("flags")) }
    withUnits("", streams: [8, 8]) {
      #expect($0.status == -22 && $0.message.contains("StreamID"))
    }
    var config = vsmmu_emulated_config()
    config.kernel = 3
    #expect(create(&config).message.contains("VSMMU_EMULATED_LINUX"))
    config.kernel = 0
    config.device_count = 1
    #expect(create(&config).message == "config.devices is NULL")
  }

  @Test("System calls, with errno as negative numbers")
  func calls() {
    var config = vsmmu_emulated_config()
    let host = create(&config).host
    defer { vsmmu_emulated_destroy(host) }
    #expect(vsmmu_emulated_open(nil, "/dev/iommu") == -22)
    #expect(vsmmu_emulated_open(host, nil) == -14)
    #expect(vsmmu_emulated_open(host, "/dev/null") == -2)
    let fd = vsmmu_emulated_open(host, "/dev/iommu")
    #expect(fd >= 0)
    #expect(vsmmu_emulated_ioctl(host, fd, 0x3bff, nil) == -25)
    #expect(vsmmu_emulated_ioctl(host, fd, 0x3b81, nil) == -14)
    #expect(vsmmu_emulated_ioctl(host, 9999, 0x3b81, nil) == -9)
    var alloc: [UInt32] = [12, 0, 0]
    #expect(vsmmu_emulated_fail(host, 0x3b81, 1, 12, 0) == 0)
    #expect(vsmmu_emulated_fail(host, 0x3b81, 0, 12, 0) == -22)
    #expect(vsmmu_emulated_fail(host, 0x3b81, 1, -12, 0) == -22)
    #expect(vsmmu_emulated_ioctl(host, fd, 0x3b81, &alloc) == -12)
    #expect(vsmmu_emulated_ioctl(host, fd, 0x3b81, &alloc) == 0 && alloc[2] == 1)
    #expect(vsmmu_emulated_poll(host, fd) == 0)
    #expect(vsmmu_emulated_read(host, fd, &alloc, 8) == -22)
    #expect(vsmmu_emulated_write(host, fd, nil, 8) == -14)
    let other = vsmmu_emulated_dup(host, fd)
    #expect(other >= 0 && vsmmu_emulated_close(host, other) == 0)
    #expect(vsmmu_emulated_close(host, other) == -9)
    var counters = vsmmu_emulated_counters()
    counters.size = UInt32(MemoryLayout<vsmmu_emulated_counters>.size)
    #expect(vsmmu_emulated_get_counters(host, &counters) == 0)
    #expect(counters.objects == 1 && counters.files == 1 && counters.calls > 8)
    var message = [CChar](repeating: 1, count: 64)
    #expect(vsmmu_emulated_check(host, &message, message.count) == 0 && message[0] == 0)
    #expect(vsmmu_emulated_lose_events(host, 1) == 0)
  }

  @Test("CPUs, VMIDs and their TLBIs")
  func cpus() {
    var config = vsmmu_emulated_config()
    config.kernel = 2
    let host = create(&config).host
    defer { vsmmu_emulated_destroy(host) }
    let kvm = vsmmu_emulated_open(host, "/dev/kvm")
    let vm = Int32(vsmmu_emulated_ioctl(host, kvm, 0xae01, nil))
    #expect(vm >= 0)
    #expect(vsmmu_emulated_vm_vmid(host, vm) == 0)
    #expect(vsmmu_emulated_vm_vmid(host, kvm) == -9)
    #expect(vsmmu_emulated_vcpu_load(host, vm, 0) == 0)
    #expect(vsmmu_emulated_vcpu_load(host, vm, 0) == -16)
    #expect(vsmmu_emulated_vcpu_load(host, vm, 4) == -22)
    #expect(vsmmu_emulated_vcpu_load(host, 9999, 1) == -9)
    let vmid = vsmmu_emulated_vm_vmid(host, vm)
    #expect(vmid > 0)
    var pinned: UInt32 = 0
    #expect(vsmmu_emulated_ioctl(host, vm, vsmmu_emulated_pin_request(host), &pinned) == 0)
    #expect(pinned == UInt32(vmid))
    #expect(vsmmu_emulated_ioctl(host, vm, vsmmu_emulated_unpin_request(host), nil) == 0)
    var op = vsmmu_dvm_op()
    op.size = UInt32(MemoryLayout<vsmmu_dvm_op>.size)
    op.vmid = 0xffff_ffff
    #expect(vsmmu_emulated_tlbi(host, 0, &op) == 0)
    #expect(vsmmu_emulated_tlbi(host, 1, &op) == -22)
    op.kind = 99
    #expect(vsmmu_emulated_tlbi(host, 0, &op) == -22)
    #expect(vsmmu_emulated_vcpu_put(host, 0) == 0)
    #expect(vsmmu_emulated_vcpu_put(host, 0) == -22)
    #expect(vsmmu_emulated_stream_vmid(host, 0) == 0)
    #expect(vsmmu_emulated_stream_vmid(host, 2) == -22)
  }

  @Test("A device's DMA is aborted while nobody drives it")
  func undriven() {
    var config = vsmmu_emulated_config()
    let host = create(&config).host
    defer { vsmmu_emulated_destroy(host) }
    var access = vsmmu_access()
    var result = vsmmu_result()
    var word: UInt64 = 7
    access.size = UInt32(MemoryLayout<vsmmu_access>.size)
    result.size = UInt32(MemoryLayout<vsmmu_result>.size)
    #expect(vsmmu_emulated_dma_read(host, 0, &access, &word, 8, &result) == 0)
    #expect(result.kind == VSMMU_RESULT_ABORT && result.event == 0 && word == 7)
    #expect(vsmmu_emulated_dma_write(host, 1, &access, &word, 8, &result) == 0)
    #expect(result.kind == VSMMU_RESULT_ABORT)
    #expect(vsmmu_emulated_dma_write(host, 2, &access, &word, 8, &result) == -22)
    #expect(vsmmu_emulated_dma_read(host, 0, nil, &word, 8, &result) == -22)
    access.flags = 1
    #expect(vsmmu_emulated_dma_read(host, 0, &access, &word, 8, &result) == -22)
    access.flags = 0
    access.address = .max
    #expect(vsmmu_emulated_dma_read(host, 0, &access, &word, 8, &result) == -22)
  }
}
