// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@testable import SMMUHost

/// Hardware of four queues that says what it was asked.
private final class Hardware: DirectHardware {
  var directPage: UnsafeMutableRawPointer?
  var said: [String] = []
  var refuses: Set<Int> = []

  init() {
    directPage = .allocate(byteCount: 0x10000, alignment: 4096)
    directPage?.initializeMemory(as: UInt8.self, repeating: 0, count: 0x10000)
  }

  func makeDirectQueue(_ index: Int, at address: UInt64, length: UInt64) -> Bool {
    said.append("+\(index)@\(address)/\(length)")
    return !refuses.contains(index)
  }

  func giveBackDirectQueue(_ index: Int) { said.append("-\(index)") }

  subscript(_ register: DirectQueueRegister, _ index: Int) -> UInt32 {
    get {
      directPage!.load(fromByteOffset: 0x80 * index + register.rawValue, as: UInt32.self)
    }
    set {
      directPage!.storeBytes(
        of: newValue, toByteOffset: 0x80 * index + register.rawValue, as: UInt32.self)
    }
  }

  func take() -> [String] {
    defer { said = [] }
    return said
  }
}

@Suite("A guest's frame of CMDQ-V")
struct DirectFrameTests {
  private let hardware = Hardware()
  private let frame: DirectFrame

  init() {
    frame = DirectFrame(DirectShape(version: 1, queueBits: 2, streamBits: 4), hardware)
    for index in 0..<4 as Range<UInt64> {
      frame.write(1 | index << 1, at: 0x200 + 4 * index, width: 4)
    }
    frame.write(1, at: 0x1000, width: 4)
  }

  private func setBase(_ index: UInt64, _ value: UInt64) {
    frame.write(value, at: 0x40000 + 0x80 * index, width: 8)
  }

  @Test("Queues are made upwards and given back downwards, as far as there is no gap")
  func order() {
    setBase(3, 0x3000 | 4)
    setBase(1, 0x1000 | 4)
    #expect(hardware.take() == [])
    setBase(0, 0x8000 | 5)
    #expect(hardware.take() == ["+0@32768/512", "+1@4096/256"])
    setBase(2, 0x2000 | 4)
    #expect(hardware.take() == ["+2@8192/256", "+3@12288/256"])
    hardware[.cons, 3] = 7
    hardware[.prod, 3] = 9
    hardware[.config, 3] = 1
    hardware[.prod, 1] = 5
    setBase(1, 0x5000 | 4)
    #expect(hardware.take() == ["-3", "-2", "-1", "+1@20480/256", "+2@8192/256", "+3@12288/256"])
    // What moved begins anew, what is above it goes on.
    #expect(hardware[.prod, 1] == 0)
    #expect((hardware[.cons, 3], hardware[.prod, 3], hardware[.config, 3]) == (7, 9, 1))
    frame.write(0, at: 0x1000, width: 4)
    #expect(hardware.take() == ["-3", "-2", "-1", "-0"])
    #expect(frame.hardwareCount == 0)
    #expect(frame.read(at: 0x30000 + 0x180 + 0x4, width: 4) == 0)
  }

  @Test("A refused queue shows the error, and what is above it waits")
  func refusal() {
    hardware.refuses = [1]
    for index in 0..<3 as Range<UInt64> { setBase(index, (index + 1) << 12 | 4) }
    #expect(hardware.take() == ["+0@4096/256", "+1@8192/256"])
    #expect(frame.hardwareCount == 1)
    #expect(frame.read(at: 0x10c0, width: 4) == 2)
    #expect(frame.read(at: 0x14, width: 4) == 1)
    // Nothing is tried again, but what the guest changes.
    frame.write(1, at: 0x1000, width: 4)
    #expect(hardware.take() == [])
    hardware.refuses = []
    setBase(1, 0x7000 | 4)
    #expect(hardware.take() == ["+1@28672/256", "+2@12288/256"])
    #expect(frame.read(at: 0x10c0, width: 4) == 0)
  }

  @Test("Without hardware the frame stays, and goes on where it was")
  func withdrawal() {
    setBase(0, 0x1000 | 4)
    hardware[.cons, 0] = 3
    hardware[.prod, 0] = 4
    hardware[.config, 0] = 1
    frame.withdraw()
    let page = hardware.directPage
    hardware.directPage = nil
    #expect(hardware.take() == ["+0@4096/256", "-0"])
    #expect(frame.read(at: 0x30000, width: 8) == 3 | 4 << 32)
    #expect(frame.read(at: 0x3000c, width: 4) == 0)
    setBase(1, 0x2000 | 4)
    #expect(hardware.take() == [])
    hardware.directPage = page
    hardware[.prod, 0] = 0
    frame.resume()
    #expect(hardware.take() == ["+0@4096/256", "+1@8192/256"])
    #expect((hardware[.cons, 0], hardware[.prod, 0], hardware[.config, 0]) == (3, 4, 1))
    frame.reset()
    #expect(hardware.take() == ["-1", "-0"])
    #expect(frame.read(at: 0x40000, width: 8) == 0)
  }

  @Test("A size that is none, and an address beyond all, are the kernel's to refuse")
  func sizes() {
    setBase(0, UInt64.max)
    #expect(hardware.take() == ["+0@\(0xffff_ffff_ffe0 as UInt64)/\(UInt64(16) << 31)"])
  }
}
