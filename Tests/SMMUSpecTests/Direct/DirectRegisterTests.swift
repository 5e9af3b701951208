// SPDX-License-Identifier: MIT
import SMMUSpec
import Testing

@Suite("The frame of CMDQ-V")
struct DirectRegisterTests {
  private static let config: [UInt64: DirectRegister] = {
    var all: [UInt64: DirectRegister] = [
      0x0: .config, 0x4: .parameters, 0x8: .status, 0x1000: .interfaceConfig,
      0x1004: .interfaceStatus,
    ]
    for i in 0..<2 {
      all[0x14 + UInt64(i) * 4] = .interfaceErrors(i)
      all[0x1c + UInt64(i) * 4] = .interruptMask(i)
    }
    for i in 0..<4 {
      all[0x24 + UInt64(i) * 4] = .queueErrors(i)
      all[0x10c0 + UInt64(i) * 4] = .interfaceQueueErrors(i)
    }
    for i in 0..<128 { all[0x200 + UInt64(i) * 4] = .allocation(i) }
    for i in 0..<16 {
      all[0x1040 + UInt64(i) * 4] = .streamMatch(i)
      all[0x1080 + UInt64(i) * 4] = .streamReplacement(i)
    }
    return all
  }()

  @Test("Each register is at its place on the page of the configuration, and nothing else is")
  func configuration() {
    for offset in stride(from: 0, to: DirectFrameMap.pageSize, by: 4) {
      #expect(DirectFrameMap.register(at: offset) == Self.config[offset])
    }
  }

  @Test("Both views of the queues are alike: 128 of them, 0x80 bytes apart")
  func queues() {
    for page in 1...4 as ClosedRange<UInt64> {
      for offset in stride(from: 0, to: DirectFrameMap.pageSize, by: 4) {
        let queue = Int(offset / 0x80)
        let within = Int(offset % 0x80)
        var wanted: DirectRegister?
        if queue < 128 && page % 2 == 1 && within <= 0x14 {
          wanted = DirectQueueRegister(rawValue: within).map { .queue($0, queue) }
        } else if queue < 128 && page % 2 == 0 && within < 16 {
          wanted = .memory(word: within / 4, queue)
        }
        #expect(
          DirectFrameMap.register(at: page * DirectFrameMap.pageSize + offset) == wanted)
      }
    }
    #expect(DirectFrameMap.size == 0x50000)
    #expect(DirectFrameMap.register(at: DirectFrameMap.size) == nil)
    #expect(DirectFrameMap.register(at: .max - 3) == nil)
  }

  @Test("Fields of a register do not meet")
  func fields() {
    let rows: [[Field]] = [
      [DirectConfig.enable, DirectConfig.batching],
      [
        DirectParameters.version, DirectParameters.queueBits, DirectParameters.interfaceBits,
        DirectParameters.streamBits,
      ],
      [DirectAllocation.allocated, DirectAllocation.queue, DirectAllocation.interface],
      [
        DirectInterfaceConfig.enable, DirectInterfaceConfig.vmid,
        DirectInterfaceConfig.hypervisorOwned,
      ],
      [DirectInterfaceStatus.enabled, DirectInterfaceStatus.error],
      [DirectStream.matchEnable, DirectStream.match],
      [DirectQueueFields.index, DirectQueueFields.error],
      [DirectQueueFields.commandError, DirectQueueFields.initError],
      [DirectQueueBase.log2Size, DirectQueueBase.address],
    ]
    for row in rows {
      var seen: UInt64 = 0
      for field in row {
        #expect(seen & field.mask == 0, "\(field.name)")
        seen |= field.mask
      }
    }
  }
}
