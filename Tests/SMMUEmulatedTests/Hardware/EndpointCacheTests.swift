// SPDX-License-Identifier: MIT
import SMMUBase
import SMMUModel
import SMMUSpec
import Testing

@testable import SMMUEmulated

/// What devices with ATS keep, under the kernel's calls.
@Suite struct EndpointCacheTests {
  private typealias C = CommandWords
  private static let sid: UInt64 = 8 << 32
  private static let pages = NestedBench.ram + 0x10_0000

  private static func configuration(
    _ version: EmulatedKernelVersion = .linux73, device: EmulatedConfiguration.Device.Flags = .ats,
    smmu flags: PhysicalConfiguration.Flags = .rootATS, substreams: UInt32 = 16
  ) -> EmulatedConfiguration {
    var configuration = EmulatedConfiguration()
    configuration.version = version
    configuration.smmus[0].flags = flags
    configuration.smmus[0].features[.idr0, IDR0.ats] = 1
    configuration.smmus[0].features[.idr1, IDR1.ssidsize] = substreams
    configuration.devices[0].flags = device
    return configuration
  }

  /// Attached to stage 1 with EATS, its first two pages mapped and read.
  private func started(
    _ configuration: EmulatedConfiguration = configuration(), eats: UInt64 = 1
  ) -> NestedBench {
    let bench = NestedBench(configuration, virtualID: 8)
    bench.writeContext()
    for page in 0..<4 as Range<UInt64> { bench[Self.pages + page << 12] = 100 + page }
    #expect(bench.attach(bench.nested(NestedBench.stage1.0, 0xd4 | eats << 28)) == 0)
    for page in 0..<2 as Range<UInt64> {
      bench.map(0x5000 + page << 12, to: Self.pages + page << 12)
      #expect(bench.read(0x5000 + page << 12).word == 100 + page)
    }
    return bench
  }

  /// Both pages lead two pages on, and the SMMU knows.
  private func move(_ bench: NestedBench) {
    for page in 0..<2 as Range<UInt64> {
      bench.map(0x5000 + page << 12, to: Self.pages + (page + 2) << 12)
    }
    #expect(bench.base.invalidate(bench.viommu, 0x10) == (0, 1))
  }

  private func words(_ bench: NestedBench) -> [UInt64] {
    [bench.read(0x5000).word, bench.read(0x6000).word]
  }

  static let commands: [(UInt64, UInt64, UInt32, isFine: Bool, since72: Bool)] = [
    (0, 52, 16, true, true), (0, 0x5000, 16, true, true), (0, 53, 16, false, false),
    (0, 63, 16, false, false), (1 << 11 | 7 << 12 | 1 << 9, 52, 16, true, true),
    (1 << 11, 52, 0, false, true), (7 << 12, 52, 0, false, true), (1 << 9, 52, 0, false, true),
    (1 << 8, 52, 16, false, true), (0, 52 | 1 << 6, 16, false, true),
  ]

  @Test("CMD_ATC_INV has the fields that the SMMU has; 7.2 leaves it to that", arguments: commands)
  func fields(_ row: (UInt64, UInt64, UInt32, isFine: Bool, since72: Bool)) {
    for version in [EmulatedKernelVersion.linux73, .linux72] {
      let bench = NestedBench(Self.configuration(version, substreams: row.2), virtualID: 8)
      let answer = bench.base.invalidate(bench.viommu, 0x40 | Self.sid | row.0, row.1)
      let is73 = version == .linux73
      let isFine = is73 ? row.isFine : row.since72
      #expect(answer == (isFine ? (0, 1) : is73 ? (-5, 0) : (-110, 0)))
    }
    // A stream that there is not.
    let bench = NestedBench(Self.configuration(), virtualID: 8)
    #expect(bench.base.invalidate(bench.viommu, 0x40 | 9 << 32, 52) == (-5, 0))
  }

  @Test("A device keeps what it was told until CMD_ATC_INV, whatever the TLB forgets")
  func keeps() {
    let bench = started()
    move(bench)
    #expect(words(bench) == [100, 101])
    #expect(bench.base.invalidate(bench.viommu, 0x40 | Self.sid, 0x6000) == (0, 1))
    #expect(words(bench) == [100, 103])
    #expect(bench.base.invalidate(bench.viommu, 0x40 | Self.sid, 0x6001) == (0, 1))
    #expect(words(bench) == [100, 103])
    #expect(bench.base.invalidate(bench.viommu, 0x40 | Self.sid, 0x6002) == (0, 1))
    #expect(words(bench) == [102, 103])
  }

  @Test("It asks anew at once: a TLBI that comes later comes too late")
  func order() {
    let bench = started()
    bench.map(0x5000, to: Self.pages + 0x2000)
    let late = [CommandWords(0x40 | Self.sid, 52), CommandWords(0x10, 0)]
    #expect(bench.base.invalidate(bench.viommu, late) == (0, 2))
    #expect(words(bench) == [100, 101])
    #expect(bench.base.invalidate(bench.viommu, [late[1], late[0]]) == (0, 2))
    #expect(words(bench) == [102, 101])
  }

