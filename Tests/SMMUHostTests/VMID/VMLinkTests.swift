// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import TestSupport
import Testing

@testable import SMMUEmulated
@testable import SMMUHost

@Suite struct VMIdentityTests {
  @Test("What a file answers tells what it is")
  func answers() {
    // To KVM_GET_API_VERSION, to KVM_CHECK_EXTENSION(KVM_CAP_ARM_VM_IPA_SIZE), KVM_GET_MP_STATE.
    typealias Answer = Result<Int64, Errno>
    let cases: [(Answer, Answer, Answer, VMIdentity)] = [
      (.failure(.einval), .success(48), .failure(.einval), .virtualMachine),
      (.failure(.enotty), .success(40), .failure(.einval), .virtualMachine),
      (.failure(.enotty), .success(0), .failure(.einval), .otherArchitecture),
      (.success(12), .success(48), .failure(.einval), .kvm),
      (.success(12), .success(0), .failure(.einval), .kvm),
      (.failure(.einval), .failure(.einval), .success(0), .virtualCPU),
      // A VFIO device before it is bound.
      (.failure(.einval), .failure(.einval), .failure(.einval), .notKVM),
      (.failure(.eio), .failure(.eio), .failure(.eio), .elsewhere),
      (.failure(.enotty), .failure(.enotty), .failure(.enotty), .notKVM),
      (.failure(.ebadf), .failure(.ebadf), .failure(.ebadf), .notOpen),
      (.failure(.enomem), .failure(.enomem), .failure(.enomem), .notKVM),
      (.failure(.enotty), .success(-1), .failure(.einval), .otherArchitecture),
    ]
    for (version, extent, state, identity) in cases {
      let kernel = ScriptedKernel()
      kernel.onControl = { request, argument in
        if request == 0xae00 { return version }
        if request == 0x8004_ae98 { return state }
        #expect(request == 0xae03 && UInt(bitPattern: argument) == 165)
        return extent
      }
      #expect(VMIdentity.of(kernel, 3) == identity)
    }
  }

  @Test("All but an arm64 VM is refused, each with its own sentence")
  func sentences() {
    let refusals = VMIdentity.allCases.compactMap { $0.refusal.map { "\($0)" } }
    #expect(Set(refusals).count == VMIdentity.allCases.count - 1)
    #expect(VMIdentity.virtualMachine.refusal == nil)
    #expect(refusals.allSatisfy { $0.hasPrefix("vm_fd is ") })
  }

  @Test("Files of this machine are no VMs")
  func realFiles() throws {
    let kernel = LinuxKernel()
    let null = try kernel.open("/dev/null")
    #expect(VMIdentity.of(kernel, null) == .notKVM)
    try kernel.close(null)
    #expect(VMIdentity.of(kernel, -1) == .notOpen)
    let event = vsmmu_system_eventfd()
    #expect(VMIdentity.of(kernel, event) == .notKVM)
    try kernel.close(event)
  }
}

@Suite struct VMLinkTests {
  let host: EmulatedHost
  let injector: FailureInjector
  let recorder: Recorder
  let vms: LinkedVMs

  init() {
    var configuration = EmulatedConfiguration()
    configuration.version = .linked
    configuration.pinLimit = 1
    host = EmulatedHost.make(configuration)!
    injector = FailureInjector.make(before: host)!
    recorder = Recorder.make(before: injector)!
    vms = LinkedVMs.make(recorder)!
  }

  var requests: VMLink.Requests {
    VMLink.Requests(pin: host.pinRequest, unpin: host.unpinRequest)
  }

  func makeVM() throws -> Int32 {
    let kvm = try host.open("/dev/kvm")
    let vm = Int32(try host.control(kvm, request: KVM_REQUEST_CREATE_VM.number, argument: nil))
    try host.close(kvm)
    return vm
  }

