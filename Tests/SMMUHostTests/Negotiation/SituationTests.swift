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
        + "the host has no more; features \"GRAN16K=0\" or VSMMU_PROFILE_ASSIGN would have "
        + "avoided it"
    )
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

  // MARK: Automatic fields

  func automatic(
    _ devices: [DeviceFacts], bits: Int = 48, frozen: Features? = nil
  ) -> Situation {
    var situation = Situation(asked: .full, automatic: [.oas, .ssidsize, .ats, .ril])
    situation.devices = devices
    situation.stage2Bits = bits
    situation.frozen = frozen
    return situation
  }

  func values(_ report: NegotiationReport) -> [UInt32] {
    [
      report.chosen[.idr5, IDR5.oas], report.chosen[.idr1, IDR1.ssidsize],
      report.chosen[.idr3, IDR3.ril], report.chosen[.idr0, IDR0.ats],
    ]
  }

  @Test("Automatic fields are 44 bits and else nothing before a host")
  func undecided() {
    let report = automatic([]).decide()
    #expect(values(report) == [4, 0, 0, 0])
    #expect(report[.idr5, IDR5.oas]?.reason == .undecided)
    #expect(report[.idr5, IDR5.oas]?.isAutomatic == true)
    #expect(report[.idr5, IDR5.gran4K]?.isAutomatic == false)
    #expect(report.chosen.illegality == nil)
  }

  @Test("Automatic fields are the least of the hosts and the library")
  func decided() {
    let small = DeviceFacts.rich {
      $0[.idr1, IDR1.ssidsize] = 3
      $0[.idr3, IDR3.ril] = 0
    }
    #expect(values(automatic([.rich]).decide()).prefix(3) == [5, 20, 1])
    #expect(values(automatic([.rich, small]).decide()).prefix(3) == [5, 3, 0])
    #expect(values(automatic([.rich], bits: 44).decide())[0] == 4)
    #expect(values(automatic([.rich], bits: 39).decide())[0] == 1)
    // More than the library implements.
    let report = automatic([.rich], bits: 56).decide()
    #expect(values(report)[0] == 5)
    #expect(report[.idr5, IDR5.oas]?.reason == .automatic)
    let limited = automatic([small]).decide()[.idr1, IDR1.ssidsize]
    #expect(limited?.reason == .hostLimits)
    #expect(limited?.isAutomatic == true)
  }

  @Test("A device that comes first decides them, and frozen ones are as any")
  func automaticUntilFrozen() throws {
    let first = try automatic([]).admit(.rich, at: 0)
    #expect(first.map(values)?.prefix(3) == [5, 20, 1])
    // Seen without a device, and honoured by every host.
    let seen = automatic([]).decide().chosen
    let least = DeviceFacts.rich {
      $0[.idr1, IDR1.ssidsize] = 0
      $0[.idr3, IDR3.ril] = 0
    }
    let error = refusal { () throws(Refusal) in
      try automatic([], frozen: seen).admit(least, at: 0)
    }
    // Of the full profile stage 2 and what belongs to it is left to refuse.
    #expect(error?.sentence.text.contains("SSIDSIZE") == false)
    #expect(error?.sentence.text.contains("RIL") == false)
    var late = Situation(asked: .assign, automatic: [.oas, .ssidsize, .ats, .ril])
    late.frozen = late.decide().chosen
    late.stage2Bits = 44
    #expect(try late.admit(least, at: 0) == nil)
  }

  @Test("The profile for late devices asks for nothing that a host may lack")
  func assign() throws {
    let least = DeviceFacts.rich {
      for field in [IDR0.asid16, IDR0.cd2l] { $0[.idr0, field] = 0 }
      $0[.idr0, IDR0.termModel] = 1
      $0[.idr1, IDR1.ssidsize] = 0
      $0[.idr3] = 0
      for field in [IDR5.gran16K, IDR5.gran64K, IDR5.vax, IDR5.ds] { $0[.idr5, field] = 0 }
    }
    #expect(Features.assign.illegality == nil)
    #expect(Features.assign.unimplemented == nil)
    for host in [least, .rich] {
      var late = situation(.assign, frozen: .assign)
      late.stage2Bits = 44
      #expect(try late.admit(host, at: 0) == nil)
    }
  }
}
