// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUHost

@Suite struct NegotiationTests {
  @Test("Without an assigned device all is as asked", arguments: [Features.full, Features.linux])
  func noHost(asked: Features) {
    let report = Negotiation.decide(asked: asked, devices: [])
    #expect(report.chosen == asked)
    #expect(report.refusal == nil)
    #expect(report.rows.allSatisfy { $0.host == nil && $0.reason == .noHost })
  }

  @Test("Each field of each register has one row, and the rows make up the registers")
  func rows() {
    let report = Negotiation.decide(asked: .full, devices: [.rich], stage2Bits: 48)
    var count = 0
    var made = Features()
    for register in IdentificationRegister.allCases { count += register.fields.count }
    for row in report.rows { made[row.register, row.field] = row.chosen }
    #expect(report.rows.count == count)
    #expect(made == report.chosen)
  }

  @Test("A Linux guest keeps its profile where the host has everything, and no more")
  func linuxOnRichHost() {
    let report = Negotiation.decide(asked: .linux, devices: [.rich], stage2Bits: 48)
    #expect(report.refusal == nil)
    #expect(report.chosen == .linux)
  }

  @Test("What the kernel's contract does not name is never read, whatever the raw register shows")
  func neverRead() {
    let permitted: [(IdentificationRegister, [Field])] = [
      (
        .idr0,
        [
          IDR0.stLevel, IDR0.termModel, IDR0.stallModel, IDR0.ttendian, IDR0.cd2l, IDR0.asid16,
          IDR0.ttf,
        ]
      ),
      (.idr1, [IDR1.sidsize, IDR1.ssidsize]), (.idr3, [IDR3.bbml, IDR3.ril]),
      (.idr5, [IDR5.vax, IDR5.gran64K, IDR5.gran16K, IDR5.gran4K, IDR5.ds]),
    ]
    let report = Negotiation.decide(asked: .full, devices: [.rich], stage2Bits: 48)
    for row in report.rows {
      let isPermitted = permitted.contains { $0.0 == row.register && $0.1.contains(row.field) }
      #expect((row.host != nil) == isPermitted, "\(row.register) \(row.field.name)")
    }
    // And nothing else of a raw register makes a difference.
    var bare = DeviceFacts.rich { f in
      for register in IdentificationRegister.allCases {
        for field in register.fields {
          let isPermitted = permitted.contains { $0.0 == register && $0.1.contains(field) }
          if !isPermitted { f[register, field] = 0 }
        }
      }
    }
    bare.information.iidr = 0
    let same = Negotiation.decide(asked: .full, devices: [bare], stage2Bits: 48)
    #expect(same.chosen == report.chosen)
  }

  @Test("HTTU, BTM, MPAM, PRI, E0PD and all of stage 2 stay 0 though asked for and shown")
  func masked() {
    var asked = Features.full
    let fields: [(IdentificationRegister, Field)] = [
      (.idr0, IDR0.httu), (.idr0, IDR0.btm), (.idr0, IDR0.pri), (.idr0, IDR0.hyp),
      (.idr0, IDR0.s2p), (.idr0, IDR0.vmid16), (.idr0, IDR0.vmw), (.idr0, IDR0.atos),
      (.idr0, IDR0.ns1ats), (.idr0, IDR0.dormhint), (.idr1, IDR1.attrTypesOvr),
      (.idr1, IDR1.attrPermsOvr), (.idr3, IDR3.mpam), (.idr3, IDR3.e0pd), (.idr3, IDR3.fwb),
      (.idr3, IDR3.pbha), (.idr3, IDR3.aie), (.idr3, IDR3.stt), (.idr5, IDR5.d128),
      (.idr5, IDR5.stallMax),
    ]
    for (register, field) in fields { asked[register, field] = 1 }
    let report = Negotiation.decide(asked: asked, devices: [.rich], stage2Bits: 48)
    for (register, field) in fields {
      #expect(report.chosen[register, field] == 0, "\(field.name)")
      #expect(report[register, field]?.host == nil)
    }
    #expect(report.refusal == nil)
  }

  @Test("Sizes and flags are the least of all hosts")
  func least() {
    let devices: [DeviceFacts] = [
      .rich { $0[.idr1, IDR1.ssidsize] = 8 },
      .rich {
        $0[.idr3, IDR3.bbml] = 1
        $0[.idr0, IDR0.asid16] = 0
      },
      .rich { $0[.idr5, IDR5.gran16K] = 0 },
    ]
    let report = Negotiation.decide(asked: .linux, devices: devices, stage2Bits: 48)
    #expect(report.refusal == nil)
    #expect(report.chosen[.idr1, IDR1.ssidsize] == 8)
    #expect(report.chosen[.idr3, IDR3.bbml] == 1)
    #expect(report.chosen.asid16 == false)
    #expect(report.chosen.supports(.size4K) && !report.chosen.supports(.size16K))
    #expect(report[.idr5, IDR5.gran16K]?.reason == .hostLimits)
    #expect(report[.idr5, IDR5.gran4K]?.reason == .honoured)
  }