  func refusal(_ body: () throws(Refusal) -> Void) -> Refusal? {
    do throws(Refusal) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  func refusal(_ fd: Int32) -> Refusal? {
    refusal { () throws(Refusal) in
      try VMLink.make(recorder, vm: fd, requests: requests, among: vms).close()
    }
  }

  @Test("Files of the emulated host are told apart as the real ones are")
  func identities() throws {
    let vm = try makeVM()
    #expect(VMIdentity.of(host, vm) == .virtualMachine)
    #expect(VMIdentity.of(host, try host.open("/dev/kvm")) == .kvm)
    #expect(VMIdentity.of(host, try host.open("/dev/iommu")) == .notKVM)
    #expect(VMIdentity.of(host, try host.open("/dev/vfio/devices/vfio0")) == .notKVM)
    #expect(VMIdentity.of(host, -1) == .notOpen)
  }

  @Test("What is no VM is refused, and leaves nothing open")
  func refused() throws {
    let iommu = try host.open("/dev/iommu")
    let files = host.counters.files
    let error = refusal(iommu)
    #expect(error?.errno == .einval)
    #expect(error?.sentence.text == "vm_fd is no KVM VM: it knows no request of KVM's")
    #expect(host.counters.files == files)
  }

  @Test("A link holds its VM open and its VMID pinned, until it is closed")
  func holds() throws {
    let vm = try makeVM()
    let link = try VMLink.make(recorder, vm: vm, requests: requests, among: vms)
    try host.close(vm)
    #expect(link.canPin && link.vmid == 0)
    try link.pin()
    let vmid = link.vmid
    #expect(vmid != 0)
    try link.pin()
    #expect(link.vmid == vmid && host.counters.pins == 1)
    #expect(recorder.count(of: host.pinRequest) == 1)
    link.close()
    #expect(host.counters.pins == 0 && host.counters.files == 0)
    #expect(recorder.count(of: host.unpinRequest) == 1)
  }

  @Test("A VMID that the kernel does not take back is pinned as before, and not twice")
  func keepsPin() throws {
    let link = try VMLink.make(
      recorder, vm: makeVM(), requests: requests, among: vms, pins: true)
    let vmid = link.vmid
    #expect(injector.add(FailureRule(.control, request: host.unpinRequest, effect: .error(.eintr))))
    #expect(throws: Errno.eintr) { try link.unpin() }
    #expect(link.vmid == vmid && host.counters.pins == 1)
    try link.pin()
    #expect(recorder.count(of: host.pinRequest) == 1)
    try link.unpin()
    #expect(link.vmid == 0 && host.counters.pins == 0)
    link.close()
  }

  @Test("A link that is refused at its pin has made no VFIO device for the VM")
  func refusedAtPin() throws {
    let vm = try makeVM()
    let told = try VMLink.make(recorder, vm: vm, requests: requests, among: vms, isTold: true)
    let files = host.counters.files
    #expect(injector.add(FailureRule(.control, request: host.pinRequest, effect: .error(.enospc))))
    let error = refusal { () throws(Refusal) in
      _ = try VMLink.make(recorder, vm: vm, requests: requests, among: vms, pins: true)
    }
    #expect(error?.errno == .enospc && host.counters.files == files)
    #expect(recorder.count(of: KVM_REQUEST_CREATE_DEVICE.number) == 0)
    told.close()
  }

  @Test("No VMID left: ENOSPC in a sentence, and nothing is pinned or leaked")
  func exhausted() throws {
    let first = try VMLink.make(recorder, vm: makeVM(), requests: requests, among: vms)
    try first.pin()
    let second = try VMLink.make(recorder, vm: makeVM(), requests: requests, among: vms)
    let error = refusal { () throws(Refusal) in try second.pin() }
    #expect(error?.errno == .enospc)
    #expect(
      error?.sentence.text == "no VMID is left to pin for this VM: other VMs have them all")
    #expect(second.vmid == 0 && host.counters.pins == 1 && host.counters.pinFailures == 1)
    second.close()
    #expect(host.counters.pins == 1)
    first.close()
    #expect(host.counters.pins == 0)
  }

  @Test("VMID 0 is never used, whatever the kernel says")
  func zero() throws {
    let kernel = ScriptedKernel()
    kernel.onControl = { request, _ in
      request == 0xae00 ? .failure(.einval) : .success(request == 0xae03 ? 48 : 0)
    }
    let link = try VMLink.make(
      kernel, vm: 3, requests: VMLink.Requests(pin: 1, unpin: 2), among: LinkedVMs.make(kernel)!)
    #expect(refusal { () throws(Refusal) in try link.pin() }?.errno == .enospc)
    #expect(link.vmid == 0)
  }

