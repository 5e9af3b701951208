// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing
import TestSupport

@testable import SMMUModel

/// What keepers of copies are told: more than became stale, never less.
@Suite struct NoticeTests {
  private func notices(_ guest: Guest, _ command: (UInt64, UInt64)) -> [Staleness] {
    _ = guest.machine.takeStale()
    guest.command(command, Guest.sync)
    return guest.machine.takeStale()
  }

  @Test("With VMID wildcards an invalidation may be of any VMID (R-058)")
  func wildcards() {
    let guest = Scene(.nested).guest
    #expect(notices(guest, (0x28 | 0x13 << 32, 0)) == [.translations(.vmid(0x13))])
    guest["CR0"] = 0xd | 4 << 6
    #expect(notices(guest, (0x28 | 0x13 << 32, 0)) == [.translations(.everything)])
  }

  @Test("Enabling, disabling and a new bypass make every translation stale")
  func enables() {
    let guest = Scene(.stage1).guest
    _ = guest.machine.takeStale()
    guest["GBPA"] = 0x8010_1000
    #expect(guest.machine.takeStale() == [], "GBPA does not act while SMMUEN is 1")
    guest["CR0"] = 0xc
    #expect(guest.machine.takeStale() == [.translations(.everything)])
    guest["GBPA"] = 0x8000_1000
    #expect(guest.machine.takeStale() == [.translations(.everything)])
    guest["CR0"] = 0xd
    #expect(guest.machine.takeStale() == [.translations(.everything)])
  }

  @Test("An EL2 invalidation that a quirk accepts makes all of NS-EL1 stale")
  func quirk() {
    var options = Options()
    options.commandRules.acceptEL2 = true
    let guest = Scene(.stage1, .full, options).guest
    #expect(notices(guest, (0x20, 0)) == [.translations(.everything)])
  }
}