  @Test("StreamIDs and the stream table are the library's: the host sets no bound")
  func streamTable() {
    let host = DeviceFacts.rich {
      $0[.idr1, IDR1.sidsize] = 4
      $0[.idr0, IDR0.stLevel] = 0
    }
    let report = Negotiation.decide(asked: .linux, devices: [host], stage2Bits: 48)
    #expect(report.refusal == nil)
    #expect(report.chosen.streamIDBits == 16)
    #expect(report[.idr1, IDR1.sidsize]?.host == 4)
    #expect(report[.idr1, IDR1.sidsize]?.reason == .noBound)
  }

  @Test("A host that always aborts makes the guest's abort too; never the other way round")
  func termination() {
    var asked = Features.linux
    asked[.idr0, IDR0.termModel] = 0
    let abort = DeviceFacts.rich { $0[.idr0, IDR0.termModel] = 1 }
    #expect(Negotiation.decide(asked: asked, devices: [abort]).chosen.terminateIsAbort)
    #expect(!Negotiation.decide(asked: asked, devices: [.rich]).chosen.terminateIsAbort)
    #expect(Negotiation.decide(asked: .linux, devices: [.rich]).chosen.terminateIsAbort)
  }

  @Test("Endianness of tables: asked, first host, second host, chosen; nil is refused")
  func endianness() {
    let cases: [(UInt32, UInt32, UInt32, UInt32?)] = [
      (2, 2, 2, 2), (2, 0, 0, 2), (2, 0, 2, 2), (0, 0, 0, 0), (0, 2, 0, 2), (0, 0, 3, 3),
      (3, 3, 0, 3), (3, 2, 2, nil), (2, 3, 3, nil), (2, 1, 1, nil), (0, 2, 3, nil),
      (0, 1, 0, nil),
    ]
    for (wanted, first, second, chosen) in cases {
      var asked = Features.linux
      asked[.idr0, IDR0.ttendian] = wanted
      let devices: [DeviceFacts] = [
        .rich { $0[.idr0, IDR0.ttendian] = first }, .rich { $0[.idr0, IDR0.ttendian] = second },
      ]
      let report = Negotiation.decide(asked: asked, devices: devices)
      if let chosen {
        #expect(report.refusal == nil && report.chosen.endianness == Int(chosen))
      } else {
        #expect(report.refusal == .endianness)
      }
    }
  }