  @Test("Without EATS, root complex, SMMU or device nothing is kept")
  func without() {
    var noSMMU = Self.configuration()
    noSMMU.smmus[0].features[.idr0, IDR0.ats] = 0
    let cases: [(EmulatedConfiguration, UInt64)] = [
      (Self.configuration(), 0), (Self.configuration(device: []), 1),
      (Self.configuration(smmu: []), 1), (noSMMU, 1),
    ]
    for (configuration, eats) in cases {
      let bench = started(configuration, eats: eats)
      move(bench)
      #expect(words(bench) == [102, 103])
    }
  }

  @Test("What the kernel changes it takes away itself: attachments, mappings, resets")
  func kernel() {
    let bench = started()
    move(bench)
    #expect(bench.attach(bench.nested(9)) == 0)
    #expect(bench.read(Self.pages).word == 100)
    #expect(bench.attach(bench.nested(NestedBench.stage1.0, 0xd4 | 1 << 28)) == 0)
    #expect(words(bench) == [102, 103])
    bench.map(0x5000, to: Self.pages)
    _ = bench.base.invalidate(bench.viommu, 0x10)
    #expect(bench.read(0x5000).word == 102)
    #expect(
      bench.base.result { () throws(Errno) in
        try bench.base.host.control(bench.fd, request: 0x3b6f, argument: nil)
      } == 0)
    #expect(bench.read(0x5000).word == 100)
    #expect(bench.base.unmap(bench.ioas, NestedBench.ram, 4 << 20) == 0)
    #expect(bench.read(0x5000).kind == .abort)
  }

  @Test("A silent device times out, and what else was asked is done")
  func silent() {
    let bench = started(Self.configuration(device: [.ats, .silent]))
    move(bench)
    bench.map(0x7000, to: Self.pages)
    #expect(bench.read(0x7000).word == 100)
    bench.map(0x7000, to: nil)
    let commands = [CommandWords(0x40 | Self.sid, 0x5000), CommandWords(0x10, 0)]
    #expect(bench.base.invalidate(bench.viommu, commands) == (-110, 1))
    #expect(words(bench) == [100, 101])
    #expect(bench.read(0x8000).kind == .abort)
  }

  @Test("The erratum does not touch CMD_ATC_INV")
  func erratum() {
    let bench = started(Self.configuration(smmu: [.rootATS, .repeats]))
    bench.map(0x5000, to: Self.pages + 0x2000)
    let commands = [CommandWords(0x10, 0), CommandWords(0x40 | Self.sid, 0x5000)]
    #expect(bench.base.invalidate(bench.viommu, [commands[0]]) == (0, 1))
    #expect(bench.base.invalidate(bench.viommu, commands) == (0, 2))
    #expect(words(bench) == [102, 101])
  }

  // MARK: The cache alone

  private func answer(_ bench: NestedBench, _ address: UInt64) -> Translation {
    var word: UInt64 = 0
    return bench.base.host.dma(
      of: 0, access: Access(stream: 0, address: address), data: &word, length: 8)!
  }

  @Test("What was asked for before an invalidation is not kept after it")
  func race() throws {
    let bench = started()
    let found = answer(bench, 0x5000)
    let cache = try #require(EndpointCache.make())
    var word: UInt64 = 0
    let access = Access(stream: 8, address: 0x5000)
    #expect(cache.copy(access, data: &word, count: 8).generation == nil)
    cache.enable()
    let before = try #require(cache.copy(access, data: &word, count: 8).generation)
    cache.invalidate(ATCInvalidation(CommandSource(8), address: 0x9000, size: 0)) { _, _ in }
    cache.keep(found, for: access, generation: before)
    let after = try #require(cache.copy(access, data: &word, count: 8).generation)
    cache.keep(found, for: access, generation: after)
    #expect(cache.copy(access, data: &word, count: 8).answer != nil && word == 100)
    var gone: [UInt64] = []
    cache.invalidate(ATCInvalidation(CommandSource(8))) {
      gone.append($0.address)
      _ = $1
    }
    #expect(gone == [0x5000])
    #expect(cache.copy(access, data: &word, count: 8).answer == nil)
    cache.disable()
    #expect(cache.copy(access, data: &word, count: 8).generation == nil)
  }

  @Test("A DMA of several pages is copied from here and there")
  func pieces() {
    let bench = started()
    bench.map(0x7000, to: nil)
    var data = [UInt8](repeating: 0, count: 0x3000)
    let whole = bench.base.host.dma(
      of: 0, access: Access(stream: 0, address: 0x5000), data: &data, length: 0x2000)
    #expect(whole?.kind == .ok && whole?.length == 0x2000)
    #expect(data[0] == 100 && data[0x1000] == 101)
    let cut = bench.base.host.dma(
      of: 0, access: Access(stream: 0, address: 0x5ff8), data: &data, length: 0x2000)
    #expect(cut?.kind == .abort && cut?.event == .translation && cut?.length == 0x1008)
    let nothing = bench.base.host.dma(
      of: 0, access: Access(stream: 0, address: 0x5000), data: &data, length: 0)
    #expect(nothing?.kind == .ok && nothing?.length == 0)
  }
}
