// SPDX-License-Identifier: MIT
import CVSMMU
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing
import VSMMUShared

@Suite("vsmmu_dvm")
struct BroadcastCallTests {
  private func op(
    _ kind: UInt32, vmid: UInt32 = 3, asid: UInt32 = 5, _ address: UInt64 = 0x1000,
    _ last: UInt64 = 0x1fff, flags: UInt32 = 0
  ) -> vsmmu_dvm_op {
    vsmmu_dvm_op(
      size: UInt32(MemoryLayout<vsmmu_dvm_op>.size), kind: kind, flags: flags, vmid: vmid,
      asid: asid, reserved: 0, address: address, last: last)
  }

  private func scope(_ op: vsmmu_dvm_op, hasVMIDs: Bool = true) -> TLBInvalidation? {
    do throws(Refusal) { return try TLBInvalidation(op, hasVMIDs: hasVMIDs) } catch { return nil }
  }

  @Test("Each kind is the scope of its name (T-369)")
  func kinds() {
    let range = AddressRange(first: 0x1000, last: 0x1fff)
    #expect(scope(op(VSMMU_DVM_ALL)) == .everything)
    #expect(scope(op(VSMMU_DVM_VMALLS12)) == .vmid(3))
    #expect(scope(op(VSMMU_DVM_VMALL)) == .stage1(3))
    #expect(scope(op(VSMMU_DVM_ASID)) == .asid(3, 5))
    #expect(scope(op(VSMMU_DVM_VA)) == .address(3, asid: 5, range: range))
    #expect(scope(op(VSMMU_DVM_VAA)) == .address(3, asid: nil, range: range))
    #expect(scope(op(VSMMU_DVM_IPA)) == .intermediate(3, range))
    #expect(scope(op(VSMMU_DVM_EL2)) == .nothing)
    #expect(scope(op(8)) == nil)
  }

  @Test("Widths: what the kind uses is checked, what it does not use is not looked at")
  func widths() {
    #expect(scope(op(VSMMU_DVM_VMALL, vmid: 0x10000)) == nil)
    #expect(scope(op(VSMMU_DVM_VMALL, vmid: 0x100, flags: VSMMU_DVM_VMID8)) == nil)
    #expect(scope(op(VSMMU_DVM_VMALL, vmid: 0x100, flags: VSMMU_DVM_ASID8)) == .stage1(0x100))
    #expect(scope(op(VSMMU_DVM_ASID, asid: 0x10000)) == nil)
    #expect(scope(op(VSMMU_DVM_ASID, asid: 0x100, flags: VSMMU_DVM_ASID8)) == nil)
    #expect(scope(op(VSMMU_DVM_ALL, vmid: .max, asid: .max, 9, 0)) == .everything)
    #expect(scope(op(VSMMU_DVM_EL2, vmid: .max, asid: .max, 9, 0)) == .nothing)
    #expect(scope(op(VSMMU_DVM_VMALL, asid: .max, 9, 0)) == .stage1(3))
    #expect(scope(op(VSMMU_DVM_VA, 9, 8)) == nil)
    #expect(scope(op(VSMMU_DVM_IPA, 9, 8)) == nil)
    #expect(scope(op(VSMMU_DVM_VMALL, flags: 4)) == nil)
    // Without stage 2 the VMID is ignored: all is VMID 0.
    #expect(scope(op(VSMMU_DVM_ASID, vmid: .max), hasVMIDs: false) == .asid(0, 5))
  }

  @Test("The call works where BTM is, has no effect where it is not, and refuses nonsense")
  func call() throws {
    for features in ["BTM=1", "", "BTM=1,S2P=0,VMW=0,VMID16=0,XNX=0"] {
      let device = try TestDevice(features)
      for kind in 0..<UInt32(8) {
        var good = op(kind)
        #expect(vsmmu_dvm(device.handle, &good) == 0)
      }
      var bad = op(9)
      #expect(vsmmu_dvm(device.handle, &bad) == -22)
      #expect(device.refusal == "op.kind is no VSMMU_DVM_*")
      bad = op(VSMMU_DVM_VMALL)
      bad.reserved = 1
      #expect(vsmmu_dvm(device.handle, &bad) == -22)
      bad = op(VSMMU_DVM_VMALL)
      bad.size = 39
      #expect(vsmmu_dvm(device.handle, &bad) == -22)
      #expect(vsmmu_dvm(device.handle, nil) == -22)
      #expect(vsmmu_dvm(nil, &bad) == -22)
    }
  }

  @Test("PTM is there to switch with BTM alone")
  func ptm() throws {
    let device = try TestDevice("BTM=1")
    #expect(device.read(0x2c) == 4)
    #expect(device.write(0x2c, 0) == 0)
    #expect(device.read(0x2c) == 0)
    #expect(try TestDevice().read(0x2c) == 0)
  }
}