  @Test("A kernel without such requests pins nothing")
  func cannotPin() throws {
    let link = try VMLink.make(
      recorder, vm: makeVM(), requests: VMLink.Requests(pin: 0, unpin: 0), among: vms)
    #expect(!link.canPin)
    try link.pin()
    #expect(link.vmid == 0 && host.counters.pins == 0)
    link.close()
  }

  @Test("KVM is told of a device and told when it goes")
  func devices() throws {
    let link = try VMLink.make(recorder, vm: makeVM(), requests: requests, among: vms)
    let device = try host.open("/dev/vfio/devices/vfio0")
    try link.add(device)
    #expect(refusal { () throws(Refusal) in try link.add(device) }?.errno == .eexist)
    link.remove(device)
    try link.add(device)
    let iommu = try host.open("/dev/iommu")
    #expect(refusal { () throws(Refusal) in try link.add(iommu) }?.errno == .einval)
    link.close()
  }

  @Test("A VM whose VMM tells KVM, or a KVM that has no VFIO device, is linked without it")
  func noVFIO() throws {
    for error in [Errno.ebusy, .eexist, .enodev] {
      let rule = FailureRule(
        .control, request: KVM_REQUEST_CREATE_DEVICE.number, times: 2, effect: .error(error))
      #expect(injector.add(rule))
      let vm = try makeVM()
      #expect(error == .enodev || refusal(vm)?.errno == .ebusy)
      let link = try VMLink.make(
        recorder, vm: vm, requests: requests, among: vms, isTold: error != .enodev)
      #expect(!link.tellsKVM)
      try link.add(77)
      link.close()
      injector.removeAll()
      try host.close(vm)
      #expect(host.counters.files == 0)
    }
    #expect(recorder.count(of: KVM_REQUEST_SET_DEVICE_ATTR.number) == 0)
  }

  @Test("The vSMMUs of a VM share its file and KVM's VFIO device, to the last of them")
  func shared() throws {
    let vm = try makeVM()
    let other = try host.duplicate(vm)
    let first = try VMLink.make(recorder, vm: vm, requests: requests, among: vms)
    let files = host.counters.files
    let second = try VMLink.make(recorder, vm: other, requests: requests, among: vms)
    #expect(host.counters.files == files && second.vfio == first.vfio && second.tellsKVM)
    try first.pin()
    try second.pin()
    #expect(first.vmid == second.vmid && host.counters.pins == 1)
    first.close()
    #expect(host.counters.pins == 1)
    try host.close(vm)
    try host.close(other)
    let device = try host.open("/dev/vfio/devices/vfio0")
    try second.add(device)
    try host.close(device)
    second.close()
    #expect(host.counters.files == 0 && host.counters.pins == 0)
  }

  @Test("Where a kernel does not tell VMs apart, the second link asks for the VFIO device")
  func untold() throws {
    let vm = try makeVM()
    let first = try VMLink.make(recorder, vm: vm, requests: requests, among: vms)
    for error in [Errno.enosys, .eperm] {
      #expect(injector.add(FailureRule(.same, effect: .error(error))))
      let files = host.counters.files
      let error = refusal(vm)
      #expect(error?.errno == .ebusy)
      #expect(error?.sentence.text.contains("vsmmu_give_kvm_vfio") == true)
      #expect(host.counters.files == files)
    }
    #expect(injector.add(FailureRule(.same, effect: .error(.enosys))))
    let second = try VMLink.make(
      recorder, vm: vm, requests: requests, among: vms, vfio: first.vfio)
    #expect(second.tellsKVM && second.vfio != first.vfio)
    first.close()
    second.close()
    try host.close(vm)
    #expect(host.counters.files == 0)
  }

  @Test("A failure while linking is passed on, and leaves nothing open")
  func failures() throws {
    let rules = [
      FailureRule(.duplicate, effect: .error(.emfile)),
      FailureRule(.control, request: KVM_REQUEST_CREATE_DEVICE.number, effect: .error(.enomem)),
    ]
    for rule in rules {
      let vm = try makeVM()
      #expect(injector.add(rule))
      let error = refusal(vm)
      #expect(rule.effect == .error(error?.errno ?? .eio))
      try host.close(vm)
      #expect(host.counters.files == 0)
    }
  }
}
