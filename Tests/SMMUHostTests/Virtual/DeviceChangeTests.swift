// SPDX-License-Identifier: MIT
import CKernel
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUEmulated
@testable import SMMUHost

/// What a device is attached to, as its guest's STE and the kernel's failures change it.
@Suite struct DeviceChangeTests {
  let bench: VirtualBench

  init() throws {
    bench = try VirtualBench()
    try bench.attach(8)
    bench.setSTE(8, VirtualBench.stage1(0))
    bench.start()
  }

  /// Another STE, as CR0.SMMUEN shows it.
  func show(_ word: UInt64) {
    bench.enable(false)
    bench.setSTE(8, word)
    bench.enable(true)
  }

  var hwpts: UInt64 { bench.emulated.counters.hwpts }
  var now: DeviceState? { bench.state(of: 8) }

  @Test("Abort, bypass and stage 1 by turns; an HWPT lives as long as its STE")
  func turns() {
    let objects = bench.emulated.counters.objects
    #expect(now?.hwpt != nil && now?.isFailed == false)
    bench.enable(false)
    #expect(now == .bypass)
    #expect(bench.emulated.counters.objects == objects - 1)
    show(0)
    #expect(now == .abort)
    show(VirtualBench.bypass)
    #expect(now == .bypass)
    show(VirtualBench.stage1(1))
    #expect(now?.hwpt != nil)
    #expect(bench.emulated.counters.objects == objects)
  }

  @Test("Where no HWPT can be had the device aborts, until it is tried again")
  func noHWPT() {
    bench.enable(false)
    bench.fail(IOMMUFD_HWPT_ALLOC.number)
    bench.enable(true)
    #expect(now == .failed(has: .abort))
    #expect(bench.listener.said.last?.contains("attach what a stream's STE asks for") == true)
    try? bench.virtual.nesting?.synchronize()
    #expect(now?.hwpt != nil && now?.isFailed == false)
  }

  @Test("Where not even abort can be attached the device has what it had")
  func noAbort() {
    let objects = bench.emulated.counters.objects
    bench.enable(false)
    bench.fail(VFIO_REQUEST_ATTACH_PT.number, times: 2)
    bench.enable(true)
    #expect(now == .failed(has: .bypass))
    #expect(bench.listener.said.last?.contains("attach the abort HWPT in its place") == true)
    #expect(bench.emulated.counters.objects == objects - 1)
    try? bench.virtual.nesting?.synchronize()
    let hwpt = now?.hwpt
    #expect(hwpt != nil)
    bench.fail(VFIO_REQUEST_ATTACH_PT.number, times: 2)
    bench.enable(false)
    #expect(now?.hwpt == hwpt && now?.isOpen == true)
    try? bench.virtual.nesting?.synchronize()
    #expect(now == .bypass)
    #expect(bench.emulated.counters.objects == objects - 1)
  }

  @Test("A device that goes takes its HWPT along, after a failure too")
  func goes() throws {
    bench.fail(VFIO_REQUEST_ATTACH_PT.number, times: 2)
    bench.enable(false)
    #expect(now?.hwpt != nil && now?.isFailed == true)
    try bench.virtual.detach(8)
    #expect(bench.emulated.counters.objects == 1)
  }

  @Test("A renumbered device gets what its new stream asks for")
  func renumber() throws {
    bench.setSTE(9, VirtualBench.bypass)
    try bench.virtual.renumber(8, to: 9)
    #expect(bench.state(of: 9) == .bypass && now == nil)
    bench.fail(IOMMUFD_VDEVICE_ALLOC.number)
    let refusal = bench.refusal { () throws(Refusal) in try bench.virtual.renumber(9, to: 8) }
    #expect(refusal?.errno == .enomem)
    #expect(bench.state(of: 9) == .bypass && now == nil)
    try bench.virtual.renumber(9, to: 8)
    #expect(now?.hwpt != nil)
  }
}

/// Broadcast TLB maintenance, as devices of both kinds come and go.
@Suite struct BroadcastChangeTests {
  let bench: VirtualBench

  init() throws {
    var configuration = EmulatedConfiguration()
    configuration.version = .linked
    bench = try VirtualBench(.linux, configuration)
  }

  var btm: UInt32 { bench.virtual.smmu.features[.idr0, IDR0.btm] }

  @Test("Offered with a first device of a linked VM, and ended by an emulated one")
  func ends() throws {
    try bench.virtual.linkVM(try bench.makeVM(), onDemand: false, isTold: false)
    #expect(btm == 0)
    try bench.attach(8)
    #expect(btm == 1)
    try bench.virtual.addStream(3)
    #expect(btm == 0)
    #expect(bench.virtual.currentReport.broadcast.firstMissing == .hardwareAlone)
  }

  @Test("Once the guest has seen it, an emulated device is refused")
  func refused() throws {
    try bench.virtual.linkVM(try bench.makeVM(), onDemand: false, isTold: false)
    try bench.attach(8)
    bench.virtual.freeze()
    let refusal = bench.refusal { () throws(Refusal) in try bench.virtual.addStream(3) }
    #expect(refusal?.errno == .eopnotsupp)
    #expect(bench.virtual.streams.emulatedCount == 0 && btm == 1)
  }

  @Test("A VMID that is pinned on demand goes with the attachment that needed it")
  func onDemand() throws {
    try bench.virtual.linkVM(try bench.makeVM(), onDemand: true, isTold: false)
    #expect(bench.emulated.counters.pins == 0)
    let before = bench.snapshot
    bench.fail(VFIO_REQUEST_ATTACH_PT.number)
    #expect(bench.refusal { () throws(Refusal) in try bench.attach(8) }?.errno == .enomem)
    #expect(bench.snapshot == before)
    try bench.attach(8)
    #expect(bench.emulated.counters.pins > 0 && btm == 1)
    try bench.virtual.detach(8)
    #expect(bench.emulated.counters.pins == 0)
  }
}
