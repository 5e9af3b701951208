// SPDX-License-Identifier: MIT
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUHost

@Suite struct BroadcastConditionsTests {
  func decide(
    _ host: DeviceFacts = .rich, asked: Features = .broadcasting,
    _ change: (inout BroadcastEvidence) -> Void = { _ in }
  ) -> NegotiationReport {
    var evidence = BroadcastEvidence.complete
    change(&evidence)
    return Negotiation.decide(asked: asked, devices: [host], stage2Bits: 48, broadcast: evidence)
  }

  @Test("BTM is offered when every condition holds")
  func offered() {
    let report = decide()
    #expect(report.chosen[.idr0, IDR0.btm] == 1)
    #expect(report.broadcast.firstMissing == nil)
    #expect(report[.idr0, IDR0.btm]?.reason == .broadcastOffered)
    #expect(report[.idr0, IDR0.btm]?.host == nil)
    #expect(
      decide {
        $0.pinsOnDemand = true
        $0.vmid = 0
      }.chosen[.idr0, IDR0.btm] == 1)
    #expect(decide { $0.kvmVMIDBits = 0 }.chosen[.idr0, IDR0.btm] == 1)
  }

  @Test("Each condition alone keeps BTM away, and is named")
  func withheld() {
    let vmid8 = DeviceFacts.rich { $0[.idr0, IDR0.vmid16] = 0 }
    let asid8 = DeviceFacts.rich { $0[.idr0, IDR0.asid16] = 0 }
    let cases: [(BroadcastCondition, NegotiationReport)] = [
      (.asked, decide(asked: .linux)),
      (.hardware, decide(.rich { $0[.idr0, IDR0.btm] = 0 })),
      (.noErratum, decide(.rich { $0[.iidr] = 0x4870_043b })),
      (.noErratum, decide(.rich { $0[.iidr] = 0x48a1_243b })),
      (.noErratum, decide(.rich { $0[.iidr] = 0x4980_043b })),
      (.kernelLinks, decide { $0.kernelLinks = false }),
      (.linked, decide { $0.isLinked = false }),
      (.bound, decide { $0.boundForVM = false }),
      (.pinned, decide { $0.vmid = 0 }),
      (.hardwareAlone, decide { $0.hasEmulatedStreams = true }),
      (.vmidWidth, decide(vmid8)),
      (.vmidWidth, decide(vmid8) { $0.kvmVMIDBits = 0 }),
      (
        .vmidWidth,
        decide(vmid8) {
          $0.kvmVMIDBits = 8
          $0.vmid = 256
        }
      ),
      (.asidWidth, decide(asid8)),
      (.asidWidth, decide(asid8) { $0.cpuASIDBits = 0 }),
    ]
    for (condition, report) in cases {
      #expect(report.chosen[.idr0, IDR0.btm] == 0, "\(condition)")
      #expect(report.broadcast.firstMissing == condition)
      #expect(
        BroadcastCondition.allCases.allSatisfy { report.broadcast.holds($0) == ($0 != condition) })
      #expect(report.refusal == nil)
    }
  }

  @Test("Widths that meet: 8-bit VMIDs and ASIDs on both sides")
  func narrow() {
    let host = DeviceFacts.rich {
      $0[.idr0, IDR0.vmid16] = 0
      $0[.idr0, IDR0.asid16] = 0
    }
    let report = decide(host) {
      $0.kvmVMIDBits = 8
      $0.cpuASIDBits = 8
      $0.vmid = 255
    }
    #expect(report.chosen[.idr0, IDR0.btm] == 1)
  }

  @Test("One host of several that does not listen keeps BTM away")
  func severalHosts() {
    let deaf = DeviceFacts.rich { $0[.idr0, IDR0.btm] = 0 }
    let report = Negotiation.decide(
      asked: .broadcasting, devices: [.rich, deaf], broadcast: .complete)
    #expect(report.broadcast.firstMissing == .hardware)
  }

  @Test("Without an assigned device BTM is as asked: the software TLB listens to vsmmu_dvm()")
  func noHost() {
    let report = Negotiation.decide(asked: .broadcasting, devices: [])
    #expect(report.chosen[.idr0, IDR0.btm] == 1)
  }

  @Test("Other implementers' products and other products of Arm have no erratum")
  func errata() {
    for iidr in [0x4870_0001, 0x4830_243b, 0, 0x4990_043b] as [UInt32] {
      #expect(!DeviceFacts.rich { $0[.iidr] = iidr }.hasBroadcastErratum)
    }
  }
}
