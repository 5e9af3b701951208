// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUEmulated

/// Descriptors as a plain list.
final class ListOfFiles: FileTable {
  var files: [File?] = []
  var vfio: [File] = []

  func install(_ file: File) throws(Errno) -> Int32 {
    files.append(file)
    return Int32(files.count - 1)
  }
  func file(_ fd: Int32) throws(Errno) -> File {
    guard files.indices.contains(Int(fd)), let file = files[Int(fd)] else { throw .ebadf }
    return file
  }
  func isVFIODevice(_ file: File) -> Bool { vfio.contains { $0 === file } }
  func close(_ fd: Int32) {
    files[Int(fd)]?.release()
    files[Int(fd)] = nil
  }
}

/// KVM with its descriptors, driven by requests.
final class KVMBench {
  let files = ListOfFiles()
  let kvm: Hypervisor
  let device: KVMFile

  init(linked: Bool = true, cpus: Int = 4, vmidBits: Int = 16, pinLimit: Int = 0) {
    kvm = Hypervisor(cpus: cpus, vmidBits: vmidBits, pinLimit: pinLimit, isLinked: linked)
    device = KVMFile(kvm)
    kvm.files = files
  }

  deinit { for fd in files.files.indices { files.close(Int32(fd)) } }

  /// The result, or a negative errno.
  func call(_ file: File, _ request: UInt32, _ argument: UnsafeMutableRawPointer? = nil) -> Int64 {
    do throws(Errno) { return try file.control(request, argument) } catch {
      return Int64(-error.code)
    }
  }

  func call(_ file: File, _ request: UInt32, value: UInt) -> Int64 {
    call(file, request, UnsafeMutableRawPointer(bitPattern: value))
  }

  func makeVM() -> (Int32, VirtualMachine) {
    let fd = Int32(call(device, 0xae01))
    return (fd, files.files[Int(fd)] as! VirtualMachine)
  }

  /// The number, or a negative errno.
  func pin(_ vm: VirtualMachine) -> Int64 {
    var number: UInt32 = .max
    let result = call(vm, kvm.pinRequest, &number)
    return result == 0 ? Int64(number) : result
  }

  func unpin(_ vm: VirtualMachine) -> Int64 { call(vm, kvm.unpinRequest) }
}

@Suite struct KVMTests {
  @Test("/dev/kvm says what an arm64 host's does")
  func device() {
    let bench = KVMBench()
    #expect(bench.call(bench.device, 0xae00) == 12)
    #expect(bench.call(bench.device, 0xae00, value: 1) == -22)
    #expect(bench.call(bench.device, 0xae03, value: 165) == 48)
    #expect(bench.call(bench.device, 0xae03, value: 1) == 0)
    #expect(bench.call(bench.device, 0xae01, value: 48) >= 0)
    for type in [1, 31, 49, 0x130, 1 << 31] as [UInt] {
      #expect(bench.call(bench.device, 0xae01, value: type) == -22)
    }
    #expect(bench.call(bench.device, 0xae41) == -22)
  }

  @Test("A VM is told from /dev/kvm and has vCPUs")
  func machine() {
    let bench = KVMBench()
    let (fd, vm) = bench.makeVM()
    #expect(bench.call(vm, 0xae00) == -22)
    #expect(bench.call(vm, 0xae03, value: 165) == 48)
    let cpu = bench.call(vm, 0xae41, value: 0)
    #expect(cpu >= 0)
    #expect(bench.call(vm, 0xae41, value: 0) == -17)
    #expect(bench.call(vm, 0xae41, value: 512) == -22)
    #expect(bench.call(bench.files.files[Int(cpu)]!, 0xae80) == -8)
    #expect(bench.call(bench.files.files[Int(cpu)]!, 0xae03, value: 165) == -22)
    // It lives as long as its vCPU.
    bench.files.close(fd)
    #expect(vm.isAlive && bench.kvm.machines.count == 1)
    bench.files.close(Int32(cpu))
    #expect(!vm.isAlive && bench.kvm.machines.isEmpty)
  }

