// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUHost

/// What becomes of the ID registers when a device comes: a function of the situation alone.
@Suite struct SituationTests {
  func situation(
    _ asked: Features = .linux, _ devices: [DeviceFacts] = [], frozen: Features? = nil
  ) -> Situation {
    var situation = Situation(asked: asked)
    situation.devices = devices
    situation.stage2Bits = 48
    situation.frozen = frozen
    return situation
  }

  func refusal(_ body: () throws(Refusal) -> NegotiationReport?) -> Refusal? {
    do throws(Refusal) {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  @Test("Without devices all is as asked, whatever is known of a link")
  func alone() {
    var situation = situation(.full)
    situation.broadcast = .complete
    #expect(situation.decide().chosen == .full)
  }

  @Test("The registers follow the first device, and the least of all devices")
  func follow() throws {
    let small = DeviceFacts.rich { $0[.idr5, IDR5.gran16K] = 0 }
    let first = try situation(.full).admit(.rich, at: 0)
    #expect(first?.refusal == nil)
    #expect(first?.chosen.stage2 == false)
    #expect(first?.chosen[.idr5, IDR5.gran16K] == 1)
    let second = try situation(.full, [.rich]).admit(small, at: 1)
    #expect(second?.chosen[.idr5, IDR5.gran16K] == 0)
    #expect(second?.devices.count == 2)
  }

  @Test("The report has the devices in their order")
  func order() throws {
    let devices: [DeviceFacts] = [1, 3].map {
      var facts = DeviceFacts.rich
      facts.maxPASIDBits = $0
      return facts
    }
    var candidate = DeviceFacts.rich
    for (place, order) in [[2, 1, 3], [1, 2, 3], [1, 3, 2]].enumerated() {
      candidate.maxPASIDBits = 2
      let report = try situation(.linux, devices).admit(candidate, at: place)
      #expect(report?.devices.map(\.maxPASIDBits) == order)
    }
  }

  @Test("Registers that no guest can use are refused, with the field and both values")
  func unusable() {
    let formats = DeviceFacts.rich { $0[.idr0, IDR0.ttf] = 1 }
    let error = refusal { () throws(Refusal) in try situation().admit(formats, at: 0) }
    #expect(error?.errno == .eopnotsupp)
    #expect(error?.sentence.text == "no table format is common: IDR0.TTF asked 2, host 1")
  }

  @Test("Frozen registers stay, and a device that honours them is let in")
  func honoured() throws {
    let asked = Features.full
    let seen = situation(asked, [.rich]).decide().chosen
    #expect(try situation(asked, [.rich], frozen: seen).admit(.rich, at: 0) == nil)
  }

  @Test("Frozen registers refuse what they were not decided with")
  func conflict() {
    let small = DeviceFacts.rich { $0[.idr5, IDR5.gran16K] = 0 }
    let error = refusal { () throws(Refusal) in
      try situation(.linux, [.rich], frozen: .linux).admit(small, at: 1)
    }
    #expect(error?.errno == .eopnotsupp)
    #expect(
      error?.sentence.text
        == "the guest has seen IDR5.GRAN16K = 1, and the SMMU of this device has 0: "
        + "the host has no more")
  }

  @Test("Frozen registers count, not what was asked")
  func frozenBeforeHost() {
    // The guest booted without devices and has seen a stage 2.
    let device = DeviceFacts.rich { $0[.idr0, IDR0.ttendian] = 0 }
    let error = refusal { () throws(Refusal) in
      try situation(.full, frozen: .full).admit(device, at: 0)
    }
    #expect(error?.sentence.text.hasPrefix("the guest has seen IDR0.S2P = 1") == true)
  }

  @Test("A link asks for BTM, an emulated device ends it")
  func broadcast() throws {
    var linked = situation()
    linked.broadcast = .complete
    #expect(try linked.admit(.rich, at: 0)?.chosen[.idr0, IDR0.btm] == 1)
    linked.devices = [.rich]
    #expect(linked.decide().chosen[.idr0, IDR0.btm] == 1)
    linked.broadcast.hasEmulatedStreams = true
    let report = linked.decide()
    #expect(report.chosen[.idr0, IDR0.btm] == 0)
    #expect(report.broadcast.firstMissing == .hardwareAlone)
  }

  @Test("A device that was bound for no VM ends BTM, or is refused once the guest has seen it")
  func unbound() throws {
    var linked = situation(.linux, [.rich])
    linked.broadcast = .complete
    linked.broadcast.boundForVM = false
    #expect(try linked.admit(.rich, at: 1)?.chosen[.idr0, IDR0.btm] == 0)
    linked.frozen = .broadcasting
    let error = refusal { () throws(Refusal) in try linked.admit(.rich, at: 1) }
    #expect(error?.sentence.text.contains("IDR0.BTM = 1") == true)
  }

  @Test("The same situation is decided alike, and is not changed by it")
  func pure() throws {
    let one = situation(.full, [.rich])
    let first = try one.admit(.rich, at: 1)
    let second = try one.admit(.rich, at: 1)
    #expect(first?.chosen == second?.chosen)
    #expect(one.devices.count == 1)
  }
}
