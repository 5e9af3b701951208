// SPDX-License-Identifier: MIT
import SMMUSpec
import TestSupport
import Testing

@testable import SMMUModel

/// Hardware that notes what it is asked, and fails when told to.
private final class NotingHardware: Hardware {
  var notes: [String] = []
  var fails = false
  var timesOut = false
  var systemCalls = 0
  var streams = 0

  func invalidate(_ command: Command) -> Bool {
    notes.append("\(command.opcode)")
    return !fails
  }
  func configurationChanged(first: StreamID, last: StreamID) -> HardwareResult {
    notes.append("streams \(first) to \(last)")
    return HardwareResult(isDone: !fails, systemCalls: systemCalls, streams: streams)
  }
  func synchronize() throws(HardwareFailure) {
    notes.append("sync")
    if fails { throw .refused }
    if timesOut { throw .endpointTimeout }
  }
  func bypassChanged() { notes.append("bypass") }
  func everythingChanged() { notes.append("everything") }
  func eventQueueChanged() { notes.append("events") }

  func take() -> [String] {
    defer { notes = [] }
    return notes
  }
}

@Suite("Hardware beside the model")
struct HardwareTests {
  private let hardware = NotingHardware()

  private func started(_ options: Options = Options()) -> Guest {
    let guest = Guest.started(.full, options)
    guest.smmu.hardware = hardware
    return guest
  }

  private static let commands: [((UInt64, UInt64), String)] = [
    ((0x10, 0), "tlbiNHAll"), ((0x11, 0), "tlbiNHASID"), ((0x12, 0), "tlbiNHVA"),
    ((0x13, 0), "tlbiNHVAA"), ((0x28, 0), "tlbiS12VMAll"), ((0x2a, 0), "tlbiS2IPA"),
    ((0x30, 0), "tlbiNSNHAll"), ((0x05 | 3 << 32, 0), "cfgiCD"), ((0x06 | 3 << 32, 0), "cfgiCDAll"),
    ((0x03 | 3 << 32, 0), "streams 3 to 3"), ((0x04, 31), "streams 0 to 4294967295"),
    ((0x46, 0), "sync"),
  ]

  @Test("is asked for what each command asks for, and a prefetch asks for nothing")
  func handed() {
    let guest = started()
    for (words, note) in Self.commands {
      guest.command(words)
      #expect(hardware.take() == [note])
    }
    guest.command((0x01, 0))
    #expect(hardware.take() == [])
  }

  @Test("that fails stops the queue at the command, which the acknowledgement tries again")
  func failure() {
    for (words, note) in Self.commands {
      let guest = started()
      guest.command((0x46, 0))
      hardware.fails = true
      _ = hardware.take()
      #expect(guest.command(words) == 1 | 2 << 24)
      #expect(hardware.take() == [note])
      #expect(guest.activeErrors == 1)
      // Again, as long as it fails.
      guest.acknowledgeErrors()
      #expect(hardware.take() == [note])
      #expect(guest.activeErrors == 1)
      hardware.fails = false
      guest.acknowledgeErrors()
      #expect(hardware.take() == [note])
      #expect(guest.activeErrors == 0)
      #expect(guest["CMDQ_CONS"] == 2)
    }
  }

  @Test("hears of CMD_ATC_INV where there is ATS and SMMUEN is 1 (R-070, R-335)")
  func endpoints() {
    var features = Features.full
    features[.idr0, IDR0.ats] = 1
    let guest = Guest.started(features)
    guest.smmu.hardware = hardware
    guest.command((0x40 | 3 << 32, 52))
    #expect(hardware.take() == ["atcInv"])
    guest["CR0"] = 0xc
    _ = hardware.take()
    guest.command((0x40 | 3 << 32, 52))
    #expect(hardware.take() == [] && guest.activeErrors == 0)
    guest["CR0"] = 0x1d
    #expect(guest["CR0ACK"] == 0x1d)
    // Without hardware there is nobody to ask.
    guest.smmu.hardware = nil
    #expect(guest.command((0x40 | 3 << 32, 52)) == 3)
  }

  @Test("whose endpoint does not answer stops the queue at the CMD_SYNC (R-167, R-368)")
  func timeout() {
    let guest = started()
    hardware.timesOut = true
    let word = guest.allocate(64)
    #expect(guest.command((0x46 | 1 << 12 | 0x77 << 32, word)) == 0 | 3 << 24)
    #expect(guest.activeErrors == 1 && guest.machine[word] == 0)
    #expect(guest.machine.reports.isEmpty)
    hardware.timesOut = false
    guest.acknowledgeErrors()
    #expect(guest.activeErrors == 0 && guest["CMDQ_CONS"] == 1 && guest.machine[word] == 0x77)
  }

  @Test("that fails is not told as the guest's mistake")
  func blame() {
    let guest = started()
    hardware.fails = true
    guest.command((0x46, 0))
    #expect(guest.smmu.counters[.commandErrors] == 1)
    #expect(guest.machine.reports.isEmpty)
    hardware.fails = false
    guest.acknowledgeErrors()
    guest.command(Guest.illegal)
    #expect(guest.machine.reports.count == 1)
  }

  @Test("costs of the budget what it costs")
  func budget() {
    var options = Options()
    options.commandBudget = 200
    let guest = started(options)
    hardware.systemCalls = 4
    // One of them is more than the budget: the next one is left.
    for i in 0..<UInt64(3) { guest.place((0x03 | i << 32, 0), slot: i) }
    guest["CMDQ_PROD"] = 3
    #expect(hardware.take() == ["streams 0 to 0"])
    #expect(guest.smmu.consumeCommands(200))
    #expect(hardware.take() == ["streams 1 to 1"])
    #expect(!guest.smmu.consumeCommands(200))
    #expect(hardware.take() == ["streams 2 to 2"])
  }

  @Test("costs a command for each stream that it looks at, though nothing changes")
  func streamBudget() {
    hardware.streams = 99
    let guest = started(Self.small)
    for i in 0..<UInt64(4) { guest.place((0x04, 31), slot: i) }
    guest["CMDQ_PROD"] = 4
    #expect(hardware.take().count == 2)
  }

  /// Of 100 each, two commands are more.
  private static var small: Options {
    var options = Options()
    options.commandBudget = 150
    return options
  }

  @Test("follows SMMUEN, EVENTQEN, GBPA and reset")
  func registers() {
    let guest = started()
    guest["CR0"] = 0x8
    #expect(hardware.take() == ["events", "bypass"])
    guest["GBPA"] = 1 << 31 | 1 << 20
    #expect(hardware.take() == ["bypass"])
    guest["CR0"] = 0x9
    #expect(hardware.take() == ["bypass"])
    // Not looked at while SMMUEN is 1.
    guest["GBPA"] = 1 << 31
    #expect(hardware.take() == [])
    guest["CR0"] = 0xd
    #expect(hardware.take() == ["events"])
    guest.smmu.reset()
    #expect(hardware.take() == ["everything"])
  }

  @Test("Other features are taken in the reset state, and are what registers show")
  func renegotiated() {
    let guest = Guest(.full)
    #expect(guest["IDR0"] & 3 == 3)
    var features = Features.linux
    features[.idr5, IDR5.gran16K] = 0
    guest.smmu.renegotiate(features)
    #expect(guest.smmu.features == features)
    #expect(guest["IDR0"] == UInt64(features[.idr0]))
    #expect(guest["IDR5"] == UInt64(features[.idr5]))
    #expect(guest["CR0"] == 0)
  }
}