  @Test("KVM's VFIO device links VFIO files with a VM, until it is closed")
  func link() {
    let bench = KVMBench()
    let (_, vm) = bench.makeVM()
    var request = kvm_device(type: 4, fd: 0, flags: 0)
    #expect(bench.call(vm, 0xc00c_aee0, nil) == -14)
    #expect(bench.call(vm, 0xc00c_aee0, &request) == 0)
    var other = kvm_device(type: 4, fd: 0, flags: 1)
    #expect(bench.call(vm, 0xc00c_aee0, &other) == 0)
    other.flags = 0
    #expect(bench.call(vm, 0xc00c_aee0, &other) == -16)
    other.type = 1
    #expect(bench.call(vm, 0xc00c_aee0, &other) == -19)

    let vfio = File()
    let plain = File()
    bench.files.vfio = [vfio]
    bench.files.files += [vfio, plain]
    var fd = Int32(bench.files.files.count - 2)
    let link = bench.files.files[Int(request.fd)]!
    func attribute(_ group: UInt32, _ number: UInt64) -> Int64 {
      withUnsafeMutablePointer(to: &fd) { place in
        var attribute = kvm_attribute(
          flags: 0, group: group, attr: number, addr: UInt64(UInt(bitPattern: place)))
        return bench.call(link, 0x4018_aee1, &attribute)
      }
    }
    #expect(attribute(1, 2) == -2)
    #expect(attribute(1, 1) == 0)
    #expect(attribute(1, 1) == -17)
    #expect(bench.kvm.machine(of: vfio) === vm)
    #expect(attribute(2, 1) == -6)
    #expect(attribute(1, 3) == -6)
    fd += 1
    #expect(attribute(1, 1) == -22)
    fd = 99
    #expect(attribute(1, 1) == -9)
    bench.files.close(Int32(request.fd))
    #expect(bench.kvm.machine(of: vfio) == nil)
    #expect(vm.isAlive)
  }

  @Test("Released kernels have no requests that pin")
  func released() {
    let bench = KVMBench(linked: false)
    #expect(bench.kvm.pinRequest == 0 && bench.kvm.unpinRequest == 0)
    let (_, vm) = bench.makeVM()
    #expect(bench.call(vm, 0) == -22)
    #expect(bench.call(vm, KVMBench().kvm.pinRequest) == -22)
  }

  @Test("A CPU runs one vCPU at most; a VM's death takes it off")
  func cpus() throws {
    let bench = KVMBench()
    let (fd, vm) = bench.makeVM()
    let (_, other) = bench.makeVM()
    try bench.kvm.load(vm, on: 1)
    for cpu in [1, 4, -1] {
      do throws(Errno) {
        try bench.kvm.load(other, on: cpu)
        Issue.record("CPU \(cpu)")
      } catch {
        #expect(error == (cpu == 1 ? .ebusy : .einval))
      }
    }
    bench.files.close(fd)
    try bench.kvm.load(other, on: 1)
    try bench.kvm.put(1)
    do throws(Errno) {
      try bench.kvm.put(1)
      Issue.record("no error")
    } catch {
      #expect(error == .einval)
    }
  }

  @Test("A VM's pins end with it, unless an SMMU needs the number")
  func death() throws {
    let bench = KVMBench(vmidBits: 8)
    var configuration = PhysicalConfiguration()
    configuration.tlbEntries = 64
    let smmu = try #require(PhysicalSMMU.make(configuration, bench.kvm))
    let (fd, vm) = bench.makeVM()
    let number = bench.pin(vm)
    #expect(number > 0)
    #expect(bench.pin(vm) == number)
    #expect(bench.unpin(vm) == 0)
    let vmid = try smmu.takeVMID(for: vm)
    #expect(Int64(vmid) == number)
    bench.files.close(fd)
    #expect(!vm.isAlive)
    #expect(bench.kvm.vmids.pinCount == 1)
    #expect(bench.kvm.vmids.isPinned(vmid))
    // Nobody gets it, however many come.
    for _ in 0..<600 {
      let (fd, vm) = bench.makeVM()
      try bench.kvm.load(vm, on: 0)
      #expect(vm.vmid != vmid)
      try bench.kvm.put(0)
      bench.files.close(fd)
    }
    #expect(bench.kvm.check().count == 0)
    smmu.giveBack(vmid, of: vm)
    #expect(bench.kvm.vmids.pinCount == 0)
    #expect(bench.unpin(vm) == -22)
  }
}