  @Test("Addresses are bounded by what the host's stage 2 takes, not by its IDR5.OAS")
  func addressSize() {
    let cases: [(Int, UInt32)] = [
      (0, 5), (64, 5), (52, 5), (48, 5), (47, 4), (44, 4), (43, 3), (42, 3), (41, 2), (40, 2),
      (39, 1), (36, 1), (32, 0),
    ]
    let small = DeviceFacts.rich { $0[.idr5, IDR5.oas] = 0 }
    for (bits, oas) in cases {
      let report = Negotiation.decide(asked: .linux, devices: [small], stage2Bits: bits)
      #expect(report.chosen[.idr5, IDR5.oas] == oas, "\(bits) bits")
      #expect(report.refusal == nil)
    }
    #expect(
      Negotiation.decide(asked: .linux, devices: [small], stage2Bits: 31).refusal == .addressSize)
  }

  @Test("Bits of a stage 2 from the end of its last IOVA range")
  func addressBits() {
    #expect(Negotiation.addressBits(last: .max) == 64)
    #expect(Negotiation.addressBits(last: 0xffff_ffff_ffff) == 48)
    #expect(Negotiation.addressBits(last: 0xffff_ffff_fffe) == 47)
    #expect(Negotiation.addressBits(last: 0xfff_ffff_ffff) == 44)
    #expect(Negotiation.addressBits(last: 0) == 0)
  }

  @Test("52-bit addresses go where the granule that carries them goes")
  func settled() {
    var asked = Features.linux
    asked[.idr5, IDR5.vax] = 1
    asked[.idr5, IDR5.oas] = 6
    #expect(asked.illegality == nil)
    let both = Negotiation.decide(asked: asked, devices: [.rich], stage2Bits: 52)
    #expect(both.chosen[.idr5, IDR5.vax] == 1 && both.chosen[.idr5, IDR5.oas] == 6)
    let older = DeviceFacts.rich { $0[.idr5, IDR5.gran64K] = 0 }
    let report = Negotiation.decide(asked: asked, devices: [older], stage2Bits: 52)
    #expect(report.refusal == nil)
    #expect(report.chosen[.idr5, IDR5.vax] == 0 && report.chosen[.idr5, IDR5.oas] == 5)
    #expect(report[.idr5, IDR5.vax]?.reason == .follows)
  }

  @Test("What the revision that is left may not have goes with it (R-036)")
  func settledRevision() {
    // DS is of v3.4, so v3.3 may have it; with a host there is no more than v3.1.
    var asked = Features.linux
    for field in [IDR3.fwb, IDR3.e0pd] { asked[.idr3, field] = 1 }
    asked[.idr5, IDR5.vax] = 1
    asked[.idr5, IDR5.ds] = 1
    asked[.idr5, IDR5.oas] = 6
    asked[.aidr, AIDR.minor] = 3
    #expect(asked.illegality == nil)
    let later = Negotiation.decide(asked: asked, devices: [.rich], stage2Bits: 52)
    #expect(later.refusal == nil)
    #expect(later[.idr5, IDR5.ds]?.reason == .follows)
    #expect(later.chosen[.idr5, IDR5.ds] == 0 && later.chosen[.idr5, IDR5.vax] == 1)
    let early = DeviceFacts.rich {
      $0[.idr3, IDR3.ril] = 0
      $0[.idr3, IDR3.bbml] = 0
    }
    let first = Negotiation.decide(asked: asked, devices: [early], stage2Bits: 52)
    #expect(first.refusal == nil && first.chosen[.aidr, AIDR.minor] == 0)
    #expect(first.chosen[.idr5, IDR5.vax] == 0 && first.chosen[.idr5, IDR5.oas] == 5)
  }

  @Test("HAD is implied by RIL or BBML; without them the revision goes back to 3.0")
  func implied() {
    let early = DeviceFacts.rich {
      $0[.idr3, IDR3.ril] = 0
      $0[.idr3, IDR3.bbml] = 0
    }
    let report = Negotiation.decide(asked: .linux, devices: [early], stage2Bits: 48)
    #expect(report.refusal == nil)
    #expect(report.chosen[.idr3, IDR3.had] == 0 && report.chosen[.aidr, AIDR.minor] == 0)
    let bbml = DeviceFacts.rich { $0[.idr3, IDR3.ril] = 0 }
    let later = Negotiation.decide(asked: .linux, devices: [bbml], stage2Bits: 48)
    #expect(later.chosen[.idr3, IDR3.had] == 1 && later.chosen[.aidr, AIDR.minor] == 1)
    #expect(later[.idr3, IDR3.had]?.reason == .implied)
  }

  @Test("ATS is never there without a device that may use it, nor beside emulated ones")
  func withoutATS() {
    var asked = Features.linux
    asked[.idr0, IDR0.ats] = 1
    let none = Negotiation.decide(asked: asked, devices: [])
    #expect(none.chosen == .linux && none[.idr0, IDR0.ats]?.reason == .noDeviceATS)
    var evidence = BroadcastEvidence()
    evidence.hasEmulatedStreams = true
    let mixed = Negotiation.decide(
      asked: asked, devices: [.rich], stage2Bits: 48, broadcast: evidence)
    #expect(!mixed.chosen.ats && mixed[.idr0, IDR0.ats]?.reason == .emulatedATS)
    // Split-stage ATS is nothing where stage 2 is the host's.
    asked = .full
    asked[.idr0, IDR0.ats] = 1
    let alone = Negotiation.decide(asked: asked, devices: [.rich], stage2Bits: 48)
    #expect(alone.chosen.ats && !alone.chosen.stage2 && alone.chosen[.idr0, IDR0.ns1ats] == 0)
    #expect(alone.refusal == nil && alone.chosen.illegality == nil)
  }

  @Test("ATS is offered if a device may use it")
  func ats() {
    var asked = Features.linux
    asked[.idr0, IDR0.ats] = 1
    var without = DeviceFacts.rich
    without.capabilities = 8
    #expect(Negotiation.decide(asked: asked, devices: [without]).chosen.ats == false)
    #expect(Negotiation.decide(asked: asked, devices: [without, .rich]).chosen.ats)
    #expect(Negotiation.decide(asked: .linux, devices: [.rich]).chosen.ats == false)
  }

  @Test("Registers that are useless are refused, naming both sides")
  func refusals() {
    var stage2Only = Features.full
    stage2Only[.idr0, IDR0.s1p] = 0
    var only16K = Features.linux
    only16K[.idr5, IDR5.gran4K] = 0
    only16K[.idr5, IDR5.gran64K] = 0
    let no16K = DeviceFacts.rich { $0[.idr5, IDR5.gran16K] = 0 }
    let cases: [(Features, DeviceFacts, Int, String)] = [
      (stage2Only, .rich, 48, "an assigned device needs stage 1: IDR0.S1P asked 0"),
      (
        .linux, .rich { $0[.idr0, IDR0.ttf] = 1 }, 48,
        "no table format is common: IDR0.TTF asked 2, host 1"
      ),
      (
        .linux, .rich { $0[.idr0, IDR0.ttendian] = 3 }, 48,
        "no endianness of tables is common: IDR0.TTENDIAN asked 2, host 3"
      ),
      (
        .linux, .rich { $0[.idr0, IDR0.stallModel] = 2 }, 48,
        "the host cannot but stall faults, which this library does not offer: "
          + "IDR0.STALL_MODEL asked 1, host 2"
      ),
      (
        only16K, no16K, 48,
        "no translation granule is common: asked GRAN16K, host GRAN4K GRAN64K"
      ),
      (
        .linux, .rich, 30,
        "the host's stage 2 takes less than the 32 bits that an SMMU has at least: 30 bits"
      ),
    ]
    for (asked, host, bits, sentence) in cases {
      let report = Negotiation.decide(asked: asked, devices: [host], stage2Bits: bits)
      #expect(report.refusal != nil)
      #expect(report.refusalSentence.text == sentence)
    }
    let fine = Negotiation.decide(asked: .linux, devices: [.rich])
    #expect(fine.refusalSentence.count == 0)
  }

  @Test("Random hosts: legal, no more than asked, no more than the host, and stable")
  func randomHosts() {
    for seed in 1...3000 as ClosedRange<UInt64> {
      var random = Seed(seed)
      let devices = (0...random.next() % 3).map { _ in DeviceFacts.random(&random) }
      let asked = Features.random(&random)
      let bits = 30 + Int(random.next() % 24)
      let report = Negotiation.decide(asked: asked, devices: devices, stage2Bits: bits)
      guard report.refusal == nil else { continue }
      let chosen = report.chosen
      #expect(chosen.illegality == nil, "seed \(seed)")
      #expect(chosen.unimplemented == nil, "seed \(seed)")
      // What was chosen is honoured as it is, by all together and by each.
      let again = Negotiation.decide(asked: chosen, devices: devices, stage2Bits: bits)
      #expect(again.chosen == chosen && again.refusal == nil, "seed \(seed)")
      for host in devices {
        let conflict = Negotiation.conflict(of: chosen, by: host, stage2Bits: bits)
        #expect(conflict == nil, "seed \(seed): \(conflict!.sentence.text)")
        for field in [IDR5.gran4K, IDR5.gran16K, IDR5.gran64K] {
          #expect(chosen[.idr5, field] <= host.value(.idr5, field), "seed \(seed)")
        }
      }
      // The order of hosts does not matter.
      let reversed = Negotiation.decide(asked: asked, devices: devices.reversed(), stage2Bits: bits)
      #expect(reversed.chosen == chosen, "seed \(seed)")
    }
  }
}

extension DeviceFacts {
  /// Any registers, with little that makes a refusal certain.
  fileprivate static func random(_ random: inout Seed) -> DeviceFacts {
    let words = (0..<6).map { _ in UInt32(truncatingIfNeeded: random.next()) }
    return .rich { f in
      f[.idr0] = words[0]
      f[.idr1] = words[1]
      f[.idr3] = words[3]
      f[.idr5] = words[5]
      f[.idr0, IDR0.ttf] = 2 | words[0] & 1
      f[.idr0, IDR0.ttendian] = words[2] & 1 << 1
      f[.idr0, IDR0.stallModel] = words[4] & 1
    }
  }
}

extension Features {
  /// Legal registers that the model has.
  fileprivate static func random(_ random: inout Seed) -> Features {
    var f = random.next() & 1 == 0 ? Features.linux : Features.full
    for field in [IDR5.gran4K, IDR5.gran16K] where random.next() & 3 == 0 { f[.idr5, field] = 0 }
    for field in [IDR3.ril, IDR3.bbml] where random.next() & 3 == 0 { f[.idr3, field] = 0 }
    if random.next() & 1 == 0 { f[.idr0, IDR0.termModel] = 0 }
    f[.idr1, IDR1.ssidsize] = UInt32(random.next() % 21)
    f[.idr5, IDR5.oas] = UInt32(random.next() % 6)
    return f
  }
}
